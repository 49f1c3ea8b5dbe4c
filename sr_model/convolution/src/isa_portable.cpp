#define SPLAT2D_NAMESPACE convolution_portable
#include "isa.inl"

const convolution::Implementation& convolution::portable_implementation() { return convolution_portable::implementation; }
