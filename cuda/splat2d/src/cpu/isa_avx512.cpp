#define SPLAT2D_NAMESPACE splat2d_avx512
#include "isa.inl"

const splat2d::Rasterizer& splat2d::avx512_rasterizer(int channels) { return splat2d_avx512::rasterizer(channels); }
