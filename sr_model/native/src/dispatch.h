// What api.cpp shares with the code of each instruction set: the work on a part of a problem, and the dispatch table.
#pragma once

#include <cstdint>

#include "api.h"

namespace native {

constexpr int kTile = 4;                // pixels a side of a tile of the result
constexpr int kPatch = 6;               // pixels a side of what a tile sees of the image
constexpr int kPoints = kPatch * kPatch;  // products per tile and pair of channels
constexpr int kVector = 16;             // channels are filled up with zeros to multiples of it
constexpr int kBlock = 24;              // tiles that are transformed and multiplied at once
constexpr int kEntries = 3;             // numbers of a kernel of the dictionary
constexpr int kCells = 64;              // cells whose gradients are computed at once
constexpr int kPixels = 48;             // pixels of which all heads are computed at once
constexpr int kOffsets = 2;             // numbers of an offset, and of a mean
constexpr int kColours = 3;             // numbers of a colour
constexpr int kGaussian = kOffsets + kEntries + kColours;

inline int64_t padded(int channels) { return (channels + kVector - 1) / kVector * kVector; }
inline int64_t tiles_along(int64_t pixels) { return (pixels + kTile - 1) / kTile; }

// The functions of one instruction set. Tiles are numbered through the batch, row by row.
struct Implementation {
  // Transform a kernel to [kPoints, inputs, padded(outputs)].
  void (*transform_kernel)(const float* kernel, int inputs, int outputs, float* transformed);
  // Compute the tiles [begin, end) of the result, at most kBlock.
  void (*convolve)(const ConvolveArguments& arguments, const float* transformed, int64_t begin, int64_t end);
  // Add the part of the tiles [begin, end), at most kBlock, to the gradients of the transformed kernel
  // [kPoints, padded(inputs), padded(outputs)] and of the bias [padded(outputs)].
  void (*convolve_backward)(const ConvolveBackwardArguments& arguments, int64_t begin, int64_t end, float* transformed, float* bias);
  // The gradient of a kernel from that of the transformed one.
  void (*kernel_gradient)(const float* transformed, int inputs, int outputs, float* kernel);
  // Blend the kernels of the cells [begin, end).
  void (*blend)(const BlendArguments& arguments, int64_t begin, int64_t end);
  // The gradients of the queries of cells [begin, end), at most kCells. Adds these cells' part to the gradients of the
  // keys [K, padded(latent)] and, unless null, of the entries [K, kVector].
  void (*blend_backward)(const BlendBackwardArguments& arguments, int64_t begin, int64_t end, float* keys,
                         float* entries);
  // Compute the Gaussians of the LR pixels [begin, end), at most kPixels.
  void (*heads)(const HeadsArguments& arguments, int64_t begin, int64_t end);
  // Compute the rows of cells of a row of pixels, counted through the batch.
  void (*interpolate)(const InterpolateArguments& arguments, int64_t row);
};

const Implementation& avx512_implementation();
const Implementation& avx2_implementation();
const Implementation& portable_implementation();

}  // namespace native
