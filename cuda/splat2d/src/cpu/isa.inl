// Compiled once per instruction set, with SPLAT2D_NAMESPACE naming it: instantiates a Rasterizer for each number of
// channels from 1 to 8.
#include <utility>

#include "dispatch.h"
#include "fit_fast.h"
#include "fit_gaussianimage.h"
#include "rasterize.h"

namespace SPLAT2D_NAMESPACE {

template <int C>
struct Instance {
  static void find_footprints(const splat2d::FieldArguments& field, int64_t begin, int64_t end, Footprint* footprints) {
    const Canvas canvas(field.width, field.height);
    const auto shape_at = [&](int64_t i) SPLAT2D_INLINED {
      const float *mean = field.means + 2 * i, *l = field.cholesky + 3 * i;
      return shape_of_cholesky(mean[0], mean[1], l[0], l[1], l[2], canvas);
    };
    SPLAT2D_NAMESPACE::find_footprints(begin, end, canvas, field.cutoff, shape_at, footprints);
  }

  static void render_band(const splat2d::RenderArguments& arguments, const Footprint* footprints,
                          const splat2d::Band& band) {
    const splat2d::FieldArguments& field = arguments.field;
    const Canvas canvas(field.width, field.height);
    std::vector<float> image((band.end - band.first) * C * splat2d::pitch_of(field.width), 0.0f);
    const int64_t origin = band.row * field.gaussians;
    for (int64_t k = 0; k < band.size; ++k) {
      const int64_t i = origin + band.gaussians[k];
      rasterize<C>(footprints[i], field.colors + i * C, 1, canvas, field.cutoff, band.first, band.end, image.data());
    }
    const int64_t pixels = static_cast<int64_t>(arguments.rows) * field.width;
    from_slabs<C>(image.data(), canvas, band.first, band.end, arguments.first_row, arguments.rows,
                  arguments.out + band.row * C * pixels);
  }

  static void slab_gradient(const splat2d::RenderBackwardArguments& arguments, int64_t row, int first, int end,
                            float* grad_slabs) {
    const int height = arguments.field.height, width = arguments.field.width;
    const Canvas canvas(width, height);
    const int64_t pixels = static_cast<int64_t>(height) * width, stride = C * splat2d::pitch_of(width);
    to_slabs<C>(arguments.grad_out + row * C * pixels, canvas, first, end,
                grad_slabs + (row * canvas.slabs + first) * stride);
  }

  static void gather(const splat2d::RenderBackwardArguments& arguments, const Footprint* footprints,
                     const float* grad_slabs, int64_t begin, int64_t end) {
    const splat2d::FieldArguments& field = arguments.field;
    const Canvas canvas(field.width, field.height);
    const int64_t stride = canvas.slabs * C * splat2d::pitch_of(field.width);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / field.gaussians;
      if (i - row * field.gaussians >= field.count(row)) continue;  // unused: its gradient stays zero
      float sums[kMoments + C];
      SPLAT2D_NAMESPACE::gather<C>(footprints[i], field.colors + i * C, 1, canvas, field.cutoff,
                                   grad_slabs + row * stride, sums);
      const Shape p = shape_in(footprints[i]);
      const Moments<float> moments = {sums[0], sums[1], sums[2], sums[3], sums[4]};
      const Gradient g = gradient_of(moments, p.u_per_x, p.u_per_y, p.v_per_y);
      arguments.grad_means[2 * i] = g.mx, arguments.grad_means[2 * i + 1] = g.my;
      cholesky_gradient(g, field.cholesky + 3 * i, arguments.grad_cholesky + 3 * i);
      std::memcpy(arguments.grad_colors + i * C, sums + kMoments, C * sizeof(float));
    }
  }

  static constexpr splat2d::Rasterizer rasterizer = {find_footprints, render_band, slab_gradient,
                                                     gather,          fit_fast<C>, fit_gaussianimage<C>};
};

template <int... C>
const splat2d::Rasterizer& select(int channels, std::integer_sequence<int, C...>) {
  static const splat2d::Rasterizer* const rasterizers[] = {&Instance<C + 1>::rasterizer...};
  return *rasterizers[channels - 1];
}

inline const splat2d::Rasterizer& rasterizer(int channels) {
  return select(channels, std::make_integer_sequence<int, splat2d::kMaxChannels>());
}

}  // namespace SPLAT2D_NAMESPACE
