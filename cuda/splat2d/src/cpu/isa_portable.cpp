#define SPLAT2D_NAMESPACE splat2d_portable
#include "isa.inl"

const splat2d::Kernels& splat2d::portable_kernels(int channels) { return splat2d_portable::kernels(channels); }
