// The C interface of the convolution library: one struct of arguments per entry point, mirrored in winograd.py.
//
// Arrays are contiguous and the caller's; images are channels-last. Every function returns a Status; nothing throws
// across the interface. A change of any struct or meaning is a new kAbi.
#pragma once

#include <cstdint>

#if defined(_WIN32)
#define CONVOLUTION_API extern "C" __declspec(dllexport)
#else
#define CONVOLUTION_API extern "C" __attribute__((visibility("default")))
#endif

namespace convolution {

constexpr int kAbi = 1;

enum Status { kOk = 0, kBadArgument = -1, kNoMemory = -2 };

// A convolution with a 3x3 kernel, stride 1 and a border of one zero: as torch's, a correlation.
struct ForwardArguments {
  int64_t batch, height, width;
  int32_t inputs, outputs, threads;
  const float* image;   // [B, H, W, inputs]
  const float* kernel;  // [outputs, inputs, 3, 3]
  const float* bias;    // [outputs], or null: zeros
  float* out;           // [B, H, W, outputs]
};

// The gradients of the kernel and of the bias, from that of the convolution's result.
struct BackwardArguments {
  int64_t batch, height, width;
  int32_t inputs, outputs, threads;
  const float* image;     // [B, H, W, inputs]
  const float* grad_out;  // [B, H, W, outputs]
  float* grad_kernel;     // [outputs, inputs, 3, 3]
  float* grad_bias;       // [outputs]
};

}  // namespace convolution

CONVOLUTION_API int convolution_abi();
// Bytes of the struct of arguments of "forward" or "backward"; 0 for other names.
CONVOLUTION_API int64_t convolution_struct_size(const char* name);
// The instruction set in use: 0 portable, 1 AVX2, 2 AVX-512; and a choice of another that this machine has, for tests.
CONVOLUTION_API int convolution_isa();
CONVOLUTION_API int convolution_set_isa(int isa);

CONVOLUTION_API int convolution_forward(const convolution::ForwardArguments* arguments);
CONVOLUTION_API int convolution_backward(const convolution::BackwardArguments* arguments);
