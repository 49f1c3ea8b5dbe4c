// Rendering and its gradient over images stored as 4x4 pixel blocks, sixteen pixels to a vector.
//
// Blocks are aligned to the image, so that a Gaussian reads and writes whole vectors wherever it lies; what
// lies outside the image or the cut-off ellipse is masked. A pixel sums its Gaussians in index order and a
// Gaussian gathers its gradient over its own footprint: neither depends on threads, bands or batch.
#pragma once

#include <cmath>
#include <cstdint>

#include "lanes.h"

namespace SPLAT2D_NAMESPACE {

alignas(64) constexpr float kColumnOf[kLanes] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
alignas(64) constexpr float kRowOf[kLanes] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};

// Add one Gaussian to the blocks of rows [first, last); `image` points at row `first`.
template <int C>
inline void add(const Shape& s, const float* color, const Blocks& blocks, int first, int last, float limit,
                float* image) {
  Lanes c[C];
  for (int k = 0; k < C; ++k) c[k] = Lanes(color[k]);
  const Lanes bound(limit);
  const Lanes column_of = load(kColumnOf), row_of = load(kRowOf);
  for_each_block(s, blocks, first, last, column_of, row_of, [&](int row, int column, Lanes, Lanes, Lanes r) SPLAT2D_INLINED {
    const Lanes weight = where(at_most(r, bound), exp2_negative(r));
    float* pixel = image + (static_cast<int64_t>(row - first) * blocks.columns + column) * (C * kLanes);
    for (int k = 0; k < C; ++k) store(pixel + k * kLanes, fma(c[k], weight, load(pixel + k * kLanes)));
  });
}

// Gather one Gaussian's sums over the blocks of `grad`, the gradient of the image (zero outside it).
template <int C>
inline void gather(const Shape& s, const float* color, const Blocks& blocks, float limit, const float* grad,
                   Moments<float>* sums, float* color_sums) {
  const Lanes bound(limit), zero(0.0f), column_of = load(kColumnOf), row_of = load(kRowOf);
  Lanes c[C], gc[C];
  for (int k = 0; k < C; ++k) {
    c[k] = Lanes(color[k]);
    gc[k] = zero;
  }
  Moments<Lanes> t = {zero, zero, zero, zero, zero};
  for_each_block(s, blocks, 0, blocks.rows, column_of, row_of, [&](int row, int column, Lanes u, Lanes v, Lanes r) SPLAT2D_INLINED {
    const Mask inside = at_most(r, bound);
    const float* pixel = grad + (static_cast<int64_t>(row) * blocks.columns + column) * (C * kLanes);
    Lanes g[C];
    for (int k = 0; k < C; ++k) g[k] = load(pixel + k * kLanes);
    // u and v may be infinite outside.
    gather_pixels<C>(where(inside, exp2_negative(r)), where(inside, u), where(inside, v), c, g, &t, gc);
  });
  *sums = {sum(t.u), sum(t.v), sum(t.uu), sum(t.uv), sum(t.vv)};
  for (int k = 0; k < C; ++k) color_sums[k] = sum(gc[k]);
}

// Planar [C][H][W] to blocks, for block rows [first, last); `image` points at row `first`.
template <int C>
inline void to_blocks(const float* planar, const Blocks& b, int first, int last, float* image) {
  const int64_t plane = static_cast<int64_t>(b.width) * b.height;
  for (int row = first; row < last; ++row)
    for (int column = 0; column < b.columns; ++column)
      for (int k = 0; k < C; ++k)
        for (int lane = 0; lane < kLanes; ++lane) {
          const int y = kBlock * row + lane / kBlock, x = kBlock * column + lane % kBlock;
          const bool inside = y < b.height && x < b.width;
          *image++ = inside ? planar[k * plane + static_cast<int64_t>(y) * b.width + x] : 0.0f;
        }
}

// And back, into a planar image that holds `rows` rows of the whole, from `top` on.
template <int C>
inline void from_blocks(const float* image, const Blocks& b, int first, int last, int top, int rows, float* planar) {
  const int64_t plane = static_cast<int64_t>(b.width) * rows;
  for (int row = first; row < last; ++row)
    for (int column = 0; column < b.columns; ++column)
      for (int k = 0; k < C; ++k)
        for (int lane = 0; lane < kLanes; ++lane, ++image) {
          const int y = kBlock * row + lane / kBlock - top, x = kBlock * column + lane % kBlock;
          if (y >= 0 && y < rows && x < b.width) planar[k * plane + static_cast<int64_t>(y) * b.width + x] = *image;
        }
}

}  // namespace SPLAT2D_NAMESPACE
