// What each instruction set provides, one table of function pointers per number of channels.
#pragma once

#include <cstdint>

#include "job.h"

namespace splat2d {

constexpr int kMaxChannels = 8;

struct Kernels {
  void (*plan)(const Job& job, int64_t begin, int64_t end);
  void (*render_band)(const Job& job, const Band& band);
  void (*slab_gradient)(const Job& job, int64_t row, int first, int last);
  void (*gather)(const Job& job, int64_t begin, int64_t end);
  void (*fit)(const Fit& fit);
  void (*fit_gaussianimage)(const GaussianImageFit& fit);
};

const Kernels& avx512_kernels(int channels);
const Kernels& avx2_kernels(int channels);
const Kernels& portable_kernels(int channels);

}  // namespace splat2d
