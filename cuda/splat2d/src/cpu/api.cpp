// The entry points: argument checks, choice of instruction set, threads.
#include "api.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace splat2d {
namespace {

enum Isa { kPortable = 0, kAvx2 = 1, kAvx512 = 2 };

constexpr float kLargest = 1e15f, kSmallest = 1e-15f;  // range of means and Cholesky entries, pixels
constexpr float kLargestCutoff = 12.0f;                // weights within it are normal floats
constexpr int kLargestExtent = 1 << 24;                // pixel centres up to here are exact floats
constexpr int kBandSlabs = 16;                         // slabs rasterized at once: 64 rows of pixels
constexpr int64_t kChunk = 512;                        // Gaussians handled at once
constexpr int kSlabRows = 4;

Isa best_isa() {
#if defined(SPLAT2D_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kAvx2;
#endif
  return kPortable;
}

std::atomic<int> g_isa{best_isa()};

const Rasterizer& rasterizer(int channels) {
#if defined(SPLAT2D_X86)
  if (g_isa == kAvx512) return avx512_rasterizer(channels);
  if (g_isa == kAvx2) return avx2_rasterizer(channels);
#endif
  return portable_rasterizer(channels);
}

bool in_range(float value, float low, float high) { return value >= low && value <= high; }  // false for NaN

bool valid(const FieldArguments& field, int64_t i) {
  const float *mean = field.means + 2 * i, *l = field.cholesky + 3 * i, *color = field.colors + field.channels * i;
  bool ok = in_range(mean[0], -kLargest, kLargest) && in_range(mean[1], -kLargest, kLargest) &&
            in_range(l[0], kSmallest, kLargest) && in_range(l[1], -kLargest, kLargest) &&
            in_range(l[2], kSmallest, kLargest);
  for (int c = 0; c < field.channels; ++c) ok = ok && in_range(color[c], -kLargest, kLargest);
  return ok;
}

bool can_be_rendered(const FieldArguments& field) {
  const int64_t n = field.gaussians;
  if (field.batch < 0 || n < 0 || n > INT32_MAX || field.height < 0 || field.width < 0) return false;
  if (field.height > kLargestExtent || field.width > kLargestExtent) return false;
  if (field.channels < 1 || field.channels > kMaxChannels || field.threads < 1) return false;
  if (!(field.cutoff > 0 && field.cutoff <= kLargestCutoff)) return false;
  for (int64_t b = 0; b < field.batch; ++b)
    if (field.count(b) < 0 || field.count(b) > n) return false;
  return true;
}

// The footprints of all Gaussians in use, once these are checked.
Status find_footprints(FieldArguments* field, Footprint* footprints) {
  const int64_t n = field->gaussians, total = field->batch * n;
  std::atomic<int64_t> first_bad{total};
  parallel(field->threads, (total + kChunk - 1) / kChunk, [&](int64_t chunk) {
    const int64_t begin = chunk * kChunk, end = std::min(begin + kChunk, total);
    for (int64_t i = begin; i < end; ++i) {
      if (i % n < field->count(i / n) && !valid(*field, i)) {
        for (int64_t seen = first_bad; i < seen && !first_bad.compare_exchange_weak(seen, i);) {
        }
        return;
      }
    }
    rasterizer(field->channels).find_footprints(*field, begin, end, footprints);
  });
  field->bad_gaussian = first_bad;
  return first_bad < total ? kBadGaussian : kOk;
}

// Gaussians of the bands [begin, end) of one image, in index order: a counting sort.
struct Bands {
  std::vector<int64_t> offsets;
  std::vector<int32_t> gaussians;
};

Bands assign_bands(const FieldArguments& field, const Footprint* footprints, int64_t row, int begin, int end) {
  const int64_t n = field.count(row);
  footprints += row * field.gaussians;
  const auto range = [&](int64_t i, int* first, int* last) {
    const Footprint& f = footprints[i];
    *first = std::max(f.first_slab / kBandSlabs, begin) - begin;
    *last = f.slabs > 0 ? std::min((f.first_slab + f.slabs - 1) / kBandSlabs, end - 1) - begin : -1;
  };
  const int bands = end - begin;
  Bands out;
  out.offsets.assign(bands + 1, 0);
  int first, last;
  for (int64_t i = 0; i < n; ++i) {
    range(i, &first, &last);
    for (int band = first; band <= last; ++band) ++out.offsets[band + 1];
  }
  for (int band = 0; band < bands; ++band) out.offsets[band + 1] += out.offsets[band];
  out.gaussians.resize(out.offsets[bands]);
  std::vector<int64_t> next(out.offsets.begin(), out.offsets.end() - 1);
  for (int64_t i = 0; i < n; ++i) {
    range(i, &first, &last);
    for (int band = first; band <= last; ++band) out.gaussians[next[band]++] = static_cast<int32_t>(i);
  }
  return out;
}

Status render(RenderArguments* arguments) {
  FieldArguments& field = arguments->field;
  std::vector<Footprint> footprints(field.batch * field.gaussians);
  if (const Status status = find_footprints(&field, footprints.data())) return status;
  if (arguments->rows == 0) return kOk;
  // Slabs and bands are those of the whole image, so that its bits do not depend on the part rendered.
  const int top = arguments->first_row / kSlabRows;
  const int bottom = (arguments->first_row + arguments->rows + kSlabRows - 1) / kSlabRows;
  const int first_band = top / kBandSlabs, end_band = (bottom + kBandSlabs - 1) / kBandSlabs;
  const int64_t bands = end_band - first_band;
  std::vector<Bands> assigned(field.batch);
  parallel(field.threads, field.batch,
           [&](int64_t b) { assigned[b] = assign_bands(field, footprints.data(), b, first_band, end_band); });
  parallel(field.threads, field.batch * bands, [&](int64_t item) {
    const int64_t b = item / bands, k = item % bands;
    const int first = (first_band + static_cast<int>(k)) * kBandSlabs;
    const int64_t begin = assigned[b].offsets[k], size = assigned[b].offsets[k + 1] - begin;
    const Band band = {b, std::max(first, top), std::min(first + kBandSlabs, bottom),
                       assigned[b].gaussians.data() + begin, size};
    rasterizer(field.channels).render_band(*arguments, footprints.data(), band);
  });
  return kOk;
}

Status render_backward(RenderBackwardArguments* arguments) {
  FieldArguments& field = arguments->field;
  const int slabs = (field.height + kSlabRows - 1) / kSlabRows;
  const int bands = (slabs + kBandSlabs - 1) / kBandSlabs;
  std::vector<Footprint> footprints(field.batch * field.gaussians);
  std::vector<float> grad_slabs(field.batch * slabs * field.channels * pitch_of(field.width));
  if (const Status status = find_footprints(&field, footprints.data())) return status;
  const Rasterizer& chosen = rasterizer(field.channels);
  parallel(field.threads, field.batch * bands, [&](int64_t item) {
    const int first = static_cast<int>(item % bands) * kBandSlabs;
    chosen.slab_gradient(*arguments, item / bands, first, std::min(first + kBandSlabs, slabs), grad_slabs.data());
  });
  const int64_t total = field.batch * field.gaussians;
  parallel(field.threads, (total + kChunk - 1) / kChunk, [&](int64_t chunk) {
    const int64_t begin = chunk * kChunk, end = std::min(begin + kChunk, total);
    chosen.gather(*arguments, footprints.data(), grad_slabs.data(), begin, end);
  });
  return kOk;
}

template <class Arguments>
bool can_be_fitted(const Arguments& f) {
  return f.gaussians >= 0 && f.gaussians <= INT32_MAX && f.height > 0 && f.width > 0 && f.height <= kLargestExtent &&
         f.width <= kLargestExtent && f.channels >= 1 && f.channels <= kMaxChannels && f.cutoff > 0 &&
         f.cutoff <= kLargestCutoff && f.start >= 0 && f.iterations >= 0;
}

template <class F>
int guarded(const F& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  } catch (const std::exception&) {
    return kBadArgument;
  }
}

}  // namespace
}  // namespace splat2d

