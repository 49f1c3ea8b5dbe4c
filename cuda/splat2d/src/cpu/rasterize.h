// Rendering and its gradient over images stored in slabs: four rows, channel after channel, column by column.
//
// Sixteen pixels, four columns of a slab, lie side by side from any column on, so a Gaussian reads and writes whole
// vectors that begin where its ellipse does; what lies outside the ellipse is masked. A pixel sums its Gaussians in
// index order and a Gaussian gathers its gradient over its own footprint: neither depends on threads, bands or
// batch.
#pragma once

#include <cmath>
#include <cstdint>

#include "simd.h"
#include "footprints.h"

namespace SPLAT2D_NAMESPACE {

alignas(64) constexpr float kColumnOf[kLanes] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
alignas(64) constexpr float kRowOf[kLanes] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};

template <int C, bool kWide>
SPLAT2D_INLINED inline void add_runs(const Plan& plan, const float* color, int64_t stride, const Canvas& canvas,
                                     float cutoff, int first, int last, float* image) {
  const int begin = plan.first > first ? plan.first : first;
  const int end = plan.first + plan.slabs < last ? plan.first + plan.slabs : last;
  if (begin >= end) return;
  const Shape p = shape_in(plan);
  const int64_t pitch = splat2d::pitch_of(canvas.width);
  const Lanes s(p.s), four(4.0f), limit(kWhitenSquared * (cutoff * cutoff)), column_of = load(kColumnOf);
  Lanes c[C];
  for (int k = 0; k < C; ++k) c[k] = Lanes(color[k * stride]);
  Lanes from_oy = load(kRowOf) + Lanes(static_cast<float>(kSlab * begin) - p.oy);
  image += (begin - first) * (C * pitch) + 4 * static_cast<int64_t>(p.ox);
  for_each_run<kWide>(plan, canvas, cutoff, begin, end, [&](int kx, int visits) SPLAT2D_INLINED {
    const Row<Lanes> row(p, from_oy);
    float* pixel = image + 4 * kx;
    Lanes column = column_of + Lanes(static_cast<float>(kx));
    for (; visits > 0; --visits, pixel += kLanes) {
      const Lanes u = fma(column, s, row.u), weight = weight_of(fma(u, u, row.vv), limit);
      for (int k = 0; k < C; ++k) store(pixel + k * pitch, fma(c[k], weight, load(pixel + k * pitch)));
      column = column + four;
    }
    from_oy = from_oy + four;
    image += C * pitch;
  });
}

template <int C>
SPLAT2D_APART void add_wide(const Plan& plan, const float* color, int64_t stride, const Canvas& canvas, float cutoff,
                            int first, int last, float* image) {
  add_runs<C, true>(plan, color, stride, canvas, cutoff, first, last, image);
}

// Add one Gaussian to the slabs [first, last); `image` points at the first. Its colours lie `stride` apart.
template <int C>
SPLAT2D_INLINED inline void add(const Plan& plan, const float* color, int64_t stride, const Canvas& canvas,
                                float cutoff, int first, int last, float* image) {
  if (plan.wide) add_wide<C>(plan, color, stride, canvas, cutoff, first, last, image);
  else add_runs<C, false>(plan, color, stride, canvas, cutoff, first, last, image);
}

constexpr int kMoments = 5;  // u, v, uu, uv, vv

