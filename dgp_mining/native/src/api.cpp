// The entry points: argument checks, and errors as a status.
#include "api.h"

#include <cstring>
#include <exception>
#include <new>

#include "gaussians.h"
#include "pixels.h"

namespace measure {
namespace {

template <class F>
int guarded(bool valid, const F& f) {
  if (!valid) return kBadArgument;
  try {
    f();
    return kOk;
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  } catch (const std::exception&) {
    return kBadArgument;
  }
}

}  // namespace
}  // namespace measure

using namespace measure;

MEASURE_API int measure_abi() { return kAbi; }

MEASURE_API int64_t measure_struct_size(const char* name) {
  if (std::strcmp(name, "gaussians") == 0) return sizeof(GaussiansArguments);
  if (std::strcmp(name, "pixels") == 0) return sizeof(PixelsArguments);
  return 0;
}

MEASURE_API int measure_gaussians(const GaussiansArguments* arguments) {
  const GaussiansArguments& f = *arguments;
  const bool valid = f.gaussians >= 0 && f.channels > 0 && f.bins > 1 && f.bins % 2 == 0 && f.spacing > 0;
  return guarded(valid, [&] { sum_gaussians(f); });
}

MEASURE_API int measure_pixels(const PixelsArguments* arguments) {
  const PixelsArguments& f = *arguments;
  const bool valid = f.height >= 3 && f.width >= 3 && f.channels > 0 && f.block > 0;
  return guarded(valid, [&] { sum_pixels(f); });
}
