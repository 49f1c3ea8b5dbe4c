// The C interface of the CPU library: one struct of arguments per entry point, mirrored in backends/cpu.py.
//
// splat2d_struct_size lets the caller check its mirrors; a change of any struct or meaning is a new kAbi. Arrays are
// contiguous and the caller's. Every function returns a Status; nothing throws across the interface.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define SPLAT2D_API extern "C" __declspec(dllexport)
#else
#define SPLAT2D_API extern "C" __attribute__((visibility("default")))
#endif

namespace splat2d {

constexpr int kAbi = 5;

enum Status { kOk = 0, kBadArgument = -1, kNoMemory = -2, kBadGaussian = -3 };

// B fields of N Gaussians each, and the images [B, C, H, W] that they stand for.
struct FieldArguments {
  int64_t batch, gaussians;
  const float* means;     // [B, N, 2]
  const float* cholesky;  // [B, N, 3]
  const float* colors;    // [B, N, C]
  const int64_t* counts;  // [B] Gaussians in use, or null: all
  int32_t channels, height, width, threads;
  float cutoff;
  int64_t bad_gaussian;  // set with kBadGaussian: the flat index of the first one that cannot be rendered

  int64_t count(int64_t row) const { return counts ? counts[row] : gaussians; }
};

struct RenderArguments {
  FieldArguments field;
  int32_t first_row, rows;  // the part of the image that `out` holds
  float* out;               // [B, C, rows, W]
};

struct RenderBackwardArguments {
  FieldArguments field;
  const float* grad_out;  // [B, C, H, W]
  float* grad_means;      // as means, cholesky and colors; zero on entry, and left so for unused Gaussians
  float* grad_cholesky;
  float* grad_colors;
};

// Iterations of the recipe `fast` on one crop (fit_fast.h).
struct FitFastArguments {
  int32_t channels, height, width;
  int64_t gaussians, start, iterations;  // start: iterations done before this call, for Adam's bias correction
  float cutoff, min_sigma, betas[2], epsilon, opposed;  // opposed: see Adam in fast_step.h
  const float* target;  // [C, H, W]
  const float* rates;   // [iterations, 3]: learning rates of means, roots and colours
  float* parameters;    // [5 + C, N]: x, y, symmetric root a, b, c, colours
  float* first;         // [5 + C, N]: Adam's first moments
  float* second;        // [5 + C, N]: Adam's second moments
  double* losses;       // [iterations]: sum of squared errors before each update
};

// Iterations of the recipe `gaussianimage` on one crop (fit_gaussianimage.h).
struct FitGaussianImageArguments {
  int32_t channels, height, width;
  int64_t gaussians, start, iterations;
  float cutoff, bound[3], betas[3], epsilon;  // bound: added to the Cholesky entries; betas: Adan's
  const float* target;                        // [C, H, W]
  const float* rates;                         // [iterations]
  float* parameters;                          // [5 + C, N]: x, y, l11, l21, l22, colours, as optimised
  float* state;    // [4, 5 + C, N]: Adan's momentum, change, second moment; the previous gradient
  double* losses;  // [iterations]: sum of squared errors of the clamped image before each update
};

}  // namespace splat2d

SPLAT2D_API int splat2d_abi();
// Bytes of the struct of arguments that the entry point `name` takes ("render", "fit_fast" ...); 0 for other names.
SPLAT2D_API int64_t splat2d_struct_size(const char* name);
// The instruction set in use: 0 portable, 1 AVX2, 2 AVX-512; and a choice of another that this machine has, for tests.
SPLAT2D_API int splat2d_isa();
SPLAT2D_API int splat2d_set_isa(int isa);

SPLAT2D_API int splat2d_render(splat2d::RenderArguments* arguments);
SPLAT2D_API int splat2d_render_backward(splat2d::RenderBackwardArguments* arguments);
SPLAT2D_API int splat2d_fit_fast(const splat2d::FitFastArguments* arguments);
SPLAT2D_API int splat2d_fit_gaussianimage(const splat2d::FitGaussianImageArguments* arguments);