template <int C, bool kWide>
SPLAT2D_INLINED inline void gather_runs(const Plan& plan, const float* color, int64_t stride, const Canvas& canvas,
                                        float cutoff, const float* grad, float* sums) {
  constexpr int kSums = (kMoments + C + 7) / 8 * 8;
  const Shape p = shape_in(plan);
  const int64_t pitch = splat2d::pitch_of(canvas.width);
  const Lanes s(p.s), four(4.0f), zero(0.0f), limit(kWhitenSquared * (cutoff * cutoff)), column_of = load(kColumnOf);
  Lanes c[C], of_color[C];
  for (int k = 0; k < C; ++k) {
    c[k] = Lanes(color[k * stride]);
    of_color[k] = zero;
  }
  Moments<Lanes> moments = {zero, zero, zero, zero, zero};
  Lanes from_oy = load(kRowOf) + Lanes(static_cast<float>(kSlab * plan.first) - p.oy);
  grad += plan.first * (C * pitch) + 4 * static_cast<int64_t>(p.ox);
  const int end = plan.first + plan.slabs;
  for_each_run<kWide>(plan, canvas, cutoff, plan.first, end, [&](int kx, int visits) SPLAT2D_INLINED {
    const Row<Lanes> row(p, from_oy);
    const float* pixel = grad + 4 * kx;
    Lanes column = column_of + Lanes(static_cast<float>(kx));
    SlabSums<Lanes> of_slab = {zero, zero};
    for (; visits > 0; --visits, pixel += kLanes) {
      const Lanes u = fma(column, s, row.u), weight = weight_of(fma(u, u, row.vv), limit);
      Lanes g[C];
      for (int k = 0; k < C; ++k) g[k] = load(pixel + k * pitch);
      gather_pixels<C>(weight, u, c, g, &of_slab, &moments.uu, of_color);
      column = column + four;
    }
    end_slab(of_slab, row.v, &moments);
    from_oy = from_oy + four;
    grad += C * pitch;
  });
  Lanes all[kSums] = {moments.u, moments.v, moments.uu, moments.uv, moments.vv};
  for (int k = 0; k < C; ++k) all[kMoments + k] = of_color[k];
  for (int k = kMoments + C; k < kSums; ++k) all[k] = zero;
  float padded[kSums];
  for (int k = 0; k < kSums; k += 8) sum_eight(all + k, padded + k);
  std::memcpy(sums, padded, (kMoments + C) * sizeof(float));
}

template <int C>
SPLAT2D_APART void gather_wide(const Plan& plan, const float* color, int64_t stride, const Canvas& canvas,
                               float cutoff, const float* grad, float* sums) {
  gather_runs<C, true>(plan, color, stride, canvas, cutoff, grad, sums);
}

// Gather one Gaussian's sums, moments and then colours, over `grad`, the gradient of the image (zero outside it).
template <int C>
SPLAT2D_INLINED inline void gather(const Plan& plan, const float* color, int64_t stride, const Canvas& canvas,
                                   float cutoff, const float* grad, float* sums) {
  if (plan.wide) gather_wide<C>(plan, color, stride, canvas, cutoff, grad, sums);
  else gather_runs<C, false>(plan, color, stride, canvas, cutoff, grad, sums);
}

// Planar [C][H][W] to slabs [first, last), zero beside the image; `image` points at the first.
template <int C>
inline void to_slabs(const float* planar, const Canvas& canvas, int first, int last, float* image) {
  const int64_t plane = static_cast<int64_t>(canvas.width) * canvas.height, pitch = splat2d::pitch_of(canvas.width);
  std::memset(image, 0, (last - first) * C * pitch * sizeof(float));
  for (int slab = first; slab < last; ++slab)
    for (int k = 0; k < C; ++k, image += pitch)
      for (int row = 0; row < kSlab && kSlab * slab + row < canvas.height; ++row) {
        const float* const from = planar + k * plane + static_cast<int64_t>(kSlab * slab + row) * canvas.width;
        for (int column = 0; column < canvas.width; ++column) image[kSlab * column + row] = from[column];
      }
}

// And back, into a planar image that holds `rows` rows of the whole, from `top` on.
template <int C>
inline void from_slabs(const float* image, const Canvas& canvas, int first, int last, int top, int rows,
                       float* planar) {
  const int64_t plane = static_cast<int64_t>(canvas.width) * rows, pitch = splat2d::pitch_of(canvas.width);
  for (int slab = first; slab < last; ++slab)
    for (int k = 0; k < C; ++k, image += pitch)
      for (int row = 0; row < kSlab; ++row) {
        const int y = kSlab * slab + row - top;
        if (y < 0 || y >= rows) continue;
        float* const to = planar + k * plane + static_cast<int64_t>(y) * canvas.width;
        for (int column = 0; column < canvas.width; ++column) to[column] = image[kSlab * column + row];
      }
}

}  // namespace SPLAT2D_NAMESPACE
