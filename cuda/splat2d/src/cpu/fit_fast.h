// Fitting with Adam (Kingma and Ba 2015), with rates of their own for means, roots and colours; see fast_step.h.
#pragma once

#include "fit_workspace.h"
#include "../shared/fast_step.h"

namespace SPLAT2D_NAMESPACE {

// The rows of a [5 + C, N] array: x, y, the root's a, b, c, then colours. No two of a fit's arrays overlap, so that
// the compiler can turn loops over them into vectors.
struct Rows {
  float *x, *y, *a, *b, *c, *colors;
  Rows(float* data, int64_t n) : x(data), y(x + n), a(y + n), b(a + n), c(b + n), colors(c + n) {}
};

// Half the sum of squared errors.
struct HalfSquares {
  Lanes error(Lanes value, Lanes target) const { return value - target; }
  Lanes gradient(Lanes, Lanes error) const { return error; }
};

template <int C>
inline double draw_and_compare(const Rows& p, Crop<C>* crop) {
  const float *__restrict x = p.x, *__restrict y = p.y, *__restrict a = p.a, *__restrict b = p.b, *__restrict c = p.c;
  const Canvas& canvas = crop->canvas;
  crop->draw([=](int64_t i) SPLAT2D_INLINED { return shape_of_root(x[i], y[i], {a[i], b[i], c[i]}, canvas); }, p.colors);
  return crop->compare(HalfSquares());
}

// From sums to gradients by the parameters of `n` Gaussians from `begin` on.
template <int C>
inline void finish(const Rows& p, int64_t begin, int64_t n, Gradients<C>* by) {
  const float *__restrict a = p.a + begin, *__restrict b = p.b + begin, *__restrict c = p.c + begin;
  by->finish(n, [=](int64_t j, const Gradient& g) SPLAT2D_INLINED -> ByShape {
    const Root root = root_gradient(g, {a[j], b[j], c[j]});
    return {g.mx, g.my, {root.a, root.b, root.c}};
  });
}

inline void take_step(const Adam& adam, float rate, int64_t n, const float* gradient, float* parameter, float* first,
                      float* second) {
  const float* __restrict g = gradient;
  float *__restrict p = parameter, *__restrict m = first, *__restrict v = second;
  for (int64_t j = 0; j < n; ++j) p[j] -= rate * adam.step(g[j], &m[j], &v[j]);
}

inline void project_roots(const Rows& p, int64_t begin, int64_t n, float floor) {
  float *__restrict a = p.a + begin, *__restrict b = p.b + begin, *__restrict c = p.c + begin;
  for (int64_t j = 0; j < n; ++j) {
    Root r = {a[j], b[j], c[j]};
    project(&r, floor);
    a[j] = r.a, b[j] = r.b, c[j] = r.c;
  }
}

template <int C>
void fit(const splat2d::Fit& f) {
  Crop<C> crop(f.target, f.width, f.height, f.n, f.cutoff);
  const Rows p(f.parameters, f.n);
  Gradients<C> by;
  for (int64_t step = 0; step < f.iterations; ++step) {
    f.losses[step] = draw_and_compare(p, &crop);
    const int64_t count = f.start + step + 1;
    const Adam adam = {f.beta1, f.beta2, f.epsilon, static_cast<float>(1.0 / remembered(f.beta1, count)),
                       static_cast<float>(1.0 / remembered(f.beta2, count))};
    for (int64_t begin = 0; begin < f.n; begin += kUpdated) {
      const int64_t n = f.n - begin < kUpdated ? f.n - begin : kUpdated;
      crop.sum_gradients(p.colors, begin, n, &by);
      finish(p, begin, n, &by);
      for (int k = 0; k < 5 + C; ++k) {
        const int64_t at = k * f.n + begin;
        const float rate = f.rates[3 * step + (k < 2 ? 0 : k < 5 ? 1 : 2)];
        take_step(adam, rate, n, by.rows[k], f.parameters + at, f.first + at, f.second + at);
      }
      project_roots(p, begin, n, f.min_sigma);
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
