#define SPLAT2D_NAMESPACE native_portable
#include "isa.inl"

const native::Implementation& native::portable_implementation() { return native_portable::implementation; }
