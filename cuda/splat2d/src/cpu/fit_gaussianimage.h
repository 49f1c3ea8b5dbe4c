// The recipe `gaussianimage`: Adan with one learning rate for all parameters; see gaussianimage_step.h.
#pragma once

#include "../shared/gaussianimage_step.h"
#include "fit_workspace.h"

namespace SPLAT2D_NAMESPACE {

// The rows of `parameters` that place and shape the Gaussians, from number `begin` on.
struct FactorParameters {
  ConstArray x, y, l11, l21, l22;
  float width, height, bound[3];

  FactorParameters(const splat2d::FitGaussianImageArguments& f, int64_t begin)
      : x(f.parameters + begin), y(x + f.gaussians), l11(y + f.gaussians), l21(l11 + f.gaussians),
        l22(l21 + f.gaussians), width(static_cast<float>(f.width)), height(static_cast<float>(f.height)),
        bound{f.bound[0], f.bound[1], f.bound[2]} {}

  Factor factor(int64_t i) const { return {l11[i] + bound[0], l21[i] + bound[1], l22[i] + bound[2]}; }
  Shape shape(int64_t i, const Canvas& canvas) const {
    return shape_of_factor(coordinate_of(x[i], width).value, coordinate_of(y[i], height).value, factor(i), canvas);
  }
  ParameterGradient gradient(int64_t i, const Gradient& g) const {
    const Factor l = factor_gradient(g, factor(i));
    return {coordinate_of(x[i], width).slope * g.mx, coordinate_of(y[i], height).slope * g.my, {l.l11, l.l21, l.l22}};
  }
};

inline Adan adan_at(const splat2d::FitGaussianImageArguments& f, int64_t count) {
  const float* const betas = f.betas;
  Adan adan = {betas[0], betas[1], betas[2], f.epsilon};
  adan.correct1 = static_cast<float>(1.0 / bias_correction(betas[0], count));
  adan.correct2 = static_cast<float>(betas[1] / bias_correction(betas[1], count));
  adan.correct3 = static_cast<float>(1.0 / bias_correction(betas[2], count));
  return adan;
}

// One row of `n` parameters and of Adan's state; the first step has no previous gradient to differ from.
inline void take_step(const Adan& adan, float rate, bool first, int64_t n, const float* gradient, float* parameter,
                      float* momentum, float* change, float* second, float* previous) {
  ConstArray g = gradient;
  Array p = parameter, m = momentum, v = change, s = second, before = previous;
  for (int64_t j = 0; j < n; ++j) {
    p[j] -= rate * adan.step(g[j], first ? 0.0f : g[j] - before[j], &m[j], &v[j], &s[j]);
    before[j] = g[j];
  }
}

template <int C>
void fit_gaussianimage(const splat2d::FitGaussianImageArguments& f) {
  const int64_t total = f.gaussians, size = (5 + C) * total;
  Crop<C> crop(f.target, f.width, f.height, total, f.cutoff);
  const Canvas& canvas = crop.canvas;
  const ClampedMean<Lanes> loss(static_cast<float>(2.0 / (static_cast<double>(C) * f.width * f.height)));
  const float* const colors = f.parameters + 5 * total;
  Gradients<C> gradients;
  for (int64_t step = 0; step < f.iterations; ++step) {
    const FactorParameters all(f, 0);
    crop.rasterize([=](int64_t i) SPLAT2D_INLINED { return all.shape(i, canvas); }, colors);
    f.losses[step] = crop.compare(loss);
    const Adan adan = adan_at(f, f.start + step + 1);
    for (int64_t begin = 0; begin < total; begin += kUpdateBlock) {
      const int64_t n = total - begin < kUpdateBlock ? total - begin : kUpdateBlock;
      const FactorParameters block(f, begin);
      crop.sum_gradients(colors, begin, n, &gradients);
      gradients.finish(n, [=](int64_t j, const Gradient& g) SPLAT2D_INLINED { return block.gradient(j, g); });
      for (int64_t k = 0, at = begin; k < 5 + C; ++k, at += total) {
        float* const state = f.state + at;
        take_step(adan, f.rates[step], f.start + step == 0, n, gradients.rows[k], f.parameters + at, state,
                  state + size, state + 2 * size, state + 3 * size);
      }
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
