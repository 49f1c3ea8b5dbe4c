// Compiled once per instruction set, with SPLAT2D_NAMESPACE naming it: instantiates the kernels for 1 to 8
// channels and exports them as a table.
#include <utility>

#include "fit.h"
#include "kernels.h"
#include "table.h"

namespace SPLAT2D_NAMESPACE {

static_assert(sizeof(Shape) == splat2d::kShapeFloats * sizeof(float), "Job::shapes holds Shapes");

template <int C>
struct Instance {
  static float limit(const splat2d::Job& job) { return kWhitenSquared * (job.cutoff * job.cutoff); }
  static Shape* shapes(const splat2d::Job& job) { return reinterpret_cast<Shape*>(job.shapes); }

  static void prepare_range(const splat2d::Job& job, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float *mean = job.means + 2 * i, *l = job.cholesky + 3 * i;
      shapes(job)[i] = prepare(mean[0], mean[1], l[0], l[1], l[2], job.cutoff);
    }
  }

  static void render_band(const splat2d::Job& job, const splat2d::Band& band) {
    const Blocks blocks(job.width, job.height);
    std::vector<float> image(static_cast<int64_t>(band.last - band.first) * blocks.columns * C * kLanes, 0.0f);
    const int64_t origin = band.row * job.n;
    for (int64_t k = 0; k < band.size; ++k) {
      const int64_t i = origin + band.gaussians[k];
      add<C>(shapes(job)[i], job.colors + i * C, blocks, band.first, band.last, limit(job), image.data());
    }
    const int64_t pixels = static_cast<int64_t>(job.rows) * job.width;
    from_blocks<C>(image.data(), blocks, band.first, band.last, job.first_row, job.rows,
                   job.out + band.row * C * pixels);
  }

  static void block_gradient(const splat2d::Job& job, int64_t row, int first, int last) {
    const Blocks blocks(job.width, job.height);
    const int64_t pixels = static_cast<int64_t>(job.height) * job.width;
    const int64_t stride = static_cast<int64_t>(blocks.columns) * C * kLanes;
    float* const image = job.grad_blocks + (row * blocks.rows + first) * stride;
    to_blocks<C>(job.grad_out + row * C * pixels, blocks, first, last, image);
  }

  static void gather_range(const splat2d::Job& job, int64_t begin, int64_t end) {
    const Blocks blocks(job.width, job.height);
    const int64_t stride = static_cast<int64_t>(blocks.rows) * blocks.columns * C * kLanes;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / job.n;
      if (i - row * job.n >= job.count(row)) continue;  // unused: its gradient stays zero
      Moments<float> t;
      gather<C>(shapes(job)[i], job.colors + i * C, blocks, limit(job), job.grad_blocks + row * stride, &t,
                job.grad_colors + i * C);
      const float* l = job.cholesky + 3 * i;
      const Gradient g = gradient(t, l[0], l[1], l[2]);
      job.grad_means[2 * i] = g.mx, job.grad_means[2 * i + 1] = g.my;
      float* const gl = job.grad_cholesky + 3 * i;
      gl[0] = g.l11, gl[1] = g.l21, gl[2] = g.l22;
    }
  }

  static constexpr splat2d::Kernels table = {prepare_range, render_band, block_gradient, gather_range, fit<C>};
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
