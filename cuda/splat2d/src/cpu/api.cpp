// The C interface: argument checks, choice of instruction set, threads.
//
// Every function returns 0, or a negative code; nothing throws across it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "dispatch.h"

#if defined(_WIN32)
#define SPLAT2D_API extern "C" __declspec(dllexport)
#else
#define SPLAT2D_API extern "C" __attribute__((visibility("default")))
#endif

namespace splat2d {
namespace {

enum Status { kOk = 0, kBadArgument = -1, kNoMemory = -2, kBadGaussian = -3 };
enum Isa { kPortable = 0, kAvx2 = 1, kAvx512 = 2 };

constexpr float kLargest = 1e15f, kSmallest = 1e-15f;  // range of means and Cholesky entries, pixels
constexpr float kLargestCutoff = 12.0f;                // weights below this stay normal floats
constexpr int kBandSlabs = 16;                         // slabs rendered at once: 64 rows of pixels
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

const Kernels& kernels(int channels) {
#if defined(SPLAT2D_X86)
  if (g_isa == kAvx512) return avx512_kernels(channels);
  if (g_isa == kAvx2) return avx2_kernels(channels);
#endif
  return portable_kernels(channels);
}

// Run f(0) .. f(items - 1), each once, on up to `threads` threads.
template <class F>
void parallel(int threads, int64_t items, const F& f) {
  threads = static_cast<int>(std::min<int64_t>(threads, items));
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    try {
      for (int64_t i; !failed && (i = next++) < items;) f(i);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) {
    try {
      pool.emplace_back(work);
    } catch (const std::exception&) {
      break;  // no more threads to be had: go on with those there are
    }
  }
  work();
  for (auto& thread : pool) thread.join();
  if (failed) throw std::bad_alloc();
}

bool in_range(float value, float low, float high) { return value >= low && value <= high; }  // false for NaN

bool valid(const Job& job, int64_t i) {
  const float *mean = job.means + 2 * i, *l = job.cholesky + 3 * i, *color = job.colors + job.channels * i;
  bool ok = in_range(mean[0], -kLargest, kLargest) && in_range(mean[1], -kLargest, kLargest) &&
            in_range(l[0], kSmallest, kLargest) && in_range(l[1], -kLargest, kLargest) &&
            in_range(l[2], kSmallest, kLargest);
  for (int c = 0; c < job.channels; ++c) ok = ok && in_range(color[c], -kLargest, kLargest);
  return ok;
}

bool sane(const Job& job) {
  if (job.batch < 0 || job.n < 0 || job.n > INT32_MAX || job.height < 0 || job.width < 0) return false;
  if (job.height > (1 << 24) || job.width > (1 << 24)) return false;  // pixel centres must be exact floats
  if (job.channels < 1 || job.channels > kMaxChannels) return false;
  if (job.first_row < 0 || job.rows < 0 || job.rows > job.height - job.first_row) return false;
  if (!(job.cutoff > 0 && job.cutoff <= kLargestCutoff)) return false;
  for (int64_t b = 0; b < job.batch; ++b)
    if (job.count(b) < 0 || job.count(b) > job.n) return false;
  return true;
}

// Check and plan every used Gaussian. The first bad one's flat index goes to *bad.
Status plan(const Job& job, int threads, int64_t* bad) {
  const int64_t total = job.batch * job.n;
  std::atomic<int64_t> first_bad{total};
  parallel(threads, (total + kChunk - 1) / kChunk, [&](int64_t chunk) {
    const int64_t begin = chunk * kChunk, end = std::min(begin + kChunk, total);
    for (int64_t i = begin; i < end; ++i) {
      if (i % job.n < job.count(i / job.n) && !valid(job, i)) {
        for (int64_t seen = first_bad; i < seen && !first_bad.compare_exchange_weak(seen, i);) {
        }
        return;
      }
    }
    kernels(job.channels).plan(job, begin, end);
  });
  *bad = first_bad;
  return first_bad < total ? kBadGaussian : kOk;
}

// Gaussians of the bands [begin, end) of one image, in index order: a counting sort.
struct Bands {
  std::vector<int64_t> offsets;
  std::vector<int32_t> gaussians;
};

Bands assign_bands(const Job& job, int64_t row, int begin, int end) {
  const int64_t n = job.count(row);
  const Plan* plans = job.plans + row * job.n;
  const auto range = [&](int64_t i, int* first, int* last) {
    const Plan& plan = plans[i];
    *first = std::max(plan.first / kBandSlabs, begin) - begin;
    *last = plan.slabs > 0 ? std::min((plan.first + plan.slabs - 1) / kBandSlabs, end - 1) - begin : -1;
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

Status render(Job job, int threads, int64_t* bad) {
  std::vector<Plan> plans(job.batch * job.n);
  job.plans = plans.data();
  if (const Status status = plan(job, threads, bad)) return status;
  if (job.rows == 0) return kOk;
  // Slabs and bands are those of the whole image, so that its bits do not depend on the part rendered.
  const int top = job.first_row / kSlabRows, bottom = (job.first_row + job.rows + kSlabRows - 1) / kSlabRows;
  const int first_band = top / kBandSlabs, end_band = (bottom + kBandSlabs - 1) / kBandSlabs;
  const int64_t bands = end_band - first_band;
  std::vector<Bands> assigned(job.batch);
  parallel(threads, job.batch, [&](int64_t b) { assigned[b] = assign_bands(job, b, first_band, end_band); });
  parallel(threads, job.batch * bands, [&](int64_t item) {
    const int64_t b = item / bands, k = item % bands;
    const int first = (first_band + static_cast<int>(k)) * kBandSlabs;
    const int64_t begin = assigned[b].offsets[k], size = assigned[b].offsets[k + 1] - begin;
    const Band band = {b, std::max(first, top), std::min(first + kBandSlabs, bottom),
                       assigned[b].gaussians.data() + begin, size};
    kernels(job.channels).render_band(job, band);
  });
  return kOk;
}

Status render_backward(Job job, int threads, int64_t* bad) {
  const int slabs = (job.height + kSlabRows - 1) / kSlabRows;
  const int bands = (slabs + kBandSlabs - 1) / kBandSlabs;
  std::vector<Plan> plans(job.batch * job.n);
  std::vector<float> image(job.batch * slabs * job.channels * pitch_of(job.width));
  job.plans = plans.data();
  job.grad_slabs = image.data();
  if (const Status status = plan(job, threads, bad)) return status;
  parallel(threads, job.batch * bands, [&](int64_t item) {
    const int first = static_cast<int>(item % bands) * kBandSlabs;
    kernels(job.channels).slab_gradient(job, item / bands, first, std::min(first + kBandSlabs, slabs));
  });
  const int64_t total = job.batch * job.n;
  parallel(threads, (total + kChunk - 1) / kChunk, [&](int64_t chunk) {
    kernels(job.channels).gather(job, chunk * kChunk, std::min((chunk + 1) * kChunk, total));
  });
  return kOk;
}

bool can_be_fitted(int channels, int height, int width, int64_t n, float cutoff, int64_t start, int64_t iterations) {
  return n >= 0 && n <= INT32_MAX && height > 0 && width > 0 && height <= (1 << 24) && width <= (1 << 24) &&
         channels >= 1 && channels <= kMaxChannels && cutoff > 0 && cutoff <= kLargestCutoff && start >= 0 &&
         iterations >= 0;
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

SPLAT2D_API int splat2d_abi() { return 3; }

SPLAT2D_API int splat2d_isa() { return g_isa; }

// Choose an instruction set (0 portable, 1 AVX2, 2 AVX-512) that this machine has; for tests.
SPLAT2D_API int splat2d_set_isa(int isa) {
  if (isa < kPortable || isa > best_isa()) return kBadArgument;
  g_isa = isa;
  return kOk;
}

// Rows [first_row, first_row + rows) of the image go to `out` [B, C, rows, W].
SPLAT2D_API int splat2d_render(const float* means, const float* cholesky, const float* colors, const int64_t* counts,
                               int64_t batch, int64_t n, int channels, int height, int width, float cutoff,
                               int threads, int first_row, int rows, float* out, int64_t* bad) {
  return guarded([&]() -> int {
    Job job = {};
    job.batch = batch, job.n = n, job.channels = channels, job.height = height, job.width = width;
    job.first_row = first_row, job.rows = rows;
    job.cutoff = cutoff, job.means = means, job.cholesky = cholesky, job.colors = colors, job.counts = counts;
    job.out = out;
    return sane(job) && threads > 0 ? render(job, threads, bad) : kBadArgument;
  });
}

SPLAT2D_API int splat2d_render_backward(const float* means, const float* cholesky, const float* colors,
                                        const int64_t* counts, int64_t batch, int64_t n, int channels, int height,
                                        int width, float cutoff, int threads, const float* grad_out,
                                        float* grad_means, float* grad_cholesky, float* grad_colors, int64_t* bad) {
  return guarded([&]() -> int {
    Job job = {};
    job.batch = batch, job.n = n, job.channels = channels, job.height = height, job.width = width;
    job.cutoff = cutoff, job.means = means, job.cholesky = cholesky, job.colors = colors, job.counts = counts;
    job.grad_out = grad_out, job.grad_means = grad_means, job.grad_cholesky = grad_cholesky;
    job.grad_colors = grad_colors;
    return sane(job) && threads > 0 ? render_backward(job, threads, bad) : kBadArgument;
  });
}

SPLAT2D_API int splat2d_fit(const float* target, int channels, int height, int width, int64_t n, float cutoff,
                            float min_sigma, float beta1, float beta2, float epsilon, const float* rates,
                            int64_t start, int64_t iterations, float* parameters, float* first, float* second,
                            double* losses) {
  return guarded([&]() -> int {
    if (!can_be_fitted(channels, height, width, n, cutoff, start, iterations) || !(min_sigma >= kSmallest))
      return kBadArgument;
    const Fit fit = {channels, height, width,     n,     cutoff, min_sigma, beta1, beta2,      epsilon,
                     target,   parameters, first, second, rates, start,     iterations, losses};
    kernels(channels).fit(fit);
    return kOk;
  });
}

SPLAT2D_API int splat2d_fit_gaussianimage(const float* target, int channels, int height, int width, int64_t n, float cutoff,
                                      const float* bound, const float* betas, float epsilon, const float* rates,
                                      int64_t start, int64_t iterations, float* parameters, float* state,
                                      double* losses) {
  return guarded([&]() -> int {
    if (!can_be_fitted(channels, height, width, n, cutoff, start, iterations)) return kBadArgument;
    const GaussianImageFit fit = {channels, height, width,      n,     cutoff, epsilon, bound,     betas,
                              target,   parameters, state, rates, start,   iterations, losses};
    kernels(channels).fit_gaussianimage(fit);
    return kOk;
  });
}
