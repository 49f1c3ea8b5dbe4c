// A crop under way: draw, compare and gather in one place, with nothing allocated inside an iteration.
#pragma once

#include <vector>

#include "job.h"
#include "rasterize.h"

namespace SPLAT2D_NAMESPACE {

constexpr int64_t kUpdated = 256;  // Gaussians gathered and then updated together: what they need stays in the cache

// What a moving average over `count` steps holds of what one over all steps would.
inline double remembered(float beta, int64_t count) {
  return 1.0 - std::pow(static_cast<double>(beta), static_cast<double>(count));
}

// Gradients of a loss by what places and shapes a Gaussian.
struct ByShape {
  float x, y, shape[3];
};

// The gradients of so many Gaussians by their 5 + C parameters, row by row.
template <int C>
struct Gradients {
  float s[kUpdated], t[kUpdated], jv[kUpdated];
  float rows[kMoments + C][kUpdated];  // first what `gather` sums

  void set(int64_t j, const Plan& plan, const float* sums) {
    s[j] = plan.s, t[j] = plan.t, jv[j] = plan.jv;
    for (int k = 0; k < kMoments + C; ++k) rows[k][j] = sums[k];
  }

  // From the sums of `n` Gaussians: f(j, by) turns gradients by mean and covariance into those by parameters.
  template <class F>
  void finish(int64_t n, F f) {
    float *__restrict u = rows[0], *__restrict v = rows[1], *__restrict uu = rows[2], *__restrict uv = rows[3],
                      *__restrict vv = rows[4];
    for (int64_t j = 0; j < n; ++j) {
      const ByShape by = f(j, gradient_of({u[j], v[j], uu[j], uv[j], vv[j]}, s[j], t[j], jv[j]));
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
        target_(image_.size()), plans_(n) {
    to_slabs<C>(planar, canvas, 0, canvas.slabs, target_.data());
  }

  const Canvas canvas;

  // Draw Gaussians of shapes shape_at(i) and `colors` [C, n].
  template <class Source>
  void draw(Source shape_at, const float* colors) {
    const int64_t n = plans_.size();
    make_plans(0, n, canvas, cutoff_, shape_at, plans_.data());
    std::memset(image_.data(), 0, image_.size() * sizeof(float));
    for (int64_t i = 0; i < n; ++i)
      add<C>(plans_[i], colors + i, n, canvas, cutoff_, 0, canvas.slabs, image_.data());
  }

  // Turn the image into the gradient of a loss, zero beside the image, and return the sum of its squared errors:
  // loss.error(value, target), and loss.gradient(value, error), which is zero where the error is.
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

  // Sum up `n` Gaussians' gradients from `begin` on; `colors` as drawn.
  void sum_gradients(const float* colors, int64_t begin, int64_t n, Gradients<C>* by) const {
    for (int64_t j = 0; j < n; ++j) {
      const int64_t i = begin + j;
      float sums[kMoments + C];
      gather<C>(plans_[i], colors + i, plans_.size(), canvas, cutoff_, image_.data(), sums);
      by->set(j, plans_[i], sums);
    }
  }

 private:
  float cutoff_;
  std::vector<float> image_, target_;  // in slabs
  std::vector<Plan> plans_;
};

}  // namespace SPLAT2D_NAMESPACE
