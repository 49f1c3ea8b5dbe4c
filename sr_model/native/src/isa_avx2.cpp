#define SPLAT2D_NAMESPACE native_avx2
#include "isa.inl"

const native::Implementation& native::avx2_implementation() { return native_avx2::implementation; }
