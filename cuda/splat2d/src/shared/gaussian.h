// The mathematics of one 2D Gaussian, shared by the C++ and the CUDA rasterizer.
//
// A term c exp(-q / 2) is evaluated in whitened coordinates scaled so that the weight is a power of two:
//     u = k (dx - slope dy) / sigma_x|y,   v = k dy / sigma_y,   k^2 = log2(e) / 2,   slope = S_xy / S_yy,
//     weight = 2^-(u^2 + v^2),   zero if u^2 + v^2 > k^2 cutoff^2.
// As a sum of squares it does not cancel at any correlation, and v is constant along a row of pixels. V is float (one
// GPU thread is one lane) or a vector of lanes with the same functions overloaded. All arithmetic is IEEE with
// explicit fma, so that every instruction set and every GPU gives the same bits. NVRTC has no standard headers.
#pragma once

#if defined(__CUDACC__)
#define SPLAT2D_FN __device__ __forceinline__
#define SPLAT2D_INLINED
#define SPLAT2D_SQRT(x) __fsqrt_rn(x)
#define SPLAT2D_FMA(a, b, c) __fmaf_rn(a, b, c)
#define SPLAT2D_FLOOR(x) floorf(x)
#else
#include <cmath>
#include <cstring>
#define SPLAT2D_FN SPLAT2D_INLINED inline
#if defined(__GNUC__)
#define SPLAT2D_INLINED __attribute__((always_inline))  // in inner loops, or their vectors are spilled
#define SPLAT2D_NOINLINE __attribute__((noinline))      // rare cases, which leaves the registers to the rest
#else
#define SPLAT2D_INLINED
#define SPLAT2D_NOINLINE
#endif
#define SPLAT2D_SQRT(x) std::sqrt(x)
#define SPLAT2D_FMA(a, b, c) std::fma(a, b, c)
#define SPLAT2D_FLOOR(x) std::floor(x)
#endif

#ifndef SPLAT2D_NAMESPACE
#define SPLAT2D_NAMESPACE splat2d
#endif

