// The plain data that the C interface hands to the kernels.
#pragma once

#include <cstdint>
#include <vector>

namespace splat2d {

// Opaque here: the kernels' Shape (gaussian.h), whose namespace differs per instruction set.
constexpr int kShapeFloats = 12;

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
  float* shapes;          // [B, N, kShapeFloats]
  float* out;             // [B, C, rows, W]
  const float* grad_out;  // [B, C, H, W]
  float* grad_blocks;     // [B, rows, columns, C, 16]
  float* grad_means;
  float* grad_cholesky;
  float* grad_colors;

  int64_t count(int64_t row) const { return counts ? counts[row] : n; }
};

// Block rows [first, last) of one image of the batch, and the Gaussians that may touch them, in index order.
struct Band {
  int64_t row;
  int first, last;
  const int32_t* gaussians;
  int64_t size;
};

// A run of Adam iterations on one crop (see fit.h).
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

}  // namespace splat2d
