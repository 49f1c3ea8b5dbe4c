// Fitting in one place: render, compare, gather and update, with nothing allocated inside an iteration.
//
// Adam (Kingma and Ba 2015) with rates of their own for means, roots and colours; see step.h.
#pragma once

#include <vector>

#include "job.h"
#include "kernels.h"
#include "step.h"

namespace SPLAT2D_NAMESPACE {

// image <- image - target, zero outside the image; returns the sum of squares.
template <int C>
inline double subtract_target(const Blocks& blocks, const float* target, float* image) {
  double total = 0.0;
  const int64_t size = static_cast<int64_t>(blocks.rows) * blocks.columns * C;
  const Lanes column_of = load(kColumnOf), row_of = load(kRowOf);
  for (int64_t i = 0; i < size; ++i) {
    const int64_t block = i / C;
    const float rows_left = static_cast<float>(blocks.height - kBlock * (block / blocks.columns) - 1);
    const float columns_left = static_cast<float>(blocks.width - kBlock * (block % blocks.columns) - 1);
    const Lanes error = load(image + i * kLanes) - load(target + i * kLanes);
    const Lanes kept = where(at_most(row_of, Lanes(rows_left)), where(at_most(column_of, Lanes(columns_left)), error));
    store(image + i * kLanes, kept);
    total += static_cast<double>(sum(kept * kept));
  }
  return total;
}

template <int C>
void fit(const splat2d::Fit& f) {
  const Blocks blocks(f.width, f.height);
  const int64_t n = f.n, size = static_cast<int64_t>(blocks.rows) * blocks.columns * C * kLanes;
  std::vector<float> image(size), target(size), colors(n * C), sums((5 + C) * n), factor(3 * n);
  std::vector<Shape> shapes(n);
  to_blocks<C>(f.target, blocks, 0, blocks.rows, target.data());
  const float limit = kWhitenSquared * (f.cutoff * f.cutoff);
  float *const x = f.parameters, *const y = x + n, *const a = y + n, *const b = a + n, *const c = b + n;
  float *const l11 = factor.data(), *const l21 = l11 + n, *const l22 = l21 + n;
  float* const su = sums.data();
  double power1 = std::pow(static_cast<double>(f.beta1), static_cast<double>(f.start));
  double power2 = std::pow(static_cast<double>(f.beta2), static_cast<double>(f.start));
  for (int64_t step = 0; step < f.iterations; ++step) {
    for (int64_t i = 0; i < n; ++i) cholesky_of({a[i], b[i], c[i]}, l11 + i, l21 + i, l22 + i);
    for (int64_t i = 0; i < n; ++i) shapes[i] = prepare(x[i], y[i], l11[i], l21[i], l22[i], f.cutoff);
    for (int64_t i = 0; i < n; ++i)
      for (int k = 0; k < C; ++k) colors[i * C + k] = f.parameters[(5 + k) * n + i];
    std::memset(image.data(), 0, size * sizeof(float));
    for (int64_t i = 0; i < n; ++i) add<C>(shapes[i], &colors[i * C], blocks, 0, blocks.rows, limit, image.data());
    f.losses[step] = subtract_target<C>(blocks, target.data(), image.data());
    for (int64_t i = 0; i < n; ++i) {
      Moments<float> t;
      float gc[C];
      gather<C>(shapes[i], &colors[i * C], blocks, limit, image.data(), &t, gc);
      su[i] = t.u, su[n + i] = t.v, su[2 * n + i] = t.uu, su[3 * n + i] = t.uv, su[4 * n + i] = t.vv;
      for (int k = 0; k < C; ++k) su[(5 + k) * n + i] = gc[k];
    }
    power1 *= f.beta1, power2 *= f.beta2;
    const Adam adam = {f.beta1, f.beta2, f.epsilon, static_cast<float>(1.0 / (1.0 - power1)),
                       static_cast<float>(1.0 / (1.0 - power2))};
    const float rate_mean = f.rates[3 * step], rate_shape = f.rates[3 * step + 1], rate_color = f.rates[3 * step + 2];
    for (int64_t i = 0; i < n; ++i) {
      const Moments<float> t = {su[i], su[n + i], su[2 * n + i], su[3 * n + i], su[4 * n + i]};
      Root r = {a[i], b[i], c[i]};
      const Gradient by_mean = gradient(t, l11[i], l21[i], l22[i]);
      const Root by_root = root_gradient(t, r, l11[i], l21[i], l22[i]);
      float *const m = f.first + i, *const v = f.second + i;
      x[i] -= rate_mean * adam.step(by_mean.mx, m, v);
      y[i] -= rate_mean * adam.step(by_mean.my, m + n, v + n);
      r.a -= rate_shape * adam.step(by_root.a, m + 2 * n, v + 2 * n);
      r.b -= rate_shape * adam.step(by_root.b, m + 3 * n, v + 3 * n);
      r.c -= rate_shape * adam.step(by_root.c, m + 4 * n, v + 4 * n);
      project(&r, f.min_sigma);
      a[i] = r.a, b[i] = r.b, c[i] = r.c;
    }
    for (int64_t i = 0; i < C * n; ++i) {
      const int64_t j = 5 * n + i;
      f.parameters[j] -= rate_color * adam.step(su[j], f.first + j, f.second + j);
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
