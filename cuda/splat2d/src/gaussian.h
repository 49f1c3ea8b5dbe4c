// The mathematics of one 2D Gaussian, shared by the CPU and CUDA kernels.
//
// A term c exp(-q / 2) is evaluated in whitened coordinates scaled so that the weight is a power of two:
//     u = k (x - mx) / l11,   v = k ((y - my) - l21 (x - mx) / l11) / l22,   k^2 = log2(e) / 2,
//     weight = 2^-(u^2 + v^2),   dropped where u^2 + v^2 > k^2 cutoff^2.
// The Cholesky form is a sum of squares: no cancellation at any correlation. V is float (a GPU thread is a lane
// of its own), or a vector of lanes with the same functions overloaded; everything is IEEE arithmetic with
// explicit fma, so every instruction set and every GPU gives the same bits. NVRTC has no standard headers.
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
#define SPLAT2D_FN inline
#if defined(__GNUC__)
#define SPLAT2D_INLINED __attribute__((always_inline))  // lambdas of inner loops, else their vectors go to memory
#else
#define SPLAT2D_INLINED
#endif
#define SPLAT2D_SQRT(x) std::sqrt(x)
#define SPLAT2D_FMA(a, b, c) std::fma(a, b, c)
#define SPLAT2D_FLOOR(x) std::floor(x)
#endif

#ifndef SPLAT2D_NAMESPACE
#define SPLAT2D_NAMESPACE splat2d
#endif

