// A convolution on a block of tiles, forwards and backwards.
#pragma once

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "memory.h"
#include "product.h"
#include "transforms.h"

namespace SPLAT2D_NAMESPACE {

using native::kBlock;
using native::kPoints;
using native::padded;
using native::tiles_along;

// An image [B, H, W, channels], cut into tiles.
struct Tiles {
  int64_t height, width;
  int channels;
  int64_t rows = tiles_along(height), columns = tiles_along(width);

  // Where tile `index` begins: the image of the batch, and the pixel's row and column.
  void place(int64_t index, int64_t* image, int64_t* row, int64_t* column) const {
    *image = index / (rows * columns);
    *row = index / columns % rows * kTile;
    *column = index % columns * kTile;
  }
  int64_t offset(int64_t image, int64_t row, int64_t column) const {
    return ((image * height + row) * width + column) * channels;
  }
};

// Pixels of side x side around a tile: within the image, or a copy with zeros outside and in the channels beyond.
struct Window {
  const float* data;
  int64_t row_stride, column_stride;
};

inline Window window(const float* image, const Tiles& tiles, int64_t index, int side, int border, float* copy) {
  int64_t b, row, column;
  tiles.place(index, &b, &row, &column);
  row -= border, column -= border;
  const bool inside =
      row >= 0 && column >= 0 && row + side <= tiles.height && column + side <= tiles.width;
  if (inside && tiles.channels % kLanes == 0)
    return {image + tiles.offset(b, row, column), tiles.width * tiles.channels, tiles.channels};
  const int64_t depth = padded(tiles.channels);
  std::memset(copy, 0, side * side * depth * sizeof(float));
  for (int r = 0; r < side; ++r)
    for (int c = 0; c < side; ++c) {
      const int64_t y = row + r, x = column + c;
      if (y < 0 || x < 0 || y >= tiles.height || x >= tiles.width) continue;
      std::memcpy(copy + (r * side + c) * depth, image + tiles.offset(b, y, x), tiles.channels * sizeof(float));
    }
  return {copy, side * depth, depth};
}

// B^T d B for every channel: to [kPoints][depth].
inline void transform_window(Window d, int64_t depth, float* out) {
  Lanes half[kPatch][kPatch];
  for (int64_t channel = 0; channel < depth; channel += kLanes) {
    for (int c = 0; c < kPatch; ++c) {
      Lanes column[kPatch], made[kPatch];
      for (int r = 0; r < kPatch; ++r) column[r] = load(d.data + r * d.row_stride + c * d.column_stride + channel);
      transform_patch(column, made);
      for (int r = 0; r < kPatch; ++r) half[r][c] = made[r];
    }
    for (int r = 0; r < kPatch; ++r) {
      Lanes made[kPatch];
      transform_patch(half[r], made);
      for (int c = 0; c < kPatch; ++c) store(out + (r * kPatch + c) * depth + channel, made[c]);
    }
  }
}

// A y A^T for every channel: to [kPoints][depth]. Adds the pixels to `sums` [depth].
inline void transform_gradient_window(Window y, int64_t depth, float* out, float* sums) {
  Lanes half[kPatch][kTile];
  for (int64_t channel = 0; channel < depth; channel += kLanes) {
    Lanes sum = load(sums + channel);
    for (int c = 0; c < kTile; ++c) {
      Lanes column[kTile], made[kPatch];
      for (int r = 0; r < kTile; ++r) {
        column[r] = load(y.data + r * y.row_stride + c * y.column_stride + channel);
        sum = sum + column[r];
      }
      transform_gradient(column, made);
      for (int r = 0; r < kPatch; ++r) half[r][c] = made[r];
    }
    store(sums + channel, sum);
    for (int r = 0; r < kPatch; ++r) {
      Lanes made[kPatch];
      transform_gradient(half[r], made);
      for (int c = 0; c < kPatch; ++c) store(out + (r * kPatch + c) * depth + channel, made[c]);
    }
  }
}

// A^T m A + bias for every channel, from [kPoints][depth] to a window of 4x4 pixels.
inline void transform_result(const float* m, const float* bias, int64_t depth, float* out, int64_t row_stride,
                             int64_t column_stride) {
  Lanes half[kTile][kPatch];
  for (int64_t channel = 0; channel < depth; channel += kLanes) {
    const Lanes shift = load(bias + channel);
    for (int c = 0; c < kPatch; ++c) {
      Lanes column[kPatch], made[kTile];
      for (int r = 0; r < kPatch; ++r) column[r] = load(m + (r * kPatch + c) * depth + channel);
      transform_products(column, made);
      for (int r = 0; r < kTile; ++r) half[r][c] = made[r];
    }
    for (int r = 0; r < kTile; ++r) {
      Lanes made[kTile];
      transform_products(half[r], made);
      for (int c = 0; c < kTile; ++c) store(out + r * row_stride + c * column_stride + channel, made[c] + shift);
    }
  }
}

inline void convolve(const native::ConvolveArguments& arguments, const float* transformed, int64_t begin,
                    int64_t end) {
  const Tiles from = {arguments.height, arguments.width, arguments.inputs};
  const Tiles to = {arguments.height, arguments.width, arguments.outputs};
  const int64_t inputs = padded(arguments.inputs), outputs = padded(arguments.outputs);
  float* const seen = scratch(kBlock * kPoints * (inputs + outputs) + kPoints * std::max(inputs, outputs) + outputs);
  float* const products = seen + kBlock * kPoints * inputs;
  float* const copy = products + kBlock * kPoints * outputs;
  float* const bias = copy + kPoints * std::max(inputs, outputs);
  std::memset(bias, 0, outputs * sizeof(float));
  if (arguments.bias) std::memcpy(bias, arguments.bias, arguments.outputs * sizeof(float));
  const int tiles = static_cast<int>(end - begin);
  for (int t = 0; t < tiles; ++t)
    transform_window(window(arguments.image, from, begin + t, kPatch, 1, copy), inputs, seen + t * kPoints * inputs);
  for (int point = 0; point < kPoints; ++point)
    multiply<false>({seen + point * inputs, kPoints * inputs, 1}, tiles,
                    transformed + point * arguments.inputs * outputs, outputs, arguments.inputs,
                    static_cast<int>(outputs / kLanes), products + point * outputs, kPoints * outputs);
  for (int t = 0; t < tiles; ++t) {
    int64_t b, row, column;
    to.place(begin + t, &b, &row, &column);
    const int64_t rows = std::min<int64_t>(kTile, to.height - row), columns = std::min<int64_t>(kTile, to.width - column);
    float* const out = arguments.out + to.offset(b, row, column);
    const float* const made = products + t * kPoints * outputs;
    if (rows == kTile && columns == kTile && to.channels == outputs) {
      transform_result(made, bias, outputs, out, to.width * outputs, outputs);
      continue;
    }
    transform_result(made, bias, outputs, copy, kTile * outputs, outputs);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        std::memcpy(out + (r * to.width + c) * to.channels, copy + (r * kTile + c) * outputs,
                    to.channels * sizeof(float));
  }
}

inline void convolve_backward(const native::ConvolveBackwardArguments& arguments, int64_t begin, int64_t end, float* transformed,
                     float* bias) {
  const Tiles from = {arguments.height, arguments.width, arguments.inputs};
  const Tiles to = {arguments.height, arguments.width, arguments.outputs};
  const int64_t inputs = padded(arguments.inputs), outputs = padded(arguments.outputs);
  float* const seen = scratch(kBlock * kPoints * (inputs + outputs) + kPoints * std::max(inputs, outputs));
  float* const gradients = seen + kBlock * kPoints * inputs;
  float* const copy = gradients + kBlock * kPoints * outputs;
  const int tiles = static_cast<int>(end - begin);
  for (int t = 0; t < tiles; ++t) {
    transform_window(window(arguments.image, from, begin + t, kPatch, 1, copy), inputs, seen + t * kPoints * inputs);
    transform_gradient_window(window(arguments.grad_out, to, begin + t, kTile, 0, copy), outputs,
                              gradients + t * kPoints * outputs, bias);
  }
  for (int point = 0; point < kPoints; ++point)
    multiply<true>({seen + point * inputs, 1, kPoints * inputs}, arguments.inputs, gradients + point * outputs,
                   kPoints * outputs, tiles, static_cast<int>(outputs / kLanes), transformed + point * inputs * outputs,
                   outputs);
}

// Sixteen numbers in double: kernels are transformed in it and rounded once.
struct Doubles {
  double x[kLanes];
};

// sum over k of factors[k * stride] values[k], in order of k.
template <int n>
SPLAT2D_INLINED inline Doubles weighted_sum(const double* factors, int stride, const Doubles* values, int value_stride) {
  Doubles sum = {};
  for (int k = 0; k < n; ++k)
    for (int lane = 0; lane < kLanes; ++lane) sum.x[lane] += factors[k * stride] * values[k * value_stride].x[lane];
  return sum;
}

inline void transform_kernel(const float* kernel, int inputs, int outputs, float* transformed) {
  const double* const g = kKernelTransform.rows[0];
  const int64_t depth = padded(outputs);
  for (int first = 0; first < outputs; first += kLanes)
    for (int i = 0; i < inputs; ++i) {
      Doubles taps[9] = {}, half[kPatch * 3];
      for (int lane = 0; lane < kLanes && first + lane < outputs; ++lane)
        for (int tap = 0; tap < 9; ++tap)
          taps[tap].x[lane] = kernel[(static_cast<int64_t>(first + lane) * inputs + i) * 9 + tap];
      for (int r = 0; r < kPatch; ++r)
        for (int c = 0; c < 3; ++c) half[r * 3 + c] = weighted_sum<3>(g + 3 * r, 1, taps + c, 3);
      for (int r = 0; r < kPatch; ++r)
        for (int c = 0; c < kPatch; ++c) {
          const Doubles made = weighted_sum<3>(g + 3 * c, 1, half + 3 * r, 1);
          float* const out = transformed + ((r * kPatch + c) * static_cast<int64_t>(inputs) + i) * depth + first;
          for (int lane = 0; lane < kLanes; ++lane) out[lane] = static_cast<float>(made.x[lane]);
        }
    }
}

inline void kernel_gradient(const float* transformed, int inputs, int outputs, float* kernel) {
  const double* const g = kKernelTransform.rows[0];
  const int64_t depth = padded(outputs), plane = padded(inputs) * depth;
  for (int first = 0; first < outputs; first += kLanes)
    for (int i = 0; i < inputs; ++i) {
      Doubles gradients[kPatch * kPatch], half[3 * kPatch];
      for (int point = 0; point < kPoints; ++point)
        for (int lane = 0; lane < kLanes; ++lane)
          gradients[point].x[lane] = transformed[point * plane + i * depth + first + lane];
      for (int r = 0; r < 3; ++r)
        for (int c = 0; c < kPatch; ++c)
          half[r * kPatch + c] = weighted_sum<kPatch>(g + r, 3, gradients + c, kPatch);
      for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) {
          const Doubles made = weighted_sum<kPatch>(g + c, 3, half + r * kPatch, 1);
          for (int lane = 0; lane < kLanes && first + lane < outputs; ++lane)
            kernel[(static_cast<int64_t>(first + lane) * inputs + i) * 9 + 3 * r + c] =
                static_cast<float>(made.x[lane]);
        }
    }
}

}  // namespace SPLAT2D_NAMESPACE
