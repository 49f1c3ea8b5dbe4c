// The entry points: argument checks, choice of instruction set, threads.
#include "api.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace native {
namespace {

using splat2d::parallel;

constexpr int kParts = 8;   // of a kernel's gradient, summed in their order: no bit depends on the number of threads

int best_isa() {
#if defined(SPLAT2D_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

std::atomic<int> g_isa{best_isa()};

const Implementation& chosen() {
#if defined(SPLAT2D_X86)
  if (g_isa == 2) return avx512_implementation();
  if (g_isa == 1) return avx2_implementation();
#endif
  return portable_implementation();
}

template <class Arguments>
bool valid(const Arguments& a) {
  return a.batch >= 0 && a.height >= 0 && a.width >= 0 && a.inputs > 0 && a.outputs > 0 && a.threads > 0;
}

template <class Arguments>
int64_t tiles_of(const Arguments& a) {
  return a.batch * tiles_along(a.height) * tiles_along(a.width);
}

void convolve(const ConvolveArguments& arguments) {
  const Implementation& implementation = chosen();
  std::vector<float> kernel(kPoints * arguments.inputs * padded(arguments.outputs));
  implementation.transform_kernel(arguments.kernel, arguments.inputs, arguments.outputs, kernel.data());
  const int64_t tiles = tiles_of(arguments);
  parallel(arguments.threads, (tiles + kBlock - 1) / kBlock, [&](int64_t block) {
    implementation.convolve(arguments, kernel.data(), block * kBlock, std::min((block + 1) * kBlock, tiles));
  });
}

// The sum of what f(block, part) adds to `part`, zeros at first, for every block.
template <class F>
std::vector<float> summed(int threads, int64_t blocks, int64_t size, const F& f) {
  const int64_t parts = std::min<int64_t>(kParts, std::max<int64_t>(blocks, 1));
  std::vector<float> sums(parts * size);
  parallel(threads, parts, [&](int64_t part) {
    for (int64_t block = part * blocks / parts; block < (part + 1) * blocks / parts; ++block)
      f(block, sums.data() + part * size);
  });
  for (int64_t part = 1; part < parts; ++part)
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
  return sums;
}

void convolve_backward(const ConvolveBackwardArguments& arguments) {
  const Implementation& implementation = chosen();
  const int64_t tiles = tiles_of(arguments), blocks = (tiles + kBlock - 1) / kBlock;
  const int64_t outputs = padded(arguments.outputs), kernel = kPoints * padded(arguments.inputs) * outputs;
  const std::vector<float> sums = summed(arguments.threads, blocks, kernel + outputs, [&](int64_t block, float* part) {
    implementation.convolve_backward(arguments, block * kBlock, std::min((block + 1) * kBlock, tiles), part,
                                     part + kernel);
  });
  implementation.kernel_gradient(sums.data(), arguments.inputs, arguments.outputs, arguments.grad_kernel);
  std::copy_n(sums.data() + kernel, arguments.outputs, arguments.grad_bias);
}

bool valid(const BlendArguments& a) { return a.cells >= 0 && a.kernels > 0 && a.latent > 0 && a.threads > 0; }
bool valid(const BlendBackwardArguments& a) { return a.cells >= 0 && a.kernels > 0 && a.latent > 0 && a.threads > 0; }

void blend(const BlendArguments& arguments) {
  const Implementation& implementation = chosen();
  parallel(arguments.threads, (arguments.cells + kCells - 1) / kCells, [&](int64_t block) {
    implementation.blend(arguments, block * kCells, std::min((block + 1) * kCells, arguments.cells));
  });
}

void blend_backward(const BlendBackwardArguments& arguments) {
  const Implementation& implementation = chosen();
  const int64_t blocks = (arguments.cells + kCells - 1) / kCells;
  const int64_t depth = padded(arguments.latent), keys = arguments.kernels * depth;
  const int64_t size = keys + (arguments.grad_entries ? arguments.kernels * kVector : 0);
  const std::vector<float> sums = summed(arguments.threads, blocks, size, [&](int64_t block, float* part) {
    implementation.blend_backward(arguments, block * kCells, std::min((block + 1) * kCells, arguments.cells), part,
                                  arguments.grad_entries ? part + keys : nullptr);
  });
  for (int k = 0; k < arguments.kernels; ++k) {
    std::copy_n(sums.data() + k * depth, arguments.latent, arguments.grad_keys + static_cast<int64_t>(k) * arguments.latent);
    if (arguments.grad_entries)
      std::copy_n(sums.data() + keys + k * kVector, kEntries, arguments.grad_entries + kEntries * k);
  }
}

bool valid(const HeadsArguments& a) {
  return a.batch >= 0 && a.height >= 0 && a.width >= 0 && a.inputs > 0 && a.features > 0 && a.cells > 0 &&
         a.kernels > 0 && a.latent > 0 && a.blending >= kCholesky && a.blending <= kSqrt && a.threads > 0;
}

void heads(const HeadsArguments& arguments) {
  const Implementation& implementation = chosen();
  const int64_t pixels = arguments.batch * arguments.height * arguments.width;
  parallel(arguments.threads, (pixels + kPixels - 1) / kPixels, [&](int64_t block) {
    implementation.heads(arguments, block * kPixels, std::min((block + 1) * kPixels, pixels));
  });
}

bool valid(const InterpolateArguments& a) {
  return a.batch >= 0 && a.height >= 0 && a.width >= 0 && a.channels > 0 && a.cells > 0 && a.taps % 2 == 1 &&
         a.threads > 0;
}

void interpolate(const InterpolateArguments& arguments) {
  const Implementation& implementation = chosen();
  parallel(arguments.threads, arguments.width > 0 ? arguments.batch * arguments.height : 0,
           [&](int64_t row) { implementation.interpolate(arguments, row); });
}

template <class Arguments, class F>
int guarded(const Arguments* arguments, const F& f) {
  if (!valid(*arguments)) return kBadArgument;
  try {
    f(*arguments);
    return kOk;
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  } catch (const std::exception&) {
    return kBadArgument;
  }
}

}  // namespace
}  // namespace native

using namespace native;

NATIVE_API int native_abi() { return kAbi; }

NATIVE_API int64_t native_struct_size(const char* name) {
  const auto is = [name](const char* other) { return std::strcmp(name, other) == 0; };
  if (is("convolve")) return sizeof(ConvolveArguments);
  if (is("convolve_backward")) return sizeof(ConvolveBackwardArguments);
  if (is("blend")) return sizeof(BlendArguments);
  if (is("blend_backward")) return sizeof(BlendBackwardArguments);
  if (is("heads")) return sizeof(HeadsArguments);
  if (is("interpolate")) return sizeof(InterpolateArguments);
  return 0;
}

NATIVE_API int native_isa() { return g_isa; }

NATIVE_API int native_set_isa(int isa) {
  if (isa < 0 || isa > best_isa()) return kBadArgument;
  g_isa = isa;
  return kOk;
}

NATIVE_API int native_convolve(const ConvolveArguments* arguments) { return guarded(arguments, convolve); }

NATIVE_API int native_convolve_backward(const ConvolveBackwardArguments* arguments) {
  return guarded(arguments, convolve_backward);
}

NATIVE_API int native_blend(const BlendArguments* arguments) { return guarded(arguments, blend); }

NATIVE_API int native_blend_backward(const BlendBackwardArguments* arguments) {
  return guarded(arguments, blend_backward);
}

NATIVE_API int native_heads(const HeadsArguments* arguments) { return guarded(arguments, heads); }

NATIVE_API int native_interpolate(const InterpolateArguments* arguments) { return guarded(arguments, interpolate); }