using namespace splat2d;

SPLAT2D_API int splat2d_abi() { return kAbi; }

SPLAT2D_API int64_t splat2d_struct_size(const char* name) {
  const auto is = [name](const char* other) { return std::strcmp(name, other) == 0; };
  if (is("render")) return sizeof(RenderArguments);
  if (is("render_backward")) return sizeof(RenderBackwardArguments);
  if (is("fit_fast")) return sizeof(FitFastArguments);
  if (is("fit_gaussianimage")) return sizeof(FitGaussianImageArguments);
  return 0;
}

SPLAT2D_API int splat2d_isa() { return g_isa; }

SPLAT2D_API int splat2d_set_isa(int isa) {
  if (isa < kPortable || isa > best_isa()) return kBadArgument;
  g_isa = isa;
  return kOk;
}

SPLAT2D_API int splat2d_render(RenderArguments* arguments) {
  return guarded([&]() -> int {
    const FieldArguments& field = arguments->field;
    if (!can_be_rendered(field) || arguments->first_row < 0 || arguments->rows < 0) return kBadArgument;
    if (arguments->rows > field.height - arguments->first_row) return kBadArgument;
    return render(arguments);
  });
}

SPLAT2D_API int splat2d_render_backward(RenderBackwardArguments* arguments) {
  return guarded(
      [&]() -> int { return can_be_rendered(arguments->field) ? render_backward(arguments) : kBadArgument; });
}

SPLAT2D_API int splat2d_fit_fast(const FitFastArguments* arguments) {
  return guarded([&]() -> int {
    if (!can_be_fitted(*arguments) || !(arguments->min_sigma >= kSmallest)) return kBadArgument;
    rasterizer(arguments->channels).fit_fast(*arguments);
    return kOk;
  });
}

SPLAT2D_API int splat2d_fit_gaussianimage(const FitGaussianImageArguments* arguments) {
  return guarded([&]() -> int {
    if (!can_be_fitted(*arguments)) return kBadArgument;
    rasterizer(arguments->channels).fit_gaussianimage(*arguments);
    return kOk;
  });
}
