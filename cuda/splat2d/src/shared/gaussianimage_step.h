// One step of the recipe `gaussianimage` (GaussianImage, Zhang et al. 2024): its parametrisation of a Gaussian, its
// loss, and Adan (Xie et al. 2022, Algorithm 1). Shared by the C++ and the CUDA code.
//
// A position is extent * (tanh(p) + 1) / 2, and the shape is a Cholesky factor whose entries are offset by a bound and
// may turn negative: a column's sign does not change the covariance L L^T.
#pragma once

#include "gaussian.h"

namespace SPLAT2D_NAMESPACE {

struct Coordinate {
  float value, slope;  // pixels, and pixels per unit of p
};

// (tanh(p) + 1) / 2 = 1 / (1 + exp(-2 p)), through exp(-2 |p|), which neither overflows nor cancels.
SPLAT2D_FN Coordinate coordinate_of(float p, float extent) {
  constexpr float kTwoLog2E = 2.88539008177792681472f;
  const float e = weight_of((p < 0.0f ? -p : p) * kTwoLog2E, 120.0f), share = extent / (1.0f + e);
  return {p < 0.0f ? e * share : share, 2.0f * e * share / (1.0f + e)};
}

constexpr float kNarrowest = 1e-3f;  // pixels: the diagonal keeps this distance from zero

SPLAT2D_FN bool is_held(float l) { return l > -kNarrowest && l < kNarrowest; }
SPLAT2D_FN float held(float l) { return is_held(l) ? (l < 0.0f ? -kNarrowest : kNarrowest) : l; }

struct Factor {
  float l11, l21, l22;
};

SPLAT2D_FN Shape shape_of_factor(float mx, float my, const Factor& raw, const Canvas& canvas) {
  const float l11 = held(raw.l11), l22 = held(raw.l22), root_det = l11 * l22;
  return shape_of(mx, my, l11 * raw.l21, SPLAT2D_FMA(raw.l21, raw.l21, l22 * l22),
                  root_det < 0.0f ? -root_det : root_det, canvas);
}

// The gradient with respect to the entries; zero for one that is held.
SPLAT2D_FN Factor factor_gradient(const Gradient& by_covariance, const Factor& raw) {
  const float l[3] = {held(raw.l11), raw.l21, held(raw.l22)};
  float g[3];
  cholesky_gradient(by_covariance, l, g);
  return {is_held(raw.l11) ? 0.0f : g[0], g[1], is_held(raw.l22) ? 0.0f : g[2]};
}

// The mean squared error of the image clamped to [0, 1]. Its gradient is `scale` times the error, and zero for a
// clamped value.
template <class V>
struct ClampedMean {
  V zero, one, scale;
  SPLAT2D_FN explicit ClampedMean(float gradient_scale) : zero(0.0f), one(1.0f), scale(gradient_scale) {}
  SPLAT2D_FN V error(V value, V target) const { return smaller(larger(value, zero), one) - target; }
  SPLAT2D_FN V gradient(V value, V error) const {
    return where(at_most(zero, value), where(at_most(value, one), error * scale));
  }
};

struct Adan {
  float beta1, beta2, beta3, epsilon;
  float correct1, correct2, correct3;  // 1 / (1 - beta1^k), beta2 / (1 - beta2^k), 1 / (1 - beta3^k) at step k
  SPLAT2D_FN float step(float gradient, float difference, float* momentum, float* change, float* second) const {
    const float ahead = SPLAT2D_FMA(beta2, difference, gradient);
    *momentum = SPLAT2D_FMA(beta1, *momentum, (1.0f - beta1) * gradient);
    *change = SPLAT2D_FMA(beta2, *change, (1.0f - beta2) * difference);
    *second = SPLAT2D_FMA(beta3, *second, (1.0f - beta3) * (ahead * ahead));
    const float direction = SPLAT2D_FMA(*change, correct2, *momentum * correct1);
    return direction / (SPLAT2D_SQRT(*second * correct3) + epsilon);
  }
};

}  // namespace SPLAT2D_NAMESPACE
