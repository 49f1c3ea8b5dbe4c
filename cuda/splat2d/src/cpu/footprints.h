// Where each Gaussian will be drawn, found before anything is: the loops over pixels then wait neither for divisions
// and roots nor for branches that hang on them.
#pragma once

#include <cstdint>
#include <cstring>

#include "../shared/gaussian.h"
#include "job.h"

namespace SPLAT2D_NAMESPACE {

using splat2d::kRuns;
using splat2d::Plan;
#if defined(__BYTE_ORDER__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "runs are packed for little-endian machines");
#endif

inline Shape shape_in(const Plan& p) { return {p.s, p.t, p.jv, p.bx, p.by, p.ox, p.oy}; }

constexpr int kAtOnce = 64;

// 64 structs, entry by entry.
struct Shapes {
  float s[kAtOnce], t[kAtOnce], jv[kAtOnce], bx[kAtOnce], by[kAtOnce], ox[kAtOnce], oy[kAtOnce];
  void set(int j, const Shape& p) {
    s[j] = p.s, t[j] = p.t, jv[j] = p.jv, bx[j] = p.bx, by[j] = p.by, ox[j] = p.ox, oy[j] = p.oy;
  }
  Shape at(int j) const { return {s[j], t[j], jv[j], bx[j], by[j], ox[j], oy[j]}; }
};

struct Ellipses {
  float reach_x[kAtOnce], reach_y[kAtOnce], slope[kAtOnce], half_width[kAtOnce], inv_reach_y2[kAtOnce], tip[kAtOnce],
      margin[kAtOnce];
  void set(int j, const Ellipse& e) {
    reach_x[j] = e.reach_x, reach_y[j] = e.reach_y, slope[j] = e.slope, half_width[j] = e.half_width;
    inv_reach_y2[j] = e.inv_reach_y2, tip[j] = e.tip, margin[j] = e.margin;
  }
  Ellipse at(int j) const {
    return {reach_x[j], reach_y[j], slope[j], half_width[j], inv_reach_y2[j], tip[j], margin[j]};
  }
};

// Two runs of each, in a word whose bytes are those of Plan::runs.
inline void plan_runs(int n, const Shapes& shapes, const Ellipses& ellipses, const Canvas& canvas,
                      const int32_t* __restrict first, float k, int32_t* __restrict runs, int32_t* __restrict wide) {
  for (int j = 0; j < n; ++j) {
    const Shape p = shapes.at(j);
    const Ellipse e = ellipses.at(j);
    const float slab = static_cast<float>(first[j]) + k;
    const Run a = run_of(p, e, canvas, slab), b = run_of(p, e, canvas, slab + 1.0f);
    const float low = a.kx < b.kx ? a.kx : b.kx, high = a.kx > b.kx ? a.kx : b.kx;
    const float most = a.visits > b.visits ? a.visits : b.visits;
    const bool fits = (low >= -128.0f) & (high < 128.0f) & (most < 128.0f);
    const int32_t kx = static_cast<int32_t>(fits ? a.kx : 0.0f), visits = static_cast<int32_t>(fits ? a.visits : 0.0f);
    const int32_t kx2 = static_cast<int32_t>(fits ? b.kx : 0.0f), visits2 = static_cast<int32_t>(fits ? b.visits : 0.0f);
    runs[j] = (kx & 255) | visits << 8 | (kx2 & 255) << 16 | visits2 << 24;
    wide[j] = fits ? wide[j] : 1;
  }
}

// Plan Gaussians [begin, end), whose shapes shape_at(i) gives. Plain loops over arrays, which become vectors.
template <class Source>
inline void make_plans(int64_t begin, int64_t end, const Canvas& canvas, float cutoff, Source shape_at, Plan* plans) {
  Shapes shapes;
  Ellipses ellipses;
  int32_t first[kAtOnce], slabs[kAtOnce], wide[kAtOnce], runs[kRuns / 2][kAtOnce];
  for (; begin < end; begin += kAtOnce) {
    const int n = static_cast<int>(end - begin < kAtOnce ? end - begin : kAtOnce);
    for (int j = 0; j < n; ++j) shapes.set(j, shape_at(begin + j));
    for (int j = 0; j < n; ++j) ellipses.set(j, ellipse_of(shapes.at(j), cutoff));
    int32_t most = 0;
    for (int j = 0; j < n; ++j) {
      const Span span = slabs_of(shapes.at(j), ellipses.at(j), canvas);
      first[j] = static_cast<int32_t>(span.first);
      slabs[j] = static_cast<int32_t>(span.end - span.first);
      wide[j] = slabs[j] > kRuns;
      most = slabs[j] > most ? slabs[j] : most;
    }
    for (int k = 0; k < kRuns && k < most; k += 2)
      plan_runs(n, shapes, ellipses, canvas, first, static_cast<float>(k), runs[k / 2], wide);
    for (int j = 0; j < n; ++j) {
      Plan& plan = plans[begin + j];
      plan.s = shapes.s[j], plan.t = shapes.t[j], plan.jv = shapes.jv[j], plan.bx = shapes.bx[j];
      plan.by = shapes.by[j], plan.ox = shapes.ox[j], plan.oy = shapes.oy[j];
      plan.first = first[j], plan.slabs = slabs[j], plan.wide = wide[j];
      for (int k = 0; k < kRuns / 2; ++k) std::memcpy(plan.runs[2 * k], &runs[k][j], sizeof runs[k][j]);
    }
  }
}

// Call f(kx, visits) for each slab of [begin, end), which the plan holds, one after the other; see Run. kWide: the
// plan's `wide`.
template <bool kWide, class F>
SPLAT2D_INLINED inline void for_each_run(const Plan& plan, const Canvas& canvas, float cutoff, int begin, int end, F f) {
  if (!kWide) {
    const int8_t* const last = plan.runs[0] + 2 * (end - plan.first);
    for (const int8_t* run = plan.runs[0] + 2 * (begin - plan.first); run < last; run += 2) f(run[0], run[1]);
  } else {
    const Shape p = shape_in(plan);
    const Ellipse e = ellipse_of(p, cutoff);
    for (int slab = begin; slab < end; ++slab) {
      const Run run = run_of(p, e, canvas, static_cast<float>(slab));
      f(static_cast<int>(run.kx), static_cast<int>(run.visits));
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
