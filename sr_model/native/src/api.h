// The C interface of this library: one struct of arguments per entry point, mirrored in library.py.
//
// Arrays are contiguous and the caller's; images are channels-last. Every function returns a Status; nothing throws
// across the interface. A change of any struct or meaning is a new kAbi.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define NATIVE_API extern "C" __declspec(dllexport)
#else
#define NATIVE_API extern "C" __attribute__((visibility("default")))
#endif

namespace native {

constexpr int kAbi = 3;

enum Status { kOk = 0, kBadArgument = -1, kNoMemory = -2 };

// A convolution with a 3x3 kernel, stride 1 and a border of one zero: as torch's, a correlation.
struct ConvolveArguments {
  int64_t batch, height, width;
  int32_t inputs, outputs, threads;
  const float* image;   // [B, H, W, inputs]
  const float* kernel;  // [outputs, inputs, 3, 3]
  const float* bias;    // [outputs], or null: zeros
  float* out;           // [B, H, W, outputs]
};

// The gradients of the kernel and of the bias, from that of the convolution's result.
struct ConvolveBackwardArguments {
  int64_t batch, height, width;
  int32_t inputs, outputs, threads;
  const float* image;     // [B, H, W, inputs]
  const float* grad_out;  // [B, H, W, outputs]
  float* grad_kernel;     // [outputs, inputs, 3, 3]
  float* grad_bias;       // [outputs]
};

// For each of N cells, the mean of K kernels weighted by softmax(query . key).
struct BlendArguments {
  int64_t cells;
  int32_t kernels, latent, threads;
  const float* queries;  // [N, latent]
  const float* keys;     // [K, latent]
  const float* entries;  // [K, 3]
  float* blended;        // [N, 3]
};

// The gradients of queries, keys and entries, from that of the means.
struct BlendBackwardArguments {
  int64_t cells;
  int32_t kernels, latent, threads;
  const float* queries;       // [N, latent]
  const float* keys;          // [K, latent]
  const float* entries;       // [K, 3]
  const float* blended;       // [N, 3]
  const float* grad_blended;  // [N, 3]
  float* grad_queries;        // [N, latent]
  float* grad_keys;           // [K, latent]
  float* grad_entries;        // [K, 3], or null
};

enum Blending { kCholesky = 0, kCovariance = 1, kSqrt = 2 };

// The Gaussians of k x k cells for each LR pixel: of its features a linear layer makes those of its cells, of which
// others make a colour, an offset and a query, whose kernel is blended as above. Offsets are `drift` times their tanh.
// Queries, and offsets too if `activated`, see the features after a leaky ReLU.
struct HeadsArguments {
  int64_t batch, height, width;  // in LR pixels
  int32_t inputs, features, cells, kernels, latent, blending, activated, threads;
  float drift, smallest;         // in LR pixels; the least diagonal entry of a Cholesky factor before the division by k
  float replaced;                // the share of `start` that is taken away, if there is `added`
  const float* pixels;           // [B, H, W, inputs]
  const float* projection;       // [k * k, features, inputs]: of cell (row i, column j), i k + j
  const float* projection_bias;  // [k * k, features]
  const float* heads;            // [3 + 2 + latent, features]: colour, offset, query
  const float* heads_bias;       // [3 + 2 + latent]
  const float* keys;             // [K, latent]
  const float* entries;          // [K, 3] in the space `blending`
  const float* x;                // [k W], where the cells of a column lie
  const float* y;                // [k H], and those of a row
  const float* varied;           // [B, H, W] factors on the colours, or null: ones
  const float* colourful;        // [B, H, W] factors on what differs from their mean; null with `varied`
  const float* added;            // [B, H, W, 3 k k] to the colours: of channel c and cell n, c k k + n; or null
  const float* start;            // [B, k H, k W, 3], colours of which a share is taken away; null with `added`
  float* means;                  // [B, k H, k W, 2]
  float* cholesky;               // [B, k H, k W, 3], divided by k
  float* colours;                // [B, k H, k W, 3]
  float* largest;                // [B, H, W], of the absolute colours of a pixel's cells
};

// An image whose rows and columns are each filtered to `cells` ones, by an odd number of taps; beyond its borders its
// outermost pixels repeat.
struct InterpolateArguments {
  int64_t batch, height, width;
  int32_t channels, cells, taps, threads;
  const float* image;   // [B, H, W, channels]
  const float* filter;  // [cells, taps]
  float* out;           // [B, cells H, cells W, channels]
};

}  // namespace native

NATIVE_API int native_abi();
// Bytes of the struct of arguments that the entry point `name` takes ("convolve", "blend" ...); 0 for other names.
NATIVE_API int64_t native_struct_size(const char* name);
// The instruction set in use: 0 portable, 1 AVX2, 2 AVX-512; and a choice of another that this machine has, for tests.
NATIVE_API int native_isa();
NATIVE_API int native_set_isa(int isa);

NATIVE_API int native_convolve(const native::ConvolveArguments* arguments);
NATIVE_API int native_convolve_backward(const native::ConvolveBackwardArguments* arguments);
NATIVE_API int native_blend(const native::BlendArguments* arguments);
NATIVE_API int native_blend_backward(const native::BlendBackwardArguments* arguments);
NATIVE_API int native_heads(const native::HeadsArguments* arguments);
NATIVE_API int native_interpolate(const native::InterpolateArguments* arguments);
