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

constexpr int kBlock = 4;

// An image of C channels as blocks: float [rows][columns][C][16], lane = 4 (row % 4) + column % 4.
struct Blocks {
  int width, height;  // pixels
  int columns, rows;  // blocks
  Blocks(int w, int h) : width(w), height(h), columns((w + kBlock - 1) / kBlock), rows((h + kBlock - 1) / kBlock) {}
};

alignas(64) constexpr float kColumnOf[kLanes] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
alignas(64) constexpr float kRowOf[kLanes] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};

// Call f(block, u, v, r) for every block of rows [first, last) that the Gaussian's ellipse may touch;
// u, v are the whitened coordinates of the block's pixels and r = u^2 + v^2.
template <class F>
inline void for_each_block(const Shape& s, const Blocks& blocks, int first, int last, F f) {
  const float top = std::floor((s.my - s.reach_y - 0.5f) * 0.25f);
  const float bottom = std::floor((s.my + s.reach_y - 0.5f) * 0.25f);
  if (!(top < last && bottom >= first)) return;
  const int row0 = top > first ? static_cast<int>(top) : first;
  const int row1 = bottom < last - 1 ? static_cast<int>(bottom) : last - 1;
  const Lanes column_of = load(kColumnOf), row_of = load(kRowOf);
  const Lanes mx(s.mx), my(s.my), iu(s.iu), jv(s.jv), m(s.m);
  for (int row = row0; row <= row1; ++row) {
    const float y0 = static_cast<float>(kBlock * row) + 0.5f;
    const float dy0 = y0 - s.my, dy1 = dy0 + (kBlock - 1);
    float left, right;
    slab_extent(s, dy0 < -s.reach_y ? -s.reach_y : dy0, dy1 > s.reach_y ? s.reach_y : dy1, &left, &right);
    const float from = std::floor((s.mx + left - 0.5f) * 0.25f);
    const float to = std::floor((s.mx + right - 0.5f) * 0.25f);
    if (!(from < blocks.columns && to >= 0)) continue;
    const int column0 = from > 0 ? static_cast<int>(from) : 0;
    const int column1 = to < blocks.columns - 1 ? static_cast<int>(to) : blocks.columns - 1;
    const Lanes vy = ((Lanes(y0) + row_of) - my) * jv;
    for (int column = column0; column <= column1; ++column) {
      const float x0 = static_cast<float>(kBlock * column) + 0.5f;
      const Lanes u = ((Lanes(x0) + column_of) - mx) * iu;
      const Lanes v = fma(m, u, vy);
      f(static_cast<int64_t>(row) * blocks.columns + column, u, v, fma(u, u, v * v));
    }
  }
}

// Add one Gaussian to the blocks of rows [first, last); `image` points at row `first`.
template <int C>
inline void add(const Shape& s, const float* color, const Blocks& blocks, int first, int last, float limit,
                float* image) {
  Lanes c[C];
  for (int k = 0; k < C; ++k) c[k] = Lanes(color[k]);
  const Lanes bound(limit);
  const int64_t origin = static_cast<int64_t>(first) * blocks.columns;
  for_each_block(s, blocks, first, last, [&](int64_t block, Lanes, Lanes, Lanes r) {
    const Lanes weight = where(at_most(r, bound), exp2_negative(r));
    float* pixel = image + (block - origin) * (C * kLanes);
    for (int k = 0; k < C; ++k) store(pixel + k * kLanes, fma(c[k], weight, load(pixel + k * kLanes)));
  });
}

// Gather one Gaussian's sums over the blocks of `grad`, the gradient of the image (zero outside it).
template <int C>
inline void gather(const Shape& s, const float* color, const Blocks& blocks, float limit, const float* grad,
                   Moments<float>* sums, float* color_sums) {
  Lanes c[C], gc[C];
  for (int k = 0; k < C; ++k) {
    c[k] = Lanes(color[k]);
    gc[k] = Lanes(0.0f);
  }
  const Lanes bound(limit), zero(0.0f);
  Moments<Lanes> t = {zero, zero, zero, zero, zero};
  for_each_block(s, blocks, 0, blocks.rows, [&](int64_t block, Lanes u_any, Lanes v_any, Lanes r) {
    const Mask inside = at_most(r, bound);
    const Lanes weight = where(inside, exp2_negative(r));
    const Lanes u = where(inside, u_any), v = where(inside, v_any);  // may be infinite outside
    const float* pixel = grad + block * (C * kLanes);
    Lanes g = load(pixel);
    gc[0] = fma(weight, g, gc[0]);
    Lanes dot = c[0] * g;
    for (int k = 1; k < C; ++k) {
      g = load(pixel + k * kLanes);
      gc[k] = fma(weight, g, gc[k]);
      dot = fma(c[k], g, dot);
    }
    const Lanes term = weight * dot, tu = term * u, tv = term * v;
    t.u = t.u + tu;
    t.v = t.v + tv;
    t.uu = fma(tu, u, t.uu);
    t.uv = fma(tu, v, t.uv);
    t.vv = fma(tv, v, t.vv);
  });
  *sums = {sum(t.u), sum(t.v), sum(t.uu), sum(t.uv), sum(t.vv)};
  for (int k = 0; k < C; ++k) color_sums[k] = sum(gc[k]);
}

// Planar [C][H][W] <-> blocks, for block rows [first, last); `image` points at row `first`.
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

template <int C>
inline void from_blocks(const float* image, const Blocks& b, int first, int last, float* planar) {
  const int64_t plane = static_cast<int64_t>(b.width) * b.height;
  for (int row = first; row < last; ++row)
    for (int column = 0; column < b.columns; ++column)
      for (int k = 0; k < C; ++k)
        for (int lane = 0; lane < kLanes; ++lane, ++image) {
          const int y = kBlock * row + lane / kBlock, x = kBlock * column + lane % kBlock;
          if (y < b.height && x < b.width) planar[k * plane + static_cast<int64_t>(y) * b.width + x] = *image;
        }
}

}  // namespace SPLAT2D_NAMESPACE
