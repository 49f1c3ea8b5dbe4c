// One step of a fit, for one Gaussian: its parametrisation, and Adam. Shared by the CPU and CUDA kernels.
//
// A Gaussian's shape is the symmetric square root R = [[a, b], [b, c]] of its covariance S = R R, which
// treats x and y alike (a Cholesky factor does not): a mirrored or transposed crop gives the mirrored or
// transposed fit, to rounding.
#pragma once

#include "gaussian.h"

namespace SPLAT2D_NAMESPACE {

struct Root {
  float a, b, c;
};

// Cholesky factor of S = R R; l22 = det R / l11 does not cancel.
SPLAT2D_FN void cholesky_of(const Root& r, float* l11, float* l21, float* l22) {
  *l11 = SPLAT2D_SQRT(SPLAT2D_FMA(r.a, r.a, r.b * r.b));
  *l21 = r.b * (r.a + r.c) / *l11;
  *l22 = SPLAT2D_FMA(r.a, r.c, -r.b * r.b) / *l11;
}

// Gradient by R of a loss with gradient moments t (gaussian.h): G = L^-T M L^-1 / 2 by S, then R G + G R.
SPLAT2D_FN Root root_gradient(const Moments<float>& t, const Root& r, float l11, float l21, float l22) {
  const float p = 1.0f / l11, s = 1.0f / l22, q = -(l21 / l22) / l11;
  const float uu = t.uu * (kUnwhitenSquared * 0.5f), uv = t.uv * (kUnwhitenSquared * 0.5f);
  const float vv = t.vv * (kUnwhitenSquared * 0.5f);
  const float g11 = p * SPLAT2D_FMA(uu, p, uv * q) + q * SPLAT2D_FMA(uv, p, vv * q);
  const float g12 = s * SPLAT2D_FMA(p, uv, q * vv);
  const float g22 = s * s * vv;
  Root g;
  g.a = 2.0f * SPLAT2D_FMA(r.a, g11, r.b * g12);
  g.b = 2.0f * (SPLAT2D_FMA(r.a, g12, r.b * g22) + SPLAT2D_FMA(r.b, g11, r.c * g12));
  g.c = 2.0f * SPLAT2D_FMA(r.b, g12, r.c * g22);
  return g;
}

// Lift R's eigenvalues to at least `floor`, keeping its eigenvectors.
SPLAT2D_FN void project(Root* r, float floor) {
  const float mid = 0.5f * (r->a + r->c), half = 0.5f * (r->a - r->c);
  const float spread = SPLAT2D_SQRT(SPLAT2D_FMA(half, half, r->b * r->b));
  const float high = mid + spread, low = mid - spread;
  const float new_high = high < floor ? floor : high, new_low = low < floor ? floor : low;
  const float new_mid = 0.5f * (new_high + new_low);
  const float shrink = spread > 0.0f ? 0.5f * (new_high - new_low) / spread : 0.0f;
  const bool held = low >= floor;
  r->a = held ? r->a : SPLAT2D_FMA(half, shrink, new_mid);
  r->c = held ? r->c : SPLAT2D_FMA(-half, shrink, new_mid);
  r->b = held ? r->b : r->b * shrink;
}

struct Adam {
  float beta1, beta2, epsilon, correct1, correct2;
  SPLAT2D_FN float step(float gradient, float* first, float* second) const {
    *first = SPLAT2D_FMA(beta1, *first, (1.0f - beta1) * gradient);
    *second = SPLAT2D_FMA(beta2, *second, (1.0f - beta2) * (gradient * gradient));
    return (*first * correct1) / (SPLAT2D_SQRT(*second * correct2) + epsilon);
  }
};

}  // namespace SPLAT2D_NAMESPACE
