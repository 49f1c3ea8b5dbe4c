// Compiled once per instruction set, with SPLAT2D_NAMESPACE naming it.
#include "blending.h"
#include "convolution.h"
#include "dispatch.h"

namespace SPLAT2D_NAMESPACE {

constexpr native::Implementation implementation = {
    transform_kernel, convolve, convolve_backward, kernel_gradient, blend, blend_backward,
};

}  // namespace SPLAT2D_NAMESPACE
