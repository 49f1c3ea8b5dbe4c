// Compiled once per instruction set, with SPLAT2D_NAMESPACE naming it: instantiates the kernels for 1 to 8
// channels and exports them as a table.
#include <utility>

#include "fit_fast.h"
#include "fit_gaussianimage.h"
#include "rasterize.h"
#include "dispatch.h"

namespace SPLAT2D_NAMESPACE {

template <int C>
struct Instance {
  static void plan(const splat2d::Job& job, int64_t begin, int64_t end) {
    const Canvas canvas(job.width, job.height);
    const auto shape_at = [&](int64_t i) SPLAT2D_INLINED {
      const float *mean = job.means + 2 * i, *l = job.cholesky + 3 * i;
      return shape_of_cholesky(mean[0], mean[1], l[0], l[1], l[2], canvas);
    };
    make_plans(begin, end, canvas, job.cutoff, shape_at, job.plans);
  }

  static void render_band(const splat2d::Job& job, const splat2d::Band& band) {
    const Canvas canvas(job.width, job.height);
    std::vector<float> image((band.last - band.first) * C * splat2d::pitch_of(job.width), 0.0f);
    const int64_t origin = band.row * job.n;
    for (int64_t k = 0; k < band.size; ++k) {
      const int64_t i = origin + band.gaussians[k];
      add<C>(job.plans[i], job.colors + i * C, 1, canvas, job.cutoff, band.first, band.last, image.data());
    }
    const int64_t pixels = static_cast<int64_t>(job.rows) * job.width;
    from_slabs<C>(image.data(), canvas, band.first, band.last, job.first_row, job.rows,
                  job.out + band.row * C * pixels);
  }

  static void slab_gradient(const splat2d::Job& job, int64_t row, int first, int last) {
    const Canvas canvas(job.width, job.height);
    const int64_t pixels = static_cast<int64_t>(job.height) * job.width, stride = C * splat2d::pitch_of(job.width);
    to_slabs<C>(job.grad_out + row * C * pixels, canvas, first, last,
                job.grad_slabs + (row * canvas.slabs + first) * stride);
  }

  static void gather_range(const splat2d::Job& job, int64_t begin, int64_t end) {
    const Canvas canvas(job.width, job.height);
    const int64_t stride = canvas.slabs * C * splat2d::pitch_of(job.width);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / job.n;
      if (i - row * job.n >= job.count(row)) continue;  // unused: its gradient stays zero
      float sums[kMoments + C];
      gather<C>(job.plans[i], job.colors + i * C, 1, canvas, job.cutoff, job.grad_slabs + row * stride, sums);
      const Shape p = shape_in(job.plans[i]);
      const Gradient by = gradient_of({sums[0], sums[1], sums[2], sums[3], sums[4]}, p.s, p.t, p.jv);
      job.grad_means[2 * i] = by.mx, job.grad_means[2 * i + 1] = by.my;
      cholesky_gradient(by, job.cholesky + 3 * i, job.grad_cholesky + 3 * i);
      std::memcpy(job.grad_colors + i * C, sums + kMoments, C * sizeof(float));
    }
  }

  static constexpr splat2d::Kernels table = {plan, render_band, slab_gradient, gather_range, fit<C>,
                                            fit_gaussianimage<C>};
};

template <int... C>
const splat2d::Kernels& select(int channels, std::integer_sequence<int, C...>) {
  static const splat2d::Kernels* const tables[] = {&Instance<C + 1>::table...};
  return *tables[channels - 1];
}

inline const splat2d::Kernels& kernels(int channels) {
  return select(channels, std::make_integer_sequence<int, splat2d::kMaxChannels>());
}

}  // namespace SPLAT2D_NAMESPACE
