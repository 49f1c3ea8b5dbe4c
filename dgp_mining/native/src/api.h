// The C interface of this library: one struct of arguments per entry point, mirrored in library.py.
//
// Arrays are contiguous and the caller's. Every function returns a Status; nothing throws across the interface. A change
// of any struct or meaning is a new kAbi.
//
// Every result has the same bits on every processor, and is what fitting/statistics.py and fitting/content.py compute
// with numpy where this library is missing: operations are +, -, *, / and square roots alone, in a fixed order, and
// multiplications and additions are not fused.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define MEASURE_API extern "C" __declspec(dllexport)
#else
#define MEASURE_API extern "C" __attribute__((visibility("default")))
#endif

namespace measure {

constexpr int kAbi = 1;

enum Status { kOk = 0, kBadArgument = -1, kNoMemory = -2 };

constexpr int kLanes = 8;     // of sums over Gaussians: the i-th is added to the (i % kLanes)-th, these then in halves
constexpr int kAveraged = 10; // rows of entries with moments
constexpr int kMoments = 32;  // means of these, and of products of two
constexpr int kEntries = 9;   // rows of entries with histograms

// The classes, moments and histograms of one fitted field (gaussians.cpp).
struct GaussiansArguments {
  int64_t gaussians;
  int32_t channels, bins;  // bins: even
  double height, width, spacing;  // px
  double cutoff, dead, border;    // standard deviations, amplitude, grid spacings
  const float* means;      // [N, 2] px
  const float* cholesky;   // [N, 3] px
  const float* colors;     // [N, C]
  const double* ranges;    // [kEntries, 2]
  const double* turns;     // [bins / 2 - 1] cosines of the bins' edges in (0, 180) degrees of the doubled angle
  uint8_t* classes;        // [N]
  double* sums;            // [2, kMoments + 1] by weight; the last column is the sum of weights
  double* histograms;      // [2, kEntries, bins]
};

// The descriptors of one crop, up to its spectrum (pixels.cpp).
struct PixelsArguments {
  int64_t height, width;  // at least 3
  int32_t channels, block;
  const float* pixels;  // [H, W, C]
  const float* window;  // [H, W]
  float* windowed;      // [H, W] the mean of channels without its mean over pixels, times the window
  double* sums;         // [5] of squares: differences from the mean, gradients, Laplacians; of eigenvalues: see pixels.py
  float* middle;        // [2] the two middle absolute values of the noise filter's response, equal if there is one
};

}  // namespace measure

MEASURE_API int measure_abi();
// Bytes of the struct of arguments of the entry point `name` ("gaussians", "pixels"); 0 for other names.
MEASURE_API int64_t measure_struct_size(const char* name);

MEASURE_API int measure_gaussians(const measure::GaussiansArguments* arguments);
MEASURE_API int measure_pixels(const measure::PixelsArguments* arguments);
