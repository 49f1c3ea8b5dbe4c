// One crop during a fit: rasterize, compare and gather in one place, with no allocation inside an iteration.
#pragma once

#include <vector>

#include "dispatch.h"
#include "rasterize.h"

namespace SPLAT2D_NAMESPACE {

// Arrays that do not overlap, so that the compiler turns loops over them into vectors.
using Array = float* __restrict;
using ConstArray = const float* __restrict;

constexpr int64_t kUpdateBlock = 256;  // Gaussians gathered and then updated together: their data stays in the cache

// 1 - beta^count, by which Adam divides a moving average over `count` steps that began at zero.
inline double bias_correction(float beta, int64_t count) {
  return 1.0 - std::pow(static_cast<double>(beta), static_cast<double>(count));
}

// Gradients of a loss with respect to a Gaussian's parameters of position and shape.
struct ParameterGradient {
  float x, y, shape[3];
};

// The gradients of up to kUpdateBlock Gaussians with respect to their 5 + C parameters, row by row.
template <int C>
struct Gradients {
  float u_per_x[kUpdateBlock], u_per_y[kUpdateBlock], v_per_y[kUpdateBlock];
  float rows[kMoments + C][kUpdateBlock];  // before `finish`, the sums of `gather`

  void set(int64_t j, const Footprint& footprint, const float* sums) {
    u_per_x[j] = footprint.u_per_x, u_per_y[j] = footprint.u_per_y, v_per_y[j] = footprint.v_per_y;
    for (int k = 0; k < kMoments + C; ++k) rows[k][j] = sums[k];
  }

  // Turn the sums of `n` Gaussians into gradients: f(j, gradient) turns the gradient with respect to mean and
  // covariance into that with respect to the parameters.
  template <class F>
  void finish(int64_t n, F f) {
    Array u = rows[0], v = rows[1], uu = rows[2], uv = rows[3], vv = rows[4];
    for (int64_t j = 0; j < n; ++j) {
      const Moments<float> moments = {u[j], v[j], uu[j], uv[j], vv[j]};
      const ParameterGradient by = f(j, gradient_of(moments, u_per_x[j], u_per_y[j], v_per_y[j]));
      u[j] = by.x, v[j] = by.y, uu[j] = by.shape[0], uv[j] = by.shape[1], vv[j] = by.shape[2];
    }
  }
};

template <int C>
class Crop {
 public:
  // `planar` is the target, [C, H, W].
  Crop(const float* planar, int width, int height, int64_t n, float cutoff)
      : canvas(width, height), cutoff_(cutoff), image_(canvas.slabs * C * splat2d::pitch_of(width)),
        target_(image_.size()), footprints_(n) {
    to_slabs<C>(planar, canvas, 0, canvas.slabs, target_.data());
  }

  const Canvas canvas;

  // Rasterize Gaussians of shapes shape_at(i) and `colors` [C, n].
  template <class Source>
  void rasterize(Source shape_at, const float* colors) {
    const int64_t n = footprints_.size();
    find_footprints(0, n, canvas, cutoff_, shape_at, footprints_.data());
    std::memset(image_.data(), 0, image_.size() * sizeof(float));
    for (int64_t i = 0; i < n; ++i)
      SPLAT2D_NAMESPACE::rasterize<C>(footprints_[i], colors + i, n, canvas, cutoff_, 0, canvas.slabs, image_.data());
  }

  // Turn the image into the gradient of a loss, zero outside the image, and return the sum of its squared errors. The
  // loss has loss.error(value, target), and loss.gradient(value, error), which is zero if the error is.
  template <class Loss>
  double compare(const Loss& loss) {
    const Lanes column_of = load(kColumnOf), row_of = load(kRowOf), zero(0.0f);
    const int64_t vectors = splat2d::pitch_of(canvas.width) / kLanes;
    float* image = image_.data();
    const float* target = target_.data();
    double total = 0.0;
    for (int slab = 0; slab < canvas.slabs; ++slab) {
      const Mask rows = at_most(row_of, Lanes(static_cast<float>(canvas.height - kSlab * slab - 1)));
      Lanes squares[8] = {zero, zero, zero, zero, zero, zero, zero, zero};
      for (int k = 0; k < C; ++k) {
        for (int64_t i = 0; i < vectors; ++i, image += kLanes, target += kLanes) {
          const Mask columns = at_most(column_of, Lanes(static_cast<float>(canvas.width - 4 * i - 1)));
          const Lanes value = load(image);
          const Lanes error = where(rows, where(columns, loss.error(value, load(target))));
          store(image, loss.gradient(value, error));
          squares[k] = fma(error, error, squares[k]);
        }
      }
      float sums[8];
      sum_eight(squares, sums);
      for (const float sum : sums) total += static_cast<double>(sum);
    }
    return total;
  }

  // Sum up the gradients of `n` Gaussians from `begin` on; `colors` as rasterized.
  void sum_gradients(const float* colors, int64_t begin, int64_t n, Gradients<C>* gradients) const {
    for (int64_t j = 0; j < n; ++j) {
      const int64_t i = begin + j;
      float sums[kMoments + C];
      gather<C>(footprints_[i], colors + i, footprints_.size(), canvas, cutoff_, image_.data(), sums);
      gradients->set(j, footprints_[i], sums);
    }
  }

 private:
  float cutoff_;
  std::vector<float> image_, target_;  // in slabs
  std::vector<Footprint> footprints_;
};

}  // namespace SPLAT2D_NAMESPACE
