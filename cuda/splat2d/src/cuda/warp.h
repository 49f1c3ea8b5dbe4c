// The unit of the CUDA kernels: a warp of 32 lanes that run in step and exchange values, and nothing larger.
//
// No kernel uses shared memory, block-wide barriers or atomics, so a warp is all that a host needs to imitate:
// outside CUDA these functions are declared for the shim of the tests to define (tests/splat2d/warp_shim.cpp).
#pragma once

#include "../shared/gaussian.h"

namespace SPLAT2D_NAMESPACE {

#if defined(__CUDACC__)

#define SPLAT2D_KERNEL extern "C" __global__ void __launch_bounds__(256)
#define SPLAT2D_DEVICE __device__ __forceinline__

SPLAT2D_DEVICE int lane_index() { return threadIdx.x & 31; }
// Warps are numbered through all blocks of a one-dimensional grid.
SPLAT2D_DEVICE unsigned warp_index() { return (blockIdx.x * blockDim.x + threadIdx.x) >> 5; }
SPLAT2D_DEVICE unsigned ballot(bool vote) { return __ballot_sync(0xffffffffu, vote); }
SPLAT2D_DEVICE int lowest_bit(unsigned bits) { return __ffs(bits) - 1; }
template <class T>
SPLAT2D_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

#else

#define SPLAT2D_KERNEL void
#define SPLAT2D_DEVICE inline

int lane_index();
unsigned warp_index();
unsigned ballot(bool vote);
inline int lowest_bit(unsigned bits) { return __builtin_ctz(bits); }
template <class T>
T shuffle_xor(T value, int mask);

#endif

}  // namespace SPLAT2D_NAMESPACE
