#define SPLAT2D_NAMESPACE splat2d_avx2
#include "isa.inl"

const splat2d::Kernels& splat2d::avx2_kernels(int channels) { return splat2d_avx2::kernels(channels); }
