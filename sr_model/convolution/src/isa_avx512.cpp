#define SPLAT2D_NAMESPACE convolution_avx512
#include "isa.inl"

const convolution::Implementation& convolution::avx512_implementation() { return convolution_avx512::implementation; }
