// One step of the recipe `fast`, for one Gaussian: its parametrisation, and Adam (Kingma and Ba 2015), cautious if asked
// (Liang et al. 2024). Shared by the C++ and the CUDA code.
//
// A Gaussian's shape is the symmetric square root R = [[a, b], [b, c]] of its covariance S = R R, which
// treats x and y alike (a Cholesky factor does not): a mirrored or transposed crop gives the mirrored or transposed
// fit, up to rounding.
#pragma once

#include "gaussian.h"

namespace SPLAT2D_NAMESPACE {

struct Root {
  float a, b, c;
};

SPLAT2D_FN Shape shape_of_root(float mx, float my, const Root& r, const Canvas& canvas) {
  const float sxy = r.b * (r.a + r.c), syy = SPLAT2D_FMA(r.b, r.b, r.c * r.c);
  return shape_of(mx, my, sxy, syy, SPLAT2D_FMA(r.a, r.c, -r.b * r.b), canvas);
}

// The gradient with respect to R, given the gradient G with respect to S = R R: R G + G R.
SPLAT2D_FN Root root_gradient(const Gradient& g, const Root& r) {
  Root by_root;
  by_root.a = 2.0f * SPLAT2D_FMA(r.a, g.s11, r.b * g.s12);
  by_root.b = 2.0f * (SPLAT2D_FMA(r.a, g.s12, r.b * g.s22) + SPLAT2D_FMA(r.b, g.s11, r.c * g.s12));
  by_root.c = 2.0f * SPLAT2D_FMA(r.b, g.s12, r.c * g.s22);
  return by_root;
}

// Raise R's eigenvalues to at least `floor`, keeping its eigenvectors.
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
  float beta1, beta2, epsilon;
  float opposed;  // factor of steps that the gradient opposes: 1 for Adam, 0 for cautious Adam, which does not take them
  float correct1, correct2;
  SPLAT2D_FN float step(float gradient, float* first, float* second) const {
    *first = SPLAT2D_FMA(beta1, *first, (1.0f - beta1) * gradient);
    *second = SPLAT2D_FMA(beta2, *second, (1.0f - beta2) * (gradient * gradient));
    const float step = (*first * correct1) / (SPLAT2D_SQRT(*second * correct2) + epsilon);
    return *first * gradient > 0.0f ? step : opposed * step;
  }
};

}  // namespace SPLAT2D_NAMESPACE
