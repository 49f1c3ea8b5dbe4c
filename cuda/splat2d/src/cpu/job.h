// The plain data that the C interface hands to the kernels.
#pragma once

#include <cstdint>
#include <vector>

namespace splat2d {

constexpr int kRuns = 8;

// Where one Gaussian is drawn (footprints.h).
struct alignas(64) Plan {
  float s, t, jv, bx, by, ox, oy;  // gaussian.h's Shape, whose namespace differs per instruction set
  int32_t first, slabs;            // the slabs that it may touch
  int32_t wide;                    // whether they, or their runs, are more than `runs` can say
  int8_t runs[kRuns][2];           // kx and visits in each (gaussian.h's Run)
};

// Floats of one channel of one slab: four rows of whole vectors, and of one that begins in the last column.
inline int64_t pitch_of(int width) { return 16 * ((static_cast<int64_t>(width) + 6) / 4); }

// One call of render or its backward: B rows of N Gaussians, flattened to B N.
struct Job {
  int64_t batch, n;
  int channels, height, width;
  int first_row, rows;  // the part of the image that `out` holds
  float cutoff;
  const float* means;     // [B, N, 2]
  const float* cholesky;  // [B, N, 3]
  const float* colors;    // [B, N, C]
  const int64_t* counts;  // [B] or null
  Plan* plans;            // [B, N]
  float* out;             // [B, C, rows, W]
  const float* grad_out;  // [B, C, H, W]
  float* grad_slabs;      // [B, slabs, C, pitch]
  float* grad_means;
  float* grad_cholesky;
  float* grad_colors;

  int64_t count(int64_t row) const { return counts ? counts[row] : n; }
};

// Slabs [first, last) of one image of the batch, and the Gaussians that may touch them, in index order.
struct Band {
  int64_t row;
  int first, last;
  const int32_t* gaussians;
  int64_t size;
};

// A run of Adam iterations on one crop (see fit_fast.h).
struct Fit {
  int channels, height, width;
  int64_t n;
  float cutoff, min_sigma, beta1, beta2, epsilon;
  const float* target;  // [C, H, W]
  float* parameters;    // [5 + C, N]: x, y, symmetric root a, b, c, colours
  float* first;         // [5 + C, N] Adam's first moments
  float* second;        // [5 + C, N] and second moments
  const float* rates;   // [iterations, 3]: mean, shape, colour
  int64_t start;        // iterations done before this call, for the bias correction
  int64_t iterations;
  double* losses;       // [iterations]: sum of squared errors before each update
};

// A run of the published recipe's iterations on one crop (see fit_gaussianimage.h).
struct GaussianImageFit {
  int channels, height, width;
  int64_t n;
  float cutoff, epsilon;
  const float* bound;   // [3]: what is added to the Cholesky entries
  const float* betas;   // [3]: Adan's
  const float* target;  // [C, H, W]
  float* parameters;    // [5 + C, N]: x, y, l11, l21, l22, colours, as optimised
  float* state;         // [4, 5 + C, N]: Adan's momentum, change and second moment, and the gradient before
  const float* rates;   // [iterations]
  int64_t start;        // iterations done before this call
  int64_t iterations;
  double* losses;       // [iterations]: sum of squared errors of the clamped image before each update
};

}  // namespace splat2d
