// The mathematics of one 2D Gaussian, shared by the CPU and CUDA kernels (DESIGN 4).
//
// A term c exp(-q / 2) is evaluated in whitened coordinates scaled so that the weight is a power of two:
//     u = k (x - mx) / l11,   v = k ((y - my) - l21 (x - mx) / l11) / l22,   k^2 = log2(e) / 2,
//     weight = 2^-(u^2 + v^2),   dropped where u^2 + v^2 > k^2 cutoff^2.
// The Cholesky form is a sum of squares: no cancellation at any correlation. V is float, or a vector of
// lanes with +, -, *, fma, rounded, scaled, at_least overloaded; everything is IEEE arithmetic with explicit
// fma, so every instruction set gives the same bits.
#pragma once

#if defined(__CUDACC__)
#define SPLAT2D_FN __device__ __forceinline__
#define SPLAT2D_SQRT(x) __fsqrt_rn(x)
#define SPLAT2D_FMA(a, b, c) __fmaf_rn(a, b, c)
#else
#include <cmath>
#define SPLAT2D_FN inline
#define SPLAT2D_SQRT(x) std::sqrt(x)
#define SPLAT2D_FMA(a, b, c) std::fma(a, b, c)
#endif

#ifndef SPLAT2D_NAMESPACE
#define SPLAT2D_NAMESPACE splat2d
#endif

namespace SPLAT2D_NAMESPACE {

constexpr float kWhiten = 0.84932180028801904272f;         // k = sqrt(log2(e) / 2)
constexpr float kWhitenSquared = 0.72134752044448170368f;  // k^2
constexpr float kUnwhiten = 1.17741002251547469101f;       // 1 / k
constexpr float kUnwhitenSquared = 1.38629436111989061883f;  // 1 / k^2 = 2 ln 2

// What the kernels need of a Gaussian: its whitening and its cut-off ellipse.
struct Shape {
  float mx, my;       // mean, pixels
  float iu, jv, m;    // u = iu dx,  v = jv dy + m u
  float reach_y;      // half height of the ellipse, pixels
  float slope;        // x of the ellipse's axis of conjugate points, per unit of dy: S_xy / S_yy
  float half_width;   // half width of the ellipse at dy = 0
  float inv_reach_y2; // 1 / reach_y^2
  float tip;          // dy of the ellipse's rightmost point: cutoff l21
  float margin;       // what rounding may cost the bounds below, pixels
};

SPLAT2D_FN Shape prepare(float mx, float my, float l11, float l21, float l22, float cutoff) {
  const float syy = SPLAT2D_FMA(l21, l21, l22 * l22);
  const float sy = SPLAT2D_SQRT(syy);
  Shape s;
  s.mx = mx;
  s.my = my;
  s.iu = kWhiten / l11;
  s.jv = kWhiten / l22;
  s.m = -l21 / l22;
  s.slope = l11 * (l21 / syy);
  s.half_width = cutoff * (l11 * (l22 / sy));
  const float reach = cutoff * sy;
  s.inv_reach_y2 = 1.0f / (reach * reach);
  s.reach_y = SPLAT2D_FMA(1e-5f, reach, reach) + 1e-2f;
  s.tip = cutoff * l21;
  s.margin = 1e-2f + 1e-3f * s.half_width + 1e-5f * (cutoff * l11);
  return s;
}

// The ellipse's extent in x, relative to the mean, over a slab of rows dy0..dy1 (a superset, by a margin).
// Its right boundary slope dy + half_width sqrt(1 - dy^2 / reach^2) is concave: highest at the tip, or at the
// end of the slab nearest to it.
SPLAT2D_FN void slab_extent(const Shape& s, float dy0, float dy1, float* left, float* right) {
  const float near_right = s.tip < dy0 ? dy0 : (s.tip > dy1 ? dy1 : s.tip);
  const float near_left = -s.tip < dy0 ? dy0 : (-s.tip > dy1 ? dy1 : -s.tip);
  const float room_right = SPLAT2D_FMA(-near_right * near_right, s.inv_reach_y2, 1.0f);
  const float room_left = SPLAT2D_FMA(-near_left * near_left, s.inv_reach_y2, 1.0f);
  *right = s.slope * near_right + s.half_width * SPLAT2D_SQRT(room_right > 0 ? room_right : 0) + s.margin;
  *left = s.slope * near_left - s.half_width * SPLAT2D_SQRT(room_left > 0 ? room_left : 0) - s.margin;
}

// 2^-r for r >= 0: split into n + f, |f| <= 1/2, and a polynomial of degree 5 for 2^f (relative error 1e-7).
template <class V>
SPLAT2D_FN V exp2_negative(V r) {
  const V t = at_least(-r, -126.0f);
  const V n = rounded(t);
  const V f = t - n;
  V p = fma(f, V(1.326472731e-3f), V(9.671512991e-3f));
  p = fma(f, p, V(5.550733581e-2f));
  p = fma(f, p, V(2.402224243e-1f));
  p = fma(f, p, V(6.931470037e-1f));
  p = fma(f, p, V(1.0f));
  return scaled(p, n);
}

// Sums over the pixels of t = weight * sum_c color_c grad_c with powers of (u, v); and their gradients.
template <class V>
struct Moments {
  V u, v, uu, uv, vv;
};

struct Gradient {
  float mx, my, l11, l21, l22;
};

SPLAT2D_FN Gradient gradient(const Moments<float>& t, float l11, float l21, float l22) {
  const float a = t.u * kUnwhiten, b = t.v * kUnwhiten;
  const float p = t.uu * kUnwhitenSquared, q = t.uv * kUnwhitenSquared, r = t.vv * kUnwhitenSquared;
  const float ratio = l21 / l22;
  Gradient g;
  g.mx = SPLAT2D_FMA(-b, ratio, a) / l11;
  g.my = b / l22;
  g.l11 = SPLAT2D_FMA(-q, ratio, p) / l11;
  g.l21 = q / l22;
  g.l22 = r / l22;
  return g;
}

}  // namespace SPLAT2D_NAMESPACE
