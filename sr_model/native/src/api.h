// The C interface of this library: one struct of arguments per entry point, mirrored in convolution.py and blending.py.
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

constexpr int kAbi = 1;

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
