#define SPLAT2D_NAMESPACE splat2d_avx2
#include "isa.inl"

const splat2d::Rasterizer& splat2d::avx2_rasterizer(int channels) { return splat2d_avx2::rasterizer(channels); }
