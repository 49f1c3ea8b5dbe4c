// Rasterizing Gaussians and gathering their gradients over images stored in slabs: four rows, channel after channel,
// column by column.
//
// A block of sixteen pixels, four columns of a slab, is contiguous from any column on, so a Gaussian reads and writes
// whole vectors that begin at its ellipse; pixels outside the ellipse are masked. A pixel sums its Gaussians in index
// order and a Gaussian gathers its gradient over its own footprint: neither depends on threads, bands or batch.
#pragma once

#include <cmath>
#include <cstdint>

#include "footprints.h"
#include "simd.h"

namespace SPLAT2D_NAMESPACE {

alignas(64) constexpr float kColumnOf[kLanes] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
alignas(64) constexpr float kRowOf[kLanes] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};

template <int C, bool kWide>
SPLAT2D_INLINED inline void add_spans(const Footprint& footprint, const float* color, int64_t stride,
                                      const Canvas& canvas, float cutoff, int first, int end, float* image) {
  const int footprint_end = footprint.first_slab + footprint.slabs;
  const int begin = footprint.first_slab > first ? footprint.first_slab : first;
  end = footprint_end < end ? footprint_end : end;
  if (begin >= end) return;
  const Shape p = shape_in(footprint);
  const int64_t pitch = splat2d::pitch_of(canvas.width);
  const Lanes u_per_x(p.u_per_x), four(4.0f), limit(kWhitenSquared * (cutoff * cutoff)), column_of = load(kColumnOf);
  Lanes c[C];
  for (int k = 0; k < C; ++k) c[k] = Lanes(color[k * stride]);
  Lanes rows = load(kRowOf) + Lanes(static_cast<float>(kSlab * begin) - p.pixel_y);
  image += (begin - first) * (C * pitch) + 4 * static_cast<int64_t>(p.pixel_x);
  for_each_span<kWide>(footprint, canvas, cutoff, begin, end, [&](int first_column, int blocks) SPLAT2D_INLINED {
    const WhitenedRow<Lanes> row(p, rows);
    float* pixel = image + 4 * first_column;
    Lanes column = column_of + Lanes(static_cast<float>(first_column));
    for (; blocks > 0; --blocks, pixel += kLanes) {
      const Lanes u = fma(column, u_per_x, row.u), weight = weight_of(fma(u, u, row.vv), limit);
      for (int k = 0; k < C; ++k) store(pixel + k * pitch, fma(c[k], weight, load(pixel + k * pitch)));
      column = column + four;
    }
    rows = rows + four;
    image += C * pitch;
  });
}

template <int C>
SPLAT2D_NOINLINE void add_wide(const Footprint& footprint, const float* color, int64_t stride, const Canvas& canvas,
                               float cutoff, int first, int end, float* image) {
  add_spans<C, true>(footprint, color, stride, canvas, cutoff, first, end, image);
}

// Add one Gaussian to the slabs [first, end); `image` points at the first. Its colours lie `stride` apart.
template <int C>
SPLAT2D_INLINED inline void rasterize(const Footprint& footprint, const float* color, int64_t stride,
                                      const Canvas& canvas, float cutoff, int first, int end, float* image) {
  if (footprint.wide) add_wide<C>(footprint, color, stride, canvas, cutoff, first, end, image);
  else add_spans<C, false>(footprint, color, stride, canvas, cutoff, first, end, image);
}

constexpr int kMoments = 5;  // u, v, uu, uv, vv

