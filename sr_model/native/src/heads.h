// From the features of LR pixels to the Gaussians of their cells: linear layers and covariance weighting (blending.h),
// for 48 pixels at once, a lane for each.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "blending.h"
#include "dispatch.h"
#include "memory.h"
#include "product.h"

namespace SPLAT2D_NAMESPACE {

using native::kColours;
using native::kGaussian;
using native::kOffsets;
using native::kPixels;

constexpr int kPixelVectors = kPixels / kLanes;
constexpr float kLeak = 0.01f;              // slope of torch's leaky_relu below zero
constexpr float kTiny = 1.17549435e-38f;    // the least normal float
constexpr float kSaturated = 20.0f;         // tanh is 1 from here on

inline Lanes size_of(Lanes a) { return larger(Lanes(0.0f) - a, a); }
inline Lanes at_least(float low, Lanes a) { return larger(Lanes(low), a); }  // of NaN: NaN

inline Lanes root(Lanes a) {
  float x[kLanes];
  store(x, a);
  for (float& lane : x) lane = std::sqrt(lane);
  return load(x);
}

inline Lanes tanh_of(Lanes a) {
  const Lanes size = smaller(Lanes(kSaturated), size_of(a));
  const Lanes decay = weight_of(size * Lanes(2.0f * kLog2E), Lanes(kSmallestExponent));
  const Lanes risen = fma(size, Lanes(0.0f), divided(Lanes(1.0f) - decay, Lanes(1.0f) + decay));  // of NaN: NaN
  return fma(Lanes(-2.0f), where(at_most(a, Lanes(0.0f)), risen), risen);
}

// The mean of the dictionary's entries, weighted by powers of two with 16 cells' logits, [kernels] every kPixels.
inline void blend_logits(const float* logits, const float* entries, int kernels, Lanes mean[kEntries]) {
  Lanes highest(-3.4e38f), sum(0.0f), total[kEntries] = {Lanes(0.0f), Lanes(0.0f), Lanes(0.0f)};
  for (int k = 0; k < kernels; ++k) highest = larger(highest, load(logits + k * kPixels));
  const Lanes limit(kSmallestExponent);
  for (int k = 0; k < kernels; ++k) {
    const Lanes weight = weight_of(highest - load(logits + k * kPixels), limit);
    sum = sum + weight;
    for (int e = 0; e < kEntries; ++e) total[e] = fma(weight, Lanes(entries[kEntries * k + e]), total[e]);
  }
  const Lanes share = divided(Lanes(1.0f), sum);
  for (int e = 0; e < kEntries; ++e) mean[e] = total[e] * share;
}

// The Cholesky factor of a mean taken in the space `blending`; its diagonal is positive, and at least `smallest`.
inline void to_cholesky(int blending, float smallest, const Lanes mean[kEntries], Lanes factor[kEntries]) {
  Lanes l11 = mean[0], l21 = mean[1], l22 = mean[2];
  if (blending != native::kCholesky) {
    const float lowest = blending == native::kCovariance ? smallest * smallest : smallest;
    const Lanes a = at_least(lowest, mean[0]), b = mean[1], c = at_least(lowest, mean[2]);
    const Lanes det = at_least(kTiny, fma(a, c, Lanes(0.0f) - b * b));
    const bool covariance = blending == native::kCovariance;
    l11 = root(covariance ? a : fma(a, a, b * b));
    const Lanes inverse = divided(Lanes(1.0f), l11);
    l21 = (covariance ? b : b * (a + c)) * inverse;
    l22 = (covariance ? root(det) : det) * inverse;
  }
  factor[0] = at_least(smallest, size_of(l11));
  factor[1] = fma(Lanes(-2.0f), where(at_most(l11, Lanes(-kTiny)), l21), l21);
  factor[2] = at_least(smallest, size_of(l22));
}

// Sums with rows of weights [rows, depth] of values [depth, kPixels], from biases on: to [rows, kPixels].
inline void layer(const float* weights, const float* biases, int rows, int depth, const float* values, float* out) {
  for (int row = 0; row < rows; ++row)
    for (int v = 0; v < kPixelVectors; ++v) store(out + row * kPixels + v * kLanes, Lanes(biases[row]));
  multiply<true>({weights, depth, 1}, rows, values, kPixels, depth, kPixelVectors, out, kPixels);
}

// Where the Gaussians of a block are gathered before they are written: [cells^2, kGaussian, kPixels], the largest
// colours [kPixels], what limits them, [2, kPixels], and what is added to them before, [cells^2, kColours, kPixels].
struct Gathered {
  float *gaussians, *largest, *varied, *colourful, *added;
};

// Gather what is added to the colours of the pixels [begin, end), without a share of what they start from.
inline void gather_added(const native::HeadsArguments& a, int64_t begin, int64_t end, float* added) {
  const int cells = a.cells * a.cells;
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const int64_t row = pixel / a.width, x = pixel % a.width * a.cells;
    const float* from = a.added + pixel * kColours * cells;
    for (int cell = 0; cell < cells; ++cell) {
      const int64_t place = (row * a.cells + cell / a.cells) * a.width * a.cells + x + cell % a.cells;
      for (int c = 0; c < kColours; ++c)
        added[(cell * kColours + c) * kPixels + pixel - begin] =
            std::fma(-a.replaced, a.start[place * kColours + c], from[c * cells + cell]);
    }
  }
}

