// Fitting in one place: render, compare, gather and update, with nothing allocated inside an iteration.
//
// Adam (Kingma and Ba 2015) with rates of their own for means, roots and colours; see step.h.
#pragma once

#include <vector>

#include "job.h"
#include "kernels.h"
#include "step.h"

namespace SPLAT2D_NAMESPACE {

// image <- image - target, zero beside the image; returns the sum of squares.
template <int C>
inline double subtract_target(const Canvas& canvas, const float* target, float* image) {
  const Lanes column_of = load(kColumnOf), row_of = load(kRowOf), zero(0.0f);
  const int64_t pitch = splat2d::pitch_of(canvas.width), vectors = pitch / kLanes;
  double total = 0.0;
  for (int slab = 0; slab < canvas.slabs; ++slab) {
    const Mask rows = at_most(row_of, Lanes(static_cast<float>(canvas.height - kSlab * slab - 1)));
    Lanes squares[8] = {zero, zero, zero, zero, zero, zero, zero, zero};
    for (int k = 0; k < C; ++k) {
      for (int64_t i = 0; i < vectors; ++i, image += kLanes, target += kLanes) {
        const Mask columns = at_most(column_of, Lanes(static_cast<float>(canvas.width - 4 * i - 1)));
        const Lanes error = where(rows, where(columns, load(image) - load(target)));
        store(image, error);
        squares[k] = fma(error, error, squares[k]);
      }
    }
    float sums[8];
    sum_eight(squares, sums);
    for (const float sum : sums) total += static_cast<double>(sum);
  }
  return total;
}

// The rows of a [5 + C, N] array: x, y, the root's a, b, c, then colours.
struct Rows {
  float *x, *y, *a, *b, *c, *colors;
  Rows(float* data, int64_t n) : x(data), y(x + n), a(y + n), b(a + n), c(b + n), colors(c + n) {}
};

// Loops that the compiler turns into vectors: no two of their arrays overlap.
inline void plan_roots(const Rows& p, int64_t n, const Canvas& canvas, float cutoff, Plan* plans) {
  const float *__restrict x = p.x, *__restrict y = p.y, *__restrict a = p.a, *__restrict b = p.b, *__restrict c = p.c;
  const auto shape_at = [=](int64_t i) SPLAT2D_INLINED {
    return shape_of_root(x[i], y[i], {a[i], b[i], c[i]}, canvas);
  };
  make_plans(0, n, canvas, cutoff, shape_at, plans);
}

constexpr int64_t kUpdated = 256;  // Gaussians gathered and then updated together: what they need stays in the cache

// The gradients of so many Gaussians.
template <int C>
struct Gradients {
  float s[kUpdated], t[kUpdated], jv[kUpdated];
  float u[kUpdated], v[kUpdated], uu[kUpdated], uv[kUpdated], vv[kUpdated];  // by x, y, a, b, c in the end
  float colors[C][kUpdated];

  void set(int64_t j, const Plan& plan, const float* sums) {
    s[j] = plan.s, t[j] = plan.t, jv[j] = plan.jv;
    u[j] = sums[0], v[j] = sums[1], uu[j] = sums[2], uv[j] = sums[3], vv[j] = sums[4];
    for (int k = 0; k < C; ++k) colors[k][j] = sums[kMoments + k];
  }

  // From moments, for the roots p.a, p.b, p.c of `n` Gaussians from `begin` on.
  void finish(const Rows& p, int64_t begin, int64_t n) {
    const float *__restrict a = p.a + begin, *__restrict b = p.b + begin, *__restrict c = p.c + begin;
    for (int64_t j = 0; j < n; ++j) {
      const Gradient by = gradient_of({u[j], v[j], uu[j], uv[j], vv[j]}, s[j], t[j], jv[j]);
      const Root by_root = root_gradient(by, {a[j], b[j], c[j]});
      u[j] = by.mx, v[j] = by.my, uu[j] = by_root.a, uv[j] = by_root.b, vv[j] = by_root.c;
    }
  }
};

// Adam for one row of parameters and its two moments, from `begin` on.
struct Update {
  Adam adam;
  int64_t begin, n;
  void operator()(float rate, const float* gradient, float* parameter, float* first, float* second) const {
    const float* __restrict g = gradient;
    float *__restrict p = parameter + begin, *__restrict m = first + begin, *__restrict v = second + begin;
    for (int64_t j = 0; j < n; ++j) p[j] -= rate * adam.step(g[j], &m[j], &v[j]);
  }
};

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
  const Canvas canvas(f.width, f.height);
  const int64_t n = f.n, size = canvas.slabs * C * splat2d::pitch_of(f.width);
  std::vector<float> image(size), target(size);
  std::vector<Plan> plans(n);
  const Rows p(f.parameters, n), m(f.first, n), v(f.second, n);
  Gradients<C> by;
  to_slabs<C>(f.target, canvas, 0, canvas.slabs, target.data());
  double power1 = std::pow(static_cast<double>(f.beta1), static_cast<double>(f.start));
  double power2 = std::pow(static_cast<double>(f.beta2), static_cast<double>(f.start));
  for (int64_t step = 0; step < f.iterations; ++step) {
    plan_roots(p, n, canvas, f.cutoff, plans.data());
    std::memset(image.data(), 0, size * sizeof(float));
    for (int64_t i = 0; i < n; ++i)
      add<C>(plans[i], p.colors + i, n, canvas, f.cutoff, 0, canvas.slabs, image.data());
    f.losses[step] = subtract_target<C>(canvas, target.data(), image.data());
    power1 *= f.beta1, power2 *= f.beta2;
    const Adam adam = {f.beta1, f.beta2, f.epsilon, static_cast<float>(1.0 / (1.0 - power1)),
                       static_cast<float>(1.0 / (1.0 - power2))};
    const float* rate = f.rates + 3 * step;
    for (int64_t begin = 0; begin < n; begin += kUpdated) {
      const Update update = {adam, begin, n - begin < kUpdated ? n - begin : kUpdated};
      for (int64_t j = 0; j < update.n; ++j) {
        const int64_t i = begin + j;
        float sums[kMoments + C];
        gather<C>(plans[i], p.colors + i, n, canvas, f.cutoff, image.data(), sums);
        by.set(j, plans[i], sums);
      }
      by.finish(p, begin, update.n);
      update(rate[0], by.u, p.x, m.x, v.x);
      update(rate[0], by.v, p.y, m.y, v.y);
      update(rate[1], by.uu, p.a, m.a, v.a);
      update(rate[1], by.uv, p.b, m.b, v.b);
      update(rate[1], by.vv, p.c, m.c, v.c);
      for (int k = 0; k < C; ++k) update(rate[2], by.colors[k], p.colors + k * n, m.colors + k * n, v.colors + k * n);
      project_roots(p, begin, update.n, f.min_sigma);
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
