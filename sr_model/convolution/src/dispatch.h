// What api.cpp shares with the code of each instruction set: the work on a part of the tiles, and the dispatch table.
#pragma once

#include <cstdint>

#include "api.h"

namespace convolution {

constexpr int kTile = 4;                // pixels a side of a tile of the result
constexpr int kPatch = 6;               // pixels a side of what a tile sees of the image
constexpr int kPoints = kPatch * kPatch;  // products per tile and pair of channels
constexpr int kVector = 16;             // channels are filled up with zeros to multiples of it
constexpr int kBlock = 24;              // tiles that are transformed and multiplied at once

inline int64_t padded(int channels) { return (channels + kVector - 1) / kVector * kVector; }
inline int64_t tiles_along(int64_t pixels) { return (pixels + kTile - 1) / kTile; }

// The functions of one instruction set. Tiles are numbered through the batch, row by row.
struct Implementation {
  // Transform a kernel to [kPoints, inputs, padded(outputs)].
  void (*transform_kernel)(const float* kernel, int inputs, int outputs, float* transformed);
  // Compute the tiles [begin, end) of the result, at most kBlock.
  void (*forward)(const ForwardArguments& arguments, const float* transformed, int64_t begin, int64_t end);
  // Add the part of the tiles [begin, end), at most kBlock, to the gradients of the transformed kernel
  // [kPoints, padded(inputs), padded(outputs)] and of the bias [padded(outputs)].
  void (*backward)(const BackwardArguments& arguments, int64_t begin, int64_t end, float* transformed, float* bias);
  // The gradient of a kernel from that of the transformed one.
  void (*kernel_gradient)(const float* transformed, int inputs, int outputs, float* kernel);
};

const Implementation& avx512_implementation();
const Implementation& avx2_implementation();
const Implementation& portable_implementation();

}  // namespace convolution
