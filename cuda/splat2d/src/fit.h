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
  const Lanes column_of = load(kColumnOf), row_of = load(kRowOf);
  for (int row = 0; row < blocks.rows; ++row) {
    const Mask rows_inside = at_most(row_of, Lanes(static_cast<float>(blocks.height - kBlock * row - 1)));
    for (int column = 0; column < blocks.columns; ++column) {
      const Lanes columns_left(static_cast<float>(blocks.width - kBlock * column - 1));
      const Mask columns_inside = at_most(column_of, columns_left);
      for (int k = 0; k < C; ++k, image += kLanes, target += kLanes) {
        const Lanes error = where(rows_inside, where(columns_inside, load(image) - load(target)));
        store(image, error);
        total += static_cast<double>(sum(error * error));
      }
    }
  }
  return total;
}

// The rows of a [5 + C, N] array: x, y, the root's a, b, c, then colours.
struct Rows {
  float *x, *y, *a, *b, *c, *colors;
  Rows(float* data, int64_t n) : x(data), y(x + n), a(y + n), b(a + n), c(b + n), colors(c + n) {}
};

// What a step reads and writes of every Gaussian but its parameters; rows of N floats.
struct Scratch {
  std::vector<float> memory;
  float *l11, *l21, *l22;            // the Cholesky factor of this step
  float *u, *v, *uu, *uv, *vv;       // the gradient's moments
  float *colors;                     // and its colours [C, N]
  Scratch(int64_t n, int channels) : memory((8 + channels) * n) {
    float** const rows[] = {&l11, &l21, &l22, &u, &v, &uu, &uv, &vv, &colors};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) *rows[i] = memory.data() + i * n;
  }
};

// Two loops that the compiler turns into vectors: no two of their arrays overlap.
inline void factor_roots(const Rows& p, int64_t n, const Scratch& s) {
  const float *__restrict a = p.a, *__restrict b = p.b, *__restrict c = p.c;
  float *__restrict l11 = s.l11, *__restrict l21 = s.l21, *__restrict l22 = s.l22;
  for (int64_t i = 0; i < n; ++i) cholesky_of({a[i], b[i], c[i]}, &l11[i], &l21[i], &l22[i]);
}

inline void adam_row(const Adam& adam, float rate, const float* __restrict gradient, int64_t n,
                     float* __restrict parameter, float* __restrict first, float* __restrict second) {
  for (int64_t i = 0; i < n; ++i) parameter[i] -= rate * adam.step(gradient[i], &first[i], &second[i]);
}

// Moments to gradients by x, y, a, b, c, in place.
inline void to_gradients(const Rows& p, int64_t n, const Scratch& s) {
  const float *__restrict a = p.a, *__restrict b = p.b, *__restrict c = p.c;
  const float *__restrict l11 = s.l11, *__restrict l21 = s.l21, *__restrict l22 = s.l22;
  float *__restrict u = s.u, *__restrict v = s.v, *__restrict uu = s.uu, *__restrict uv = s.uv, *__restrict vv = s.vv;
  for (int64_t i = 0; i < n; ++i) {
    const Moments<float> t = {u[i], v[i], uu[i], uv[i], vv[i]};
    const Gradient by_mean = gradient(t, l11[i], l21[i], l22[i]);
    const Root by_root = root_gradient(t, {a[i], b[i], c[i]}, l11[i], l21[i], l22[i]);
    u[i] = by_mean.mx, v[i] = by_mean.my, uu[i] = by_root.a, uv[i] = by_root.b, vv[i] = by_root.c;
  }
}

inline void project_roots(const Rows& p, int64_t n, float floor) {
  float *__restrict a = p.a, *__restrict b = p.b, *__restrict c = p.c;
  for (int64_t i = 0; i < n; ++i) {
    Root r = {a[i], b[i], c[i]};
    project(&r, floor);
    a[i] = r.a, b[i] = r.b, c[i] = r.c;
  }
}

template <int C>
void fit(const splat2d::Fit& f) {
  const Blocks blocks(f.width, f.height);
  const int64_t n = f.n, size = static_cast<int64_t>(blocks.rows) * blocks.columns * C * kLanes;
  std::vector<float> image(size), target(size), colors(n * C);
  std::vector<Shape> shapes(n);
  const Scratch s(n, C);
  const Rows p(f.parameters, n), first(f.first, n), second(f.second, n);
  to_blocks<C>(f.target, blocks, 0, blocks.rows, target.data());
  const float limit = kWhitenSquared * (f.cutoff * f.cutoff);
  double power1 = std::pow(static_cast<double>(f.beta1), static_cast<double>(f.start));
  double power2 = std::pow(static_cast<double>(f.beta2), static_cast<double>(f.start));
  for (int64_t step = 0; step < f.iterations; ++step) {
    factor_roots(p, n, s);
    std::memset(image.data(), 0, size * sizeof(float));
    for (int64_t i = 0; i < n; ++i) {
      shapes[i] = prepare(p.x[i], p.y[i], s.l11[i], s.l21[i], s.l22[i], f.cutoff);
      for (int k = 0; k < C; ++k) colors[i * C + k] = p.colors[k * n + i];
      add<C>(shapes[i], &colors[i * C], blocks, 0, blocks.rows, limit, image.data());
    }
    f.losses[step] = subtract_target<C>(blocks, target.data(), image.data());
    for (int64_t i = 0; i < n; ++i) {
      Moments<float> t;
      float gc[C];
      gather<C>(shapes[i], &colors[i * C], blocks, limit, image.data(), &t, gc);
      s.u[i] = t.u, s.v[i] = t.v, s.uu[i] = t.uu, s.uv[i] = t.uv, s.vv[i] = t.vv;
      for (int k = 0; k < C; ++k) s.colors[k * n + i] = gc[k];
    }
    to_gradients(p, n, s);
    power1 *= f.beta1, power2 *= f.beta2;
    const Adam adam = {f.beta1, f.beta2, f.epsilon, static_cast<float>(1.0 / (1.0 - power1)),
                       static_cast<float>(1.0 / (1.0 - power2))};
    const float* rate = f.rates + 3 * step;
    adam_row(adam, rate[0], s.u, 2 * n, p.x, first.x, second.x);  // x and y lie side by side,
    adam_row(adam, rate[1], s.uu, 3 * n, p.a, first.a, second.a);  // as do a, b and c,
    adam_row(adam, rate[2], s.colors, C * n, p.colors, first.colors, second.colors);
    project_roots(p, n, f.min_sigma);
  }
}

}  // namespace SPLAT2D_NAMESPACE
