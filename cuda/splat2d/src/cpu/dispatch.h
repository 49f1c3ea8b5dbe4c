// What api.cpp shares with the code of each instruction set: footprints, bands of an image, and the dispatch table.
#pragma once

#include <cstdint>

#include "api.h"

namespace splat2d {

constexpr int kMaxChannels = 8;
constexpr int kSpans = 8;

// One Gaussian, whitened, and the pixels that it may touch (footprints.h): a scanline span in each of some slabs.
struct alignas(64) Footprint {
  // The members of gaussian.h's Shape, whose namespace differs per instruction set.
  float u_per_x, u_per_y, v_per_y, offset_x, offset_y, pixel_x, pixel_y;
  int32_t first_slab, slabs;  // the slabs that it may touch
  int32_t wide;               // whether `spans` cannot hold them: more slabs than kSpans, or a number beyond int8
  int8_t spans[kSpans][2];    // first_column and blocks in each slab (gaussian.h's SlabRange), unless wide
};

// Floats of one channel of one slab: four rows of whole vectors, and of one that begins in the last column.
inline int64_t pitch_of(int width) { return 16 * ((static_cast<int64_t>(width) + 6) / 4); }

// Slabs [first, end) of one image of the batch, and the Gaussians that may touch them, in index order.
struct Band {
  int64_t row;
  int first, end;
  const int32_t* gaussians;
  int64_t size;
};

// The functions of one instruction set for one number of channels.
struct Rasterizer {
  // Footprints of Gaussians [begin, end) of the flattened batch.
  void (*find_footprints)(const FieldArguments& field, int64_t begin, int64_t end, Footprint* footprints);
  void (*render_band)(const RenderArguments& arguments, const Footprint* footprints, const Band& band);
  // Slabs [first, end) of one image's gradient, into `grad_slabs` [B, slabs, C, pitch].
  void (*slab_gradient)(const RenderBackwardArguments& arguments, int64_t row, int first, int end, float* grad_slabs);
  // Gradients of Gaussians [begin, end), gathered from `grad_slabs`.
  void (*gather)(const RenderBackwardArguments& arguments, const Footprint* footprints, const float* grad_slabs,
                 int64_t begin, int64_t end);
  void (*fit_fast)(const FitFastArguments& arguments);
  void (*fit_gaussianimage)(const FitGaussianImageArguments& arguments);
};

const Rasterizer& avx512_rasterizer(int channels);
const Rasterizer& avx2_rasterizer(int channels);
const Rasterizer& portable_rasterizer(int channels);

}  // namespace splat2d
