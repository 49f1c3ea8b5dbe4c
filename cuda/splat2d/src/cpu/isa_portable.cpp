#define SPLAT2D_NAMESPACE splat2d_portable
#include "isa.inl"

const splat2d::Rasterizer& splat2d::portable_rasterizer(int channels) { return splat2d_portable::rasterizer(channels); }