// The Gaussians of one cell of each pixel, from what the layers say: to [kGaussian, kPixels].
inline void gather(const native::HeadsArguments& a, int cell, const float* made, const float* logits,
                   const Gathered& to) {
  float* const gaussians = to.gaussians + cell * kGaussian * kPixels;
  const float* const added = to.added + cell * kColours * kPixels;
  const Lanes drift(a.drift), third(1.0f / 3.0f), spacing(1.0f / static_cast<float>(a.cells));
  for (int first = 0; first < kPixels; first += kLanes) {
    Lanes colours[kColours], mean[kEntries], factor[kEntries], largest = load(to.largest + first);
    for (int c = 0; c < kColours; ++c) {
      colours[c] = load(made + c * kPixels + first);
      if (a.added) colours[c] = colours[c] + load(added + c * kPixels + first);
    }
    const Lanes grey = (colours[0] + colours[1] + colours[2]) * third;
    for (int c = 0; c < kColours; ++c) {
      if (a.varied) {
        const Lanes tint = (colours[c] - grey) * load(to.colourful + first);
        colours[c] = (grey + tint) * load(to.varied + first);
      }
      largest = larger(largest, size_of(colours[c]));
      store(gaussians + (kOffsets + kEntries + c) * kPixels + first, colours[c]);
    }
    store(to.largest + first, largest);
    for (int o = 0; o < kOffsets; ++o)
      store(gaussians + o * kPixels + first, drift * tanh_of(load(made + (kColours + o) * kPixels + first)));
    blend_logits(logits + first, a.entries, a.kernels, mean);
    to_cholesky(a.blending, a.smallest, mean, factor);
    for (int e = 0; e < kEntries; ++e)
      store(gaussians + (kOffsets + e) * kPixels + first, factor[e] * spacing);
  }
}

// Write the Gaussians of the pixels [begin, end) to the rows of cells that they belong to.
inline void scatter(const native::HeadsArguments& a, int64_t begin, int64_t end, const float* gaussians) {
  const int64_t columns = a.width * a.cells;
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const int64_t row = pixel / a.width, x = pixel % a.width * a.cells, y = row % a.height * a.cells;
    for (int i = 0; i < a.cells; ++i) {
      const int64_t place = (row * a.cells + i) * columns + x;
      float *mean = a.means + place * kOffsets, *factor = a.cholesky + place * kEntries;
      float* colour = a.colours + place * kColours;
      const float* from = gaussians + i * a.cells * kGaussian * kPixels + (pixel - begin);
      for (int j = 0; j < a.cells; ++j, from += kGaussian * kPixels) {
        *mean++ = a.x[x + j] + from[0];
        *mean++ = a.y[y + i] + from[kPixels];
        for (int e = 0; e < kEntries; ++e) *factor++ = from[(kOffsets + e) * kPixels];
        for (int c = 0; c < kColours; ++c) *colour++ = from[(kOffsets + kEntries + c) * kPixels];
      }
    }
  }
}

// The Gaussians of the pixels [begin, end), at most kPixels.
inline void heads(const native::HeadsArguments& a, int64_t begin, int64_t end) {
  const int cells = a.cells * a.cells, outputs = kColours + kOffsets + a.latent;
  const int gathered = cells * (kGaussian + kColours) + 3;
  float* const seen = scratch(kPixels * (a.inputs + 2 * a.features + outputs + a.kernels + gathered));
  float* const features = seen + kPixels * a.inputs;
  float* const active = features + kPixels * a.features;
  float* const made = active + kPixels * a.features;
  float* const logits = made + kPixels * outputs;
  float* const largest = logits + kPixels * a.kernels;
  float* const gaussians = largest + 3 * kPixels;
  float* const added = gaussians + cells * kGaussian * kPixels;
  const Gathered to = {gaussians, largest, largest + kPixels, largest + 2 * kPixels, added};
  const int pixels = static_cast<int>(end - begin);
  if (pixels < kPixels) std::memset(seen, 0, kPixels * a.inputs * sizeof(float));
  for (int pixel = 0; pixel < pixels; ++pixel)
    for (int i = 0; i < a.inputs; ++i) seen[i * kPixels + pixel] = a.pixels[(begin + pixel) * a.inputs + i];
  std::memset(largest, 0, 3 * kPixels * sizeof(float));
  if (a.varied) {
    std::memcpy(to.varied, a.varied + begin, pixels * sizeof(float));
    std::memcpy(to.colourful, a.colourful + begin, pixels * sizeof(float));
  }
  if (a.added) {
    if (pixels < kPixels) std::memset(added, 0, cells * kColours * kPixels * sizeof(float));
    gather_added(a, begin, end, added);
  }
  const int unactivated = kColours + (a.activated ? 0 : kOffsets);
  for (int cell = 0; cell < cells; ++cell) {
    const int64_t channel = static_cast<int64_t>(cell) * a.features;
    layer(a.projection + channel * a.inputs, a.projection_bias + channel, a.features, a.inputs, seen, features);
    for (int i = 0; i < a.features * kPixels; i += kLanes) {
      const Lanes feature = load(features + i);
      store(active + i, larger(feature, feature * Lanes(kLeak)));
    }
    layer(a.heads, a.heads_bias, unactivated, a.features, features, made);
    layer(a.heads + unactivated * a.features, a.heads_bias + unactivated, outputs - unactivated, a.features, active,
          made + unactivated * kPixels);
    float* const queries = made + (kColours + kOffsets) * kPixels;
    for (int i = 0; i < a.latent * kPixels; i += kLanes) store(queries + i, load(queries + i) * Lanes(kLog2E));
    multiply<false>({a.keys, a.latent, 1}, a.kernels, queries, kPixels, a.latent, kPixelVectors, logits,
                    kPixels);
    gather(a, cell, made, logits, to);
  }
  scatter(a, begin, end, to.gaussians);
  std::memcpy(a.largest + begin, to.largest, pixels * sizeof(float));
}

}  // namespace SPLAT2D_NAMESPACE
