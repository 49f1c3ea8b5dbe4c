// The entry points: argument checks, choice of instruction set, threads.
#include "api.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace convolution {
namespace {

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

void forward(const ForwardArguments& arguments) {
  const Implementation& implementation = chosen();
  std::vector<float> kernel(kPoints * arguments.inputs * padded(arguments.outputs));
  implementation.transform_kernel(arguments.kernel, arguments.inputs, arguments.outputs, kernel.data());
  const int64_t tiles = tiles_of(arguments);
  splat2d::parallel(arguments.threads, (tiles + kBlock - 1) / kBlock, [&](int64_t block) {
    implementation.forward(arguments, kernel.data(), block * kBlock, std::min((block + 1) * kBlock, tiles));
  });
}

void backward(const BackwardArguments& arguments) {
  const Implementation& implementation = chosen();
  const int64_t tiles = tiles_of(arguments), blocks = (tiles + kBlock - 1) / kBlock;
  const int64_t outputs = padded(arguments.outputs), size = kPoints * padded(arguments.inputs) * outputs;
  const int64_t parts = std::min<int64_t>(kParts, std::max<int64_t>(blocks, 1));
  std::vector<float> sums(parts * (size + outputs));
  splat2d::parallel(arguments.threads, parts, [&](int64_t part) {
    float* const kernel = sums.data() + part * (size + outputs);
    for (int64_t block = part * blocks / parts; block < (part + 1) * blocks / parts; ++block)
      implementation.backward(arguments, block * kBlock, std::min((block + 1) * kBlock, tiles), kernel, kernel + size);
  });
  for (int64_t part = 1; part < parts; ++part) {
    const float* const other = sums.data() + part * (size + outputs);
    for (int64_t i = 0; i < size + outputs; ++i) sums[i] += other[i];
  }
  implementation.kernel_gradient(sums.data(), arguments.inputs, arguments.outputs, arguments.grad_kernel);
  std::memcpy(arguments.grad_bias, sums.data() + size, arguments.outputs * sizeof(float));
}

template <class Arguments, class F>
int guarded(const Arguments& arguments, const F& f) {
  if (!valid(arguments)) return kBadArgument;
  try {
    f(arguments);
    return kOk;
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  } catch (const std::exception&) {
    return kBadArgument;
  }
}

}  // namespace
}  // namespace convolution

using namespace convolution;

CONVOLUTION_API int convolution_abi() { return kAbi; }

CONVOLUTION_API int64_t convolution_struct_size(const char* name) {
  if (std::strcmp(name, "forward") == 0) return sizeof(ForwardArguments);
  if (std::strcmp(name, "backward") == 0) return sizeof(BackwardArguments);
  return 0;
}

CONVOLUTION_API int convolution_isa() { return g_isa; }

CONVOLUTION_API int convolution_set_isa(int isa) {
  if (isa < 0 || isa > best_isa()) return kBadArgument;
  g_isa = isa;
  return kOk;
}

CONVOLUTION_API int convolution_forward(const ForwardArguments* arguments) { return guarded(*arguments, forward); }

CONVOLUTION_API int convolution_backward(const BackwardArguments* arguments) { return guarded(*arguments, backward); }