namespace SPLAT2D_NAMESPACE {

constexpr float kWhiten = 0.84932180028801904272f;         // k = sqrt(log2(e) / 2)
constexpr float kWhitenSquared = 0.72134752044448170368f;  // k^2
constexpr float kUnwhiten = 1.17741002251547469101f;       // 1 / k
constexpr float kUnwhitenSquared = 1.38629436111989061883f;  // 1 / k^2 = 2 ln 2
constexpr int kBlock = 4;                                   // pixels are visited in aligned blocks of 4x4
constexpr int kLanes = 16;

// One lane as a float. Adding kRound leaves the nearest integer in a float's low bits.
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
// p / 2^n, where `whole` is n + kRound and the result a normal float.
SPLAT2D_FN float halved(float p, float whole) { return float_of(bits_of(p) - (bits_of(whole) << 23)); }
SPLAT2D_FN bool at_most(float a, float b) { return a <= b; }
SPLAT2D_FN float where(bool m, float a) { return m ? a : 0.0f; }

// What the kernels need of a Gaussian: its whitening and its cut-off ellipse.
struct Shape {
  float mx, my;       // mean, pixels
  float iu, jv, m;    // u = iu dx,  v = jv dy + m u
  float reach_y;      // half height of the ellipse, pixels, and
  float reach_x;      // half width; both a little more than exact
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
  s.reach_x = cutoff * l11 + s.margin;
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

// An image's extent in pixels and in blocks.
struct Blocks {
  int width, height, columns, rows;
  SPLAT2D_FN Blocks(int w, int h)
      : width(w), height(h), columns((w + kBlock - 1) / kBlock), rows((h + kBlock - 1) / kBlock) {}
};

// Rows of blocks that the ellipse may touch, in or out of the image.
SPLAT2D_FN void block_rows(const Shape& s, float* top, float* bottom) {
  *top = SPLAT2D_FLOOR((s.my - s.reach_y - 0.5f) * 0.25f);
  *bottom = SPLAT2D_FLOOR((s.my + s.reach_y - 0.5f) * 0.25f);
}

// The same for the blocks of one such row.
SPLAT2D_FN void block_columns(const Shape& s, int row, float* from, float* to) {
  const float dy0 = static_cast<float>(kBlock * row) + 0.5f - s.my, dy1 = dy0 + (kBlock - 1);
  float left, right;
  slab_extent(s, dy0 < -s.reach_y ? -s.reach_y : dy0, dy1 > s.reach_y ? s.reach_y : dy1, &left, &right);
  *from = SPLAT2D_FLOOR((s.mx + left - 0.5f) * 0.25f);
  *to = SPLAT2D_FLOOR((s.mx + right - 0.5f) * 0.25f);
}

constexpr int kFewColumns = 4;  // blocks: up to sixteen pixels wide

// Call f(row, column, u, v, r) for every block of rows [first, last) that the ellipse may touch: u, v are the
// whitened coordinates of the block's pixels at (row_of, column_of), r = u^2 + v^2. A NaN touches nothing.
template <class V, class F>
SPLAT2D_FN void for_each_block(const Shape& s, const Blocks& blocks, int first, int last, V column_of, V row_of, F f) {
  float top, bottom;
  block_rows(s, &top, &bottom);
  const float from = SPLAT2D_FLOOR((s.mx - s.reach_x - 0.5f) * 0.25f);
  const float to = SPLAT2D_FLOOR((s.mx + s.reach_x - 0.5f) * 0.25f);
  if (!(top < last && bottom >= first && from < blocks.columns && to >= 0)) return;
  const int row0 = top > first ? static_cast<int>(top) : first;
  const int row1 = bottom < last - 1 ? static_cast<int>(bottom) : last - 1;
  const int column0 = from > 0 ? static_cast<int>(from) : 0;
  const int column1 = to < blocks.columns - 1 ? static_cast<int>(to) : blocks.columns - 1;
  const V mx(s.mx), my(s.my), iu(s.iu), jv(s.jv), m(s.m);
  const auto u_of = [&](int column) SPLAT2D_INLINED {
    return ((V(static_cast<float>(kBlock * column) + 0.5f) + column_of) - mx) * iu;
  };
  const auto vy_of = [&](int row) SPLAT2D_INLINED {
    return ((V(static_cast<float>(kBlock * row) + 0.5f) + row_of) - my) * jv;
  };
  if (column1 - column0 < kFewColumns) {
    // The whole box: finding each row's own extent costs more than the few corner blocks that it saves.
    V u[kFewColumns];
    for (int column = column0; column <= column1; ++column) u[column - column0] = u_of(column);
    for (int row = row0; row <= row1; ++row) {
      const V vy = vy_of(row);
      for (int column = column0; column <= column1; ++column) {
        const V x = u[column - column0], y = fma(m, x, vy);
        f(row, column, x, y, fma(x, x, y * y));
      }
    }
    return;
  }
  for (int row = row0; row <= row1; ++row) {
    float row_from, row_to;
    block_columns(s, row, &row_from, &row_to);
    if (!(row_from <= column1 && row_to >= column0)) continue;
    const int start = row_from > column0 ? static_cast<int>(row_from) : column0;
    const int end = row_to < column1 ? static_cast<int>(row_to) : column1;
    const V vy = vy_of(row);
    for (int column = start; column <= end; ++column) {
      const V x = u_of(column), y = fma(m, x, vy);
      f(row, column, x, y, fma(x, x, y * y));
    }
  }
}

// 2^-r for r from 0 to 120, and no trap beyond: r = n - f with n whole and |f| <= 1/2, a polynomial of degree 5 for
// 2^f (relative error 1e-7) by Estrin's scheme, whose chain is short, and n taken from the exponent.
template <class V>
SPLAT2D_FN V exp2_negative(V r) {
  const V whole = r + V(kRound);
  const V f = (whole - V(kRound)) - r;
  const V low = fma(f, V(6.931470037e-1f), V(1.0f));
  const V middle = fma(f, V(5.550733581e-2f), V(2.402224243e-1f));
  const V high = fma(f, V(1.326472731e-3f), V(9.671512991e-3f));
  const V square = f * f;
  return halved(fma(fma(high, square, middle), square, low), whole);
}

// Sums over the pixels of t = weight * sum_c color_c grad_c with powers of (u, v); and their gradients.
template <class V>
struct Moments {
  V u, v, uu, uv, vv;
};

// Add the pixels at whitened (u, v), where the image's gradient is g, to a Gaussian's sums over its footprint.
template <int C, class V>
SPLAT2D_FN void gather_pixels(V weight, V u, V v, const V* color, const V* g, Moments<V>* t, V* color_sums) {
  V dot = color[0] * g[0];
  for (int k = 1; k < C; ++k) dot = fma(color[k], g[k], dot);
  for (int k = 0; k < C; ++k) color_sums[k] = fma(weight, g[k], color_sums[k]);
  const V term = weight * dot, tu = term * u, tv = term * v;
  t->u = t->u + tu;
  t->v = t->v + tv;
  t->uu = fma(tu, u, t->uu);
  t->uv = fma(tu, v, t->uv);
  t->vv = fma(tv, v, t->vv);
}

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