template <int C, bool kWide>
SPLAT2D_INLINED inline void gather_spans(const Footprint& footprint, const float* color, int64_t stride,
                                         const Canvas& canvas, float cutoff, const float* grad, float* sums) {
  constexpr int kSums = (kMoments + C + 7) / 8 * 8;
  const Shape p = shape_in(footprint);
  const int64_t pitch = splat2d::pitch_of(canvas.width);
  const Lanes u_per_x(p.u_per_x), four(4.0f), zero(0.0f), limit(kWhitenSquared * (cutoff * cutoff));
  const Lanes column_of = load(kColumnOf);
  Lanes c[C], color_sums[C];
  for (int k = 0; k < C; ++k) {
    c[k] = Lanes(color[k * stride]);
    color_sums[k] = zero;
  }
  Moments<Lanes> moments = {zero, zero, zero, zero, zero};
  const int begin = footprint.first_slab, end = begin + footprint.slabs;
  Lanes rows = load(kRowOf) + Lanes(static_cast<float>(kSlab * begin) - p.pixel_y);
  grad += begin * (C * pitch) + 4 * static_cast<int64_t>(p.pixel_x);
  for_each_span<kWide>(footprint, canvas, cutoff, begin, end, [&](int first_column, int blocks) SPLAT2D_INLINED {
    const WhitenedRow<Lanes> row(p, rows);
    const float* pixel = grad + 4 * first_column;
    Lanes column = column_of + Lanes(static_cast<float>(first_column));
    SlabSums<Lanes> slab_sums = {zero, zero};
    for (; blocks > 0; --blocks, pixel += kLanes) {
      const Lanes u = fma(column, u_per_x, row.u), weight = weight_of(fma(u, u, row.vv), limit);
      Lanes g[C];
      for (int k = 0; k < C; ++k) g[k] = load(pixel + k * pitch);
      gather_pixels<C>(weight, u, c, g, &slab_sums, &moments.uu, color_sums);
      column = column + four;
    }
    end_slab(slab_sums, row.v, &moments);
    rows = rows + four;
    grad += C * pitch;
  });
  Lanes all[kSums] = {moments.u, moments.v, moments.uu, moments.uv, moments.vv};
  for (int k = 0; k < C; ++k) all[kMoments + k] = color_sums[k];
  for (int k = kMoments + C; k < kSums; ++k) all[k] = zero;
  float padded[kSums];
  for (int k = 0; k < kSums; k += 8) sum_eight(all + k, padded + k);
  std::memcpy(sums, padded, (kMoments + C) * sizeof(float));
}

template <int C>
SPLAT2D_NOINLINE void gather_wide(const Footprint& footprint, const float* color, int64_t stride, const Canvas& canvas,
                                  float cutoff, const float* grad, float* sums) {
  gather_spans<C, true>(footprint, color, stride, canvas, cutoff, grad, sums);
}

// Gather one Gaussian's sums, moments and then colours, over `grad`, the gradient of the image (zero outside it).
template <int C>
SPLAT2D_INLINED inline void gather(const Footprint& footprint, const float* color, int64_t stride, const Canvas& canvas,
                                   float cutoff, const float* grad, float* sums) {
  if (footprint.wide) gather_wide<C>(footprint, color, stride, canvas, cutoff, grad, sums);
  else gather_spans<C, false>(footprint, color, stride, canvas, cutoff, grad, sums);
}

// Planar [C][H][W] to slabs [first, end), zero outside the image; `image` points at the first.
template <int C>
inline void to_slabs(const float* planar, const Canvas& canvas, int first, int end, float* image) {
  const int64_t plane = static_cast<int64_t>(canvas.width) * canvas.height, pitch = splat2d::pitch_of(canvas.width);
  std::memset(image, 0, (end - first) * C * pitch * sizeof(float));
  for (int slab = first; slab < end; ++slab)
    for (int k = 0; k < C; ++k, image += pitch)
      for (int row = 0; row < kSlab && kSlab * slab + row < canvas.height; ++row) {
        const float* const from = planar + k * plane + static_cast<int64_t>(kSlab * slab + row) * canvas.width;
        for (int column = 0; column < canvas.width; ++column) image[kSlab * column + row] = from[column];
      }
}

// From slabs [first, end) to a planar image that holds `rows` rows of the whole, from `top` on.
template <int C>
inline void from_slabs(const float* image, const Canvas& canvas, int first, int end, int top, int rows, float* planar) {
  const int64_t plane = static_cast<int64_t>(canvas.width) * rows, pitch = splat2d::pitch_of(canvas.width);
  for (int slab = first; slab < end; ++slab)
    for (int k = 0; k < C; ++k, image += pitch)
      for (int row = 0; row < kSlab; ++row) {
        const int y = kSlab * slab + row - top;
        if (y < 0 || y >= rows) continue;
        float* const to = planar + k * plane + static_cast<int64_t>(y) * canvas.width;
        for (int column = 0; column < canvas.width; ++column) to[column] = image[kSlab * column + row];
      }
}

}  // namespace SPLAT2D_NAMESPACE
