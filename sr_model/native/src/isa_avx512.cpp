#define SPLAT2D_NAMESPACE native_avx512
#include "isa.inl"

const native::Implementation& native::avx512_implementation() { return native_avx512::implementation; }
