// Compiled once per instruction set, with SPLAT2D_NAMESPACE naming it.
#include "blending.h"
#include "convolution.h"
#include "dispatch.h"
#include "heads.h"
#include "interpolation.h"

namespace SPLAT2D_NAMESPACE {

constexpr native::Implementation implementation = {
    transform_kernel, convolve, convolve_backward, kernel_gradient, blend, blend_backward, heads, interpolate,
};

}  // namespace SPLAT2D_NAMESPACE
