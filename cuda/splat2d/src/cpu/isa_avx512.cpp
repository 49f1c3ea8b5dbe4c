#define SPLAT2D_NAMESPACE splat2d_avx512
#include "isa.inl"

const splat2d::Kernels& splat2d::avx512_kernels(int channels) { return splat2d_avx512::kernels(channels); }
