// The recipe `fast`: Adam (Kingma and Ba 2015) with a learning rate each for means, roots and colours; see fast_step.h.
#pragma once

#include "../shared/fast_step.h"
#include "fit_workspace.h"

namespace SPLAT2D_NAMESPACE {

// The rows of a [5 + C, N] array: x, y, the root's a, b, c, then colours.
struct RootParameters {
  float *x, *y, *a, *b, *c, *colors;
  RootParameters(float* data, int64_t n) : x(data), y(x + n), a(y + n), b(a + n), c(b + n), colors(c + n) {}
};

// Half the sum of squared errors.
struct HalfSquares {
  Lanes error(Lanes value, Lanes target) const { return value - target; }
  Lanes gradient(Lanes, Lanes error) const { return error; }
};

template <int C>
inline double rasterize_and_compare(const RootParameters& p, Crop<C>* crop) {
  ConstArray x = p.x, y = p.y, a = p.a, b = p.b, c = p.c;
  const Canvas& canvas = crop->canvas;
  const auto shape_at = [=](int64_t i) SPLAT2D_INLINED {
    const Root root = {a[i], b[i], c[i]};
    return shape_of_root(x[i], y[i], root, canvas);
  };
  crop->rasterize(shape_at, p.colors);
  return crop->compare(HalfSquares());
}

// Turn the sums of `n` Gaussians from `begin` on into gradients.
template <int C>
inline void finish(const RootParameters& p, int64_t begin, int64_t n, Gradients<C>* gradients) {
  ConstArray a = p.a + begin, b = p.b + begin, c = p.c + begin;
  gradients->finish(n, [=](int64_t j, const Gradient& g) SPLAT2D_INLINED -> ParameterGradient {
    const Root root = root_gradient(g, {a[j], b[j], c[j]});
    return {g.mx, g.my, {root.a, root.b, root.c}};
  });
}

inline void take_step(const Adam& adam, float rate, int64_t n, const float* gradient, float* parameter, float* first,
                      float* second) {
  ConstArray g = gradient;
  Array p = parameter, m = first, v = second;
  for (int64_t j = 0; j < n; ++j) p[j] -= rate * adam.step(g[j], &m[j], &v[j]);
}

inline void project_roots(const RootParameters& p, int64_t begin, int64_t n, float floor) {
  Array a = p.a + begin, b = p.b + begin, c = p.c + begin;
  for (int64_t j = 0; j < n; ++j) {
    Root r = {a[j], b[j], c[j]};
    project(&r, floor);
    a[j] = r.a, b[j] = r.b, c[j] = r.c;
  }
}

template <int C>
void fit_fast(const splat2d::FitFastArguments& f) {
  const int64_t total = f.gaussians;
  Crop<C> crop(f.target, f.width, f.height, total, f.cutoff);
  const RootParameters p(f.parameters, total);
  Gradients<C> gradients;
  for (int64_t step = 0; step < f.iterations; ++step) {
    f.losses[step] = rasterize_and_compare(p, &crop);
    const int64_t count = f.start + step + 1;
    const Adam adam = {f.betas[0], f.betas[1], f.epsilon, f.opposed,
                       static_cast<float>(1.0 / bias_correction(f.betas[0], count)),
                       static_cast<float>(1.0 / bias_correction(f.betas[1], count))};
    for (int64_t begin = 0; begin < total; begin += kUpdateBlock) {
      const int64_t n = total - begin < kUpdateBlock ? total - begin : kUpdateBlock;
      crop.sum_gradients(p.colors, begin, n, &gradients);
      finish(p, begin, n, &gradients);
      for (int k = 0; k < 5 + C; ++k) {
        const int64_t at = k * total + begin;
        const float rate = f.rates[3 * step + (k < 2 ? 0 : k < 5 ? 1 : 2)];
        take_step(adam, rate, n, gradients.rows[k], f.parameters + at, f.first + at, f.second + at);
      }
      project_roots(p, begin, n, f.min_sigma);
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