namespace SPLAT2D_NAMESPACE {

constexpr float kWhiten = 0.84932180028801904272f;           // k = sqrt(log2(e) / 2)
constexpr float kWhitenSquared = 0.72134752044448170368f;    // k^2
constexpr float kUnwhitenSquared = 1.38629436111989061883f;  // 1 / k^2 = 2 ln 2

// Pixels are visited slab by slab, and within one in blocks of four columns, which may begin at any column.
constexpr int kSlab = 4;    // rows of a slab
constexpr int kLanes = 16;  // pixels of a block

// Adding kRound leaves the nearest integer in a float's low bits.
constexpr float kRound = 12582912.0f;  // 1.5 2^23

#if defined(__CUDACC__)
SPLAT2D_FN unsigned bits_of(float a) { return __float_as_uint(a); }
SPLAT2D_FN float float_of(unsigned bits) { return __uint_as_float(bits); }
#else
SPLAT2D_FN unsigned bits_of(float a) {
  unsigned bits;
  std::memcpy(&bits, &a, sizeof bits);
  return bits;
}
SPLAT2D_FN float float_of(unsigned bits) {
  float a;
  std::memcpy(&a, &bits, sizeof a);
  return a;
}
#endif
SPLAT2D_FN float fma(float a, float b, float c) { return SPLAT2D_FMA(a, b, c); }
// The functions of a lane, for V = float; cpu/simd.h has them for vectors.
// p 2^n if `m` holds, otherwise zero; `whole` is kRound - n, and the result a normal float.
SPLAT2D_FN float scaled_where(bool m, float p, float whole, float) {
  return m ? float_of(bits_of(p) - (bits_of(whole) << 23)) : 0.0f;
}
SPLAT2D_FN bool at_most(float a, float b) { return a <= b; }
SPLAT2D_FN float where(bool m, float a) { return m ? a : 0.0f; }
SPLAT2D_FN float smaller(float a, float b) { return a < b ? a : b; }  // of NaN and b: b
SPLAT2D_FN float larger(float a, float b) { return a > b ? a : b; }

// An image's extent in pixels, and in slabs.
struct Canvas {
  int width, height, slabs;
  SPLAT2D_FN Canvas(int w, int h) : width(w), height(h), slabs((h + kSlab - 1) / kSlab) {}
};

// A Gaussian as the rasterizers use it. Pixels are counted from the one that holds the mean, (pixel_x, pixel_y), in
// whole numbers, which keeps precision in large images: dx = (column - pixel_x) + offset_x, and dy likewise.
struct Shape {
  float u_per_x, u_per_y, v_per_y;  // u = u_per_x dx + u_per_y dy,  v = v_per_y dy
  float offset_x, offset_y;         // from the mean to the centre of its pixel
  float pixel_x, pixel_y;           // column and row of the mean's pixel, moved into the image; pixel_x < 0: invalid
};

// The largest slope that remains finite when squared and summed; a steeper Gaussian is too thin for any pixel grid.
constexpr float kSteepest = 1e18f;

// From the covariance: S_xy, S_yy and sqrt(det S). A Gaussian that cannot be rasterized, such as NaN, gets a negative
// pixel_x.
SPLAT2D_FN Shape shape_of(float mx, float my, float sxy, float syy, float root_det, const Canvas& canvas) {
  const float sy = SPLAT2D_SQRT(syy);
  Shape p;
  p.u_per_x = kWhiten * sy / root_det;
  p.u_per_y = -(sxy / syy) * p.u_per_x;
  p.v_per_y = kWhiten / sy;
  const float right = static_cast<float>(canvas.width - 1), bottom = static_cast<float>(canvas.height - 1);
  const float x = SPLAT2D_FLOOR(mx), y = SPLAT2D_FLOOR(my);
  p.pixel_x = x > 0.0f ? (x < right ? x : right) : 0.0f;
  p.pixel_y = y > 0.0f ? (y < bottom ? y : bottom) : 0.0f;
  p.offset_x = (p.pixel_x - mx) + 0.5f;
  p.offset_y = (p.pixel_y - my) + 0.5f;
  const float size = mx * 0.0f + my * 0.0f;  // NaN unless the mean is finite
  const bool rasterized = p.u_per_x > 0.0f && p.u_per_x <= kSteepest && p.u_per_y + size >= -kSteepest &&
                          p.u_per_y <= kSteepest && p.v_per_y <= kSteepest;
  p.pixel_x = rasterized ? p.pixel_x : -1.0f;
  return p;
}

SPLAT2D_FN Shape shape_of_cholesky(float mx, float my, float l11, float l21, float l22, const Canvas& canvas) {
  return shape_of(mx, my, l11 * l21, SPLAT2D_FMA(l21, l21, l22 * l22), l11 * l22, canvas);
}

// The cut-off ellipse around the mean, in pixels; enlarged a little to allow for rounding.
struct Ellipse {
  float reach_x, reach_y;  // half width and half height
  float slope;             // dx per dy of the line midway between the left and right boundary
  float half_width;        // at dy = 0
  float inv_reach_y2;      // 1 / reach_y^2
  float tip;               // dy of the rightmost point
  float margin;            // bound of the rounding error in the spans below
};

SPLAT2D_FN Ellipse ellipse_of(const Shape& p, float cutoff) {
  const float radius = cutoff * kWhiten, reach = radius / p.v_per_y;
  Ellipse e;
  e.slope = -p.u_per_y / p.u_per_x;
  e.half_width = radius / p.u_per_x;
  const float shear = e.slope * reach, x = SPLAT2D_SQRT(SPLAT2D_FMA(shear, shear, e.half_width * e.half_width));
  e.tip = reach * (shear / x);
  e.inv_reach_y2 = 1.0f / (reach * reach);
  e.reach_y = SPLAT2D_FMA(1e-5f, reach, reach) + 1e-2f;
  e.margin = 1e-2f + 1e-3f * e.half_width + 1e-5f * x;
  e.reach_x = x + e.margin;
  return e;
}

// The slabs [first, end) of the image that the ellipse may touch; floats, because it may lie far outside.
struct SlabRange {
  float first, end;
};

SPLAT2D_FN SlabRange slabs_of(const Shape& p, const Ellipse& e, const Canvas& canvas) {
  const float top = p.pixel_y - SPLAT2D_FLOOR(p.offset_y + e.reach_y),
              bottom = p.pixel_y + SPLAT2D_FLOOR(e.reach_y - p.offset_y);
  const float last = static_cast<float>(canvas.slabs);
  const float first = SPLAT2D_FLOOR(top * 0.25f), end = SPLAT2D_FLOOR(bottom * 0.25f) + 1.0f;
  SlabRange range = {first > 0.0f ? first : 0.0f, end < last ? end : last};
  // Empty as well if the ellipse lies left or right of the image, or the Gaussian is invalid.
  const float left = p.pixel_x - SPLAT2D_FLOOR(p.offset_x + e.reach_x),
              right = p.pixel_x + SPLAT2D_FLOOR(e.reach_x - p.offset_x);
  const bool seen =
      p.pixel_x >= 0.0f && right >= 0.0f && left < static_cast<float>(canvas.width) && range.first < range.end;
  range.first = seen ? range.first : 0.0f;
  range.end = seen ? range.end : 0.0f;
  return range;
}

// The scanline span of one slab, the columns that the ellipse may touch in it: `blocks` blocks of four columns, from
// column pixel_x + first_column.
struct Span {
  float first_column, blocks;
};

// The right boundary slope dy + half_width sqrt(1 - dy^2 / reach^2) is concave: largest at the tip, or at the end of
// the slab nearest to it; the left boundary mirrors it.
SPLAT2D_FN Span span_of(const Shape& p, const Ellipse& e, const Canvas& canvas, float slab) {
  const float from = SPLAT2D_FMA(4.0f, slab, -p.pixel_y) + p.offset_y, to = from + (kSlab - 1);
  const float dy0 = from < -e.reach_y ? -e.reach_y : from, dy1 = to > e.reach_y ? e.reach_y : to;
  const float at_right = e.tip < dy0 ? dy0 : (e.tip > dy1 ? dy1 : e.tip);
  const float at_left = -e.tip < dy0 ? dy0 : (-e.tip > dy1 ? dy1 : -e.tip);
  const float room_right = SPLAT2D_FMA(-at_right * at_right, e.inv_reach_y2, 1.0f);
  const float room_left = SPLAT2D_FMA(-at_left * at_left, e.inv_reach_y2, 1.0f);
  const float wide_right = SPLAT2D_SQRT(room_right > 0.0f ? room_right : 0.0f) * e.half_width + e.margin;
  const float wide_left = SPLAT2D_SQRT(room_left > 0.0f ? room_left : 0.0f) * e.half_width + e.margin;
  const float left = -SPLAT2D_FLOOR(p.offset_x - SPLAT2D_FMA(e.slope, at_left, -wide_left));
  const float right = SPLAT2D_FLOOR(SPLAT2D_FMA(e.slope, at_right, wide_right) - p.offset_x);
  const float low = -p.pixel_x, high = static_cast<float>(canvas.width - 1) - p.pixel_x;
  Span span;
  span.first_column = left > low ? (left < high ? left : high) : low;
  const float columns = left <= high ? (right < high ? right : high) - span.first_column + 1.0f : 0.0f;
  span.blocks = columns > 0.0f ? SPLAT2D_FLOOR((columns + 3.0f) * 0.25f) : 0.0f;
  return span;
}

// Whitened coordinates of the pixels of one row or, with lanes, of one slab: v, v^2, and u at column pixel_x.
// `row` is counted from pixel_y.
template <class V>
struct WhitenedRow {
  V v, vv, u;
  SPLAT2D_FN WhitenedRow(const Shape& p, V row) {
    const V dy = row + V(p.offset_y);
    v = dy * V(p.v_per_y);
    vv = v * v;
    u = fma(dy, V(p.u_per_y), V(p.offset_x * p.u_per_x));
  }
};

// 2^-r if r <= `limit`, which is at most 120; otherwise zero. -r = n - f with n whole and |f| <= 1/2: a polynomial of
// degree 5 for 2^-f (relative error 1e-7), by Estrin's scheme because its dependency chain is short, and n is added to
// the exponent.
template <class V>
SPLAT2D_FN V weight_of(V r, V limit) {
  const V whole = r + V(kRound);
  const V n = V(kRound) - whole;
  const V f = n + r;
  const V low = fma(f, V(-6.931470037e-1f), V(1.0f));
  const V middle = fma(f, V(-5.550733581e-2f), V(2.402224243e-1f));
  const V high = fma(f, V(-1.326472731e-3f), V(9.671512991e-3f));
  const V square = f * f;
  return scaled_where(at_most(r, limit), fma(fma(high, square, middle), square, low), whole, n);
}

// Sums over the pixels of t = weight * sum_c color_c grad_c with powers of (u, v).
template <class V>
struct Moments {
  V u, v, uu, uv, vv;
};

// The same sums within a slab, in which v depends on the row alone.
template <class V>
struct SlabSums {
  V t, tu;
};

// Add the pixels at whitened u, with the image's gradient g, to a Gaussian's sums over its footprint.
template <int C, class V>
SPLAT2D_FN void gather_pixels(V weight, V u, const V* color, const V* g, SlabSums<V>* slab, V* uu, V* color_sums) {
  V dot = color[0] * g[0];
  for (int k = 1; k < C; ++k) dot = fma(color[k], g[k], dot);
  for (int k = 0; k < C; ++k) color_sums[k] = fma(weight, g[k], color_sums[k]);
  const V term = weight * dot, tu = term * u;
  slab->t = slab->t + term;
  slab->tu = slab->tu + tu;
  *uu = fma(tu, u, *uu);
}

template <class V>
SPLAT2D_FN void end_slab(const SlabSums<V>& slab, V v, Moments<V>* sums) {
  const V tv = slab.t * v;
  sums->u = sums->u + slab.tu;
  sums->v = sums->v + tv;
  sums->uv = fma(slab.tu, v, sums->uv);
  sums->vv = fma(tv, v, sums->vv);
}

// Gradients of a loss with respect to the mean and to the covariance S, whose off-diagonal entry stands in two places.
struct Gradient {
  float mx, my, s11, s12, s22;
};

// With W = [[s, t], [0, w]] = [[u_per_x, u_per_y], [0, v_per_y]], S^-1 d = W^T (u, v) / k^2; so the gradient with
// respect to S is W^T M W / (2 k^4), M being the second moments.
SPLAT2D_FN Gradient gradient_of(const Moments<float>& m, float s, float t, float w) {
  const float u = m.u * kUnwhitenSquared, v = m.v * kUnwhitenSquared;
  constexpr float kScale = 0.5f * kUnwhitenSquared * kUnwhitenSquared;
  const float uu = m.uu * kScale, uv = m.uv * kScale, vv = m.vv * kScale;
  Gradient g;
  g.mx = s * u;
  g.my = SPLAT2D_FMA(t, u, w * v);
  g.s11 = s * s * uu;
  g.s12 = s * SPLAT2D_FMA(t, uu, w * uv);
  g.s22 = SPLAT2D_FMA(t, SPLAT2D_FMA(t, uu, 2.0f * (w * uv)), w * w * vv);
  return g;
}

// With respect to the Cholesky factor L of S = L L^T: the lower half of 2 G L.
SPLAT2D_FN void cholesky_gradient(const Gradient& g, const float* l, float* gradient) {
  gradient[0] = 2.0f * SPLAT2D_FMA(g.s11, l[0], g.s12 * l[1]);
  gradient[1] = 2.0f * SPLAT2D_FMA(g.s12, l[0], g.s22 * l[1]);
  gradient[2] = 2.0f * (g.s22 * l[2]);
}

}  // namespace SPLAT2D_NAMESPACE
