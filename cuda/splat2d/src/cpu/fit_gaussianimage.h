// Fitting as published, with Adan and one rate for all parameters; see gaussianimage_step.h.
#pragma once

#include "fit_workspace.h"
#include "../shared/gaussianimage_step.h"

namespace SPLAT2D_NAMESPACE {

// Five parameters of a Gaussian's place and shape: the rows of `parameters` up to the colours.
struct Published {
  const float *__restrict x, *__restrict y, *__restrict l11, *__restrict l21, *__restrict l22;
  float width, height, bound[3];

  Published(const splat2d::GaussianImageFit& f, int64_t begin)
      : x(f.parameters + begin), y(x + f.n), l11(y + f.n), l21(l11 + f.n), l22(l21 + f.n),
        width(static_cast<float>(f.width)), height(static_cast<float>(f.height)),
        bound{f.bound[0], f.bound[1], f.bound[2]} {}

  Factor factor(int64_t i) const { return {l11[i] + bound[0], l21[i] + bound[1], l22[i] + bound[2]}; }
  Shape shape(int64_t i, const Canvas& canvas) const {
    return shape_of_factor(coordinate_of(x[i], width).value, coordinate_of(y[i], height).value, factor(i), canvas);
  }
  ByShape gradient(int64_t i, const Gradient& by) const {
    const Factor l = factor_gradient(by, factor(i));
    return {coordinate_of(x[i], width).slope * by.mx, coordinate_of(y[i], height).slope * by.my, {l.l11, l.l21, l.l22}};
  }
};

inline Adan adan_at(const splat2d::GaussianImageFit& f, int64_t count) {
  const double share[3] = {remembered(f.betas[0], count), remembered(f.betas[1], count), remembered(f.betas[2], count)};
  return {f.betas[0], f.betas[1], f.betas[2], f.epsilon, static_cast<float>(1.0 / share[0]),
          static_cast<float>(f.betas[1] / share[1]), static_cast<float>(1.0 / share[2])};
}

// One row of `n` parameters, and of Adan's state; before the first step there is no gradient to differ from.
inline void take_step(const Adan& adan, float rate, bool first, int64_t n, const float* gradient, float* parameter,
                      float* momentum, float* change, float* second, float* previous) {
  const float* __restrict g = gradient;
  float *__restrict p = parameter, *__restrict m = momentum, *__restrict v = change, *__restrict s = second,
                    *__restrict before = previous;
  for (int64_t j = 0; j < n; ++j) {
    p[j] -= rate * adan.step(g[j], first ? 0.0f : g[j] - before[j], &m[j], &v[j], &s[j]);
    before[j] = g[j];
  }
}

template <int C>
void fit_gaussianimage(const splat2d::GaussianImageFit& f) {
  Crop<C> crop(f.target, f.width, f.height, f.n, f.cutoff);
  const Canvas& canvas = crop.canvas;
  const ClampedMean<Lanes> loss(static_cast<float>(2.0 / (static_cast<double>(C) * f.width * f.height)));
  const float* const colors = f.parameters + 5 * f.n;
  const int64_t size = (5 + C) * f.n;
  Gradients<C> by;
  for (int64_t step = 0; step < f.iterations; ++step) {
    const Published all(f, 0);
    crop.draw([=](int64_t i) SPLAT2D_INLINED { return all.shape(i, canvas); }, colors);
    f.losses[step] = crop.compare(loss);
    const Adan adan = adan_at(f, f.start + step + 1);
    for (int64_t begin = 0; begin < f.n; begin += kUpdated) {
      const int64_t n = f.n - begin < kUpdated ? f.n - begin : kUpdated;
      const Published some(f, begin);
      crop.sum_gradients(colors, begin, n, &by);
      by.finish(n, [=](int64_t j, const Gradient& g) SPLAT2D_INLINED { return some.gradient(j, g); });
      for (int64_t k = 0, at = begin; k < 5 + C; ++k, at += f.n) {
        float* const state = f.state + at;
        take_step(adan, f.rates[step], f.start + step == 0, n, by.rows[k], f.parameters + at, state, state + size,
                  state + 2 * size, state + 3 * size);
      }
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
