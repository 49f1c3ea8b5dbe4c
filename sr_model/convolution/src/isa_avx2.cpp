#define SPLAT2D_NAMESPACE convolution_avx2
#include "isa.inl"

const convolution::Implementation& convolution::avx2_implementation() { return convolution_avx2::implementation; }
