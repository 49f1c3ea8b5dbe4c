// A separable filter that makes several rows and columns of each: of every pixel, cells x cells.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch.h"
#include "memory.h"
#include "simd.h"

namespace SPLAT2D_NAMESPACE {

// sums[i] += factor * values[i]
inline void add_scaled(float factor, const float* values, int64_t size, float* sums) {
  for (int64_t i = 0; i < size; ++i) sums[i] = std::fma(factor, values[i], sums[i]);
}

// The rows of cells of row `index` of pixels, counted through the batch.
inline void interpolate(const native::InterpolateArguments& a, int64_t index) {
  const int64_t size = a.width * a.channels, reach = a.taps / 2, border = reach * a.channels;
  const int64_t stride = (size + kLanes - 1) / kLanes * kLanes;
  float* const row = scratch(stride + 2 * border + a.cells * stride);  // of pixels, with `reach` more at either end
  float* const made = row + stride + 2 * border;                      // [cells, width, channels]
  const int64_t y = index % a.height;
  const float* const image = a.image + (index - y) * size;
  for (int i = 0; i < a.cells; ++i) {
    std::memset(row + border, 0, size * sizeof(float));
    for (int tap = 0; tap < a.taps; ++tap) {
      const int64_t from = std::min(std::max<int64_t>(y + tap - reach, 0), a.height - 1);
      add_scaled(a.filter[i * a.taps + tap], image + from * size, size, row + border);
    }
    for (int64_t n = 0; n < border; ++n) {
      row[border - 1 - n] = row[border + a.channels - 1 - n % a.channels];
      row[border + size + n] = row[border + size - a.channels + n % a.channels];
    }
    for (int j = 0; j < a.cells; ++j)
      for (int64_t n = 0; n < size; n += kLanes) {
        Lanes sum(0.0f);
        for (int tap = 0; tap < a.taps; ++tap)
          sum = fma(Lanes(a.filter[j * a.taps + tap]), load(row + n + tap * a.channels), sum);
        store(made + j * stride + n, sum);
      }
    float* out = a.out + (index * a.cells + i) * a.cells * size;
    for (int64_t x = 0; x < a.width; ++x)
      for (int j = 0; j < a.cells; ++j)
        for (int c = 0; c < a.channels; ++c) *out++ = made[j * stride + x * a.channels + c];
  }
}

}  // namespace SPLAT2D_NAMESPACE
