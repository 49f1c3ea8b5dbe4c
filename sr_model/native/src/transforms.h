// Winograd's minimal filtering F(4x4, 3x3): 36 products for a tile of 4x4 results, where the sum over the kernel takes
// 144 (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4.3).
//
// A tile is Y = A^T [(G g G^T) . (B^T d B)] A for a kernel g and a patch d. The matrices follow from the points
// 0, a, -a, b, -b and infinity. a = 3/4 and b = 3/2, instead of the usual 1 and 2, halve the rounding error, and
// all of A and B stays exact in float.
#pragma once

#include "dispatch.h"
#include "simd.h"

namespace SPLAT2D_NAMESPACE {

using native::kPatch;
using native::kTile;

constexpr float kA = 0.75f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB;

// B^T d: six values to six.
SPLAT2D_INLINED inline void transform_patch(const Lanes d[kPatch], Lanes v[kPatch]) {
  const Lanes a2(-kA2), b2(-kB2), sum(-(kA2 + kB2)), product(kA2 * kB2);
  const Lanes even_a = fma(b2, d[2], d[4]), odd_a = fma(b2, d[1], d[3]);
  const Lanes even_b = fma(a2, d[2], d[4]), odd_b = fma(a2, d[1], d[3]);
  v[0] = fma(product, d[0], fma(sum, d[2], d[4]));
  v[1] = fma(Lanes(kA), odd_a, even_a);
  v[2] = fma(Lanes(-kA), odd_a, even_a);
  v[3] = fma(Lanes(kB), odd_b, even_b);
  v[4] = fma(Lanes(-kB), odd_b, even_b);
  v[5] = fma(product, d[1], fma(sum, d[3], d[5]));
}

// A^T m: six values to four.
SPLAT2D_INLINED inline void transform_products(const Lanes m[kPatch], Lanes y[kTile]) {
  const Lanes sum_a = m[1] + m[2], sum_b = m[3] + m[4], odd_a = m[1] - m[2], odd_b = m[3] - m[4];
  y[0] = m[0] + (sum_a + sum_b);
  y[1] = fma(Lanes(kA), odd_a, Lanes(kB) * odd_b);
  y[2] = fma(Lanes(kA2), sum_a, Lanes(kB2) * sum_b);
  y[3] = fma(Lanes(kA2 * kA), odd_a, fma(Lanes(kB2 * kB), odd_b, m[5]));
}

// A y: four values to six, the transpose of the former.
SPLAT2D_INLINED inline void transform_gradient(const Lanes y[kTile], Lanes m[kPatch]) {
  const Lanes even_a = fma(Lanes(kA2), y[2], y[0]), odd_a = fma(Lanes(kA2), y[3], y[1]);
  const Lanes even_b = fma(Lanes(kB2), y[2], y[0]), odd_b = fma(Lanes(kB2), y[3], y[1]);
  m[0] = y[0];
  m[1] = fma(Lanes(kA), odd_a, even_a);
  m[2] = fma(Lanes(-kA), odd_a, even_a);
  m[3] = fma(Lanes(kB), odd_b, even_b);
  m[4] = fma(Lanes(-kB), odd_b, even_b);
  m[5] = y[3];
}

// The rows of G. They are not exact in float, so kernels are transformed in double and rounded once.
struct KernelTransform {
  double rows[kPatch][3];
  constexpr KernelTransform() : rows() {
    const double a = kA, b = kB;
    rows[0][0] = 1 / (a * a * b * b);
    fill(1, a, b);
    fill(3, b, a);
    rows[5][2] = 1;
  }
  constexpr void fill(int row, double point, double other) {
    const double scale = 1 / (2 * point * point * (point * point - other * other));
    for (int sign = 0; sign < 2; ++sign) {
      rows[row + sign][0] = scale;
      rows[row + sign][1] = sign ? -scale * point : scale * point;
      rows[row + sign][2] = scale * point * point;
    }
  }
};

constexpr KernelTransform kKernelTransform;

}  // namespace SPLAT2D_NAMESPACE
