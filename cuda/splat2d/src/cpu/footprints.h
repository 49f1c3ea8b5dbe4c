// The footprint of each Gaussian, found before anything is rasterized: the loops over pixels then wait for no
// divisions, square roots or branches that depend on them.
#pragma once

#include <cstdint>
#include <cstring>

#include "../shared/gaussian.h"
#include "dispatch.h"

namespace SPLAT2D_NAMESPACE {

using splat2d::Footprint;
using splat2d::kSpans;
#if defined(__BYTE_ORDER__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "spans are packed for little-endian machines");
#endif

inline Shape shape_in(const Footprint& f) {
  return {f.u_per_x, f.u_per_y, f.v_per_y, f.offset_x, f.offset_y, f.pixel_x, f.pixel_y};
}

constexpr int kAtOnce = 64;

// 64 structs, each member an array.
struct Shapes {
  float u_per_x[kAtOnce], u_per_y[kAtOnce], v_per_y[kAtOnce], offset_x[kAtOnce], offset_y[kAtOnce], pixel_x[kAtOnce],
      pixel_y[kAtOnce];
  void set(int j, const Shape& p) {
    u_per_x[j] = p.u_per_x, u_per_y[j] = p.u_per_y, v_per_y[j] = p.v_per_y;
    offset_x[j] = p.offset_x, offset_y[j] = p.offset_y, pixel_x[j] = p.pixel_x, pixel_y[j] = p.pixel_y;
  }
  Shape at(int j) const {
    return {u_per_x[j], u_per_y[j], v_per_y[j], offset_x[j], offset_y[j], pixel_x[j], pixel_y[j]};
  }
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

// The spans of each Gaussian in its slabs k and k + 1, packed into a word whose bytes are those of Footprint::spans.
inline void pack_spans(int n, const Shapes& shapes, const Ellipses& ellipses, const Canvas& canvas,
                       const int32_t* __restrict first_slab, float k, int32_t* __restrict spans,
                       int32_t* __restrict wide) {
  for (int j = 0; j < n; ++j) {
    const Shape p = shapes.at(j);
    const Ellipse e = ellipses.at(j);
    const float slab = static_cast<float>(first_slab[j]) + k;
    const Span a = span_of(p, e, canvas, slab), b = span_of(p, e, canvas, slab + 1.0f);
    const float low = a.first_column < b.first_column ? a.first_column : b.first_column;
    const float high = a.first_column > b.first_column ? a.first_column : b.first_column;
    const float most = a.blocks > b.blocks ? a.blocks : b.blocks;
    const bool fits = (low >= -128.0f) & (high < 128.0f) & (most < 128.0f);
    const int32_t column = static_cast<int32_t>(fits ? a.first_column : 0.0f);
    const int32_t blocks = static_cast<int32_t>(fits ? a.blocks : 0.0f);
    const int32_t next_column = static_cast<int32_t>(fits ? b.first_column : 0.0f);
    const int32_t next_blocks = static_cast<int32_t>(fits ? b.blocks : 0.0f);
    spans[j] = (column & 255) | blocks << 8 | (next_column & 255) << 16 | next_blocks << 24;
    wide[j] = fits ? wide[j] : 1;
  }
}

// Footprints of Gaussians [begin, end), whose shapes are shape_at(i). Plain loops over arrays, which become vectors.
template <class Source>
inline void find_footprints(int64_t begin, int64_t end, const Canvas& canvas, float cutoff, Source shape_at,
                            Footprint* footprints) {
  Shapes shapes;
  Ellipses ellipses;
  int32_t first_slab[kAtOnce], slabs[kAtOnce], wide[kAtOnce], spans[kSpans / 2][kAtOnce];
  for (; begin < end; begin += kAtOnce) {
    const int n = static_cast<int>(end - begin < kAtOnce ? end - begin : kAtOnce);
    for (int j = 0; j < n; ++j) shapes.set(j, shape_at(begin + j));
    for (int j = 0; j < n; ++j) ellipses.set(j, ellipse_of(shapes.at(j), cutoff));
    int32_t most = 0;
    for (int j = 0; j < n; ++j) {
      const SlabRange range = slabs_of(shapes.at(j), ellipses.at(j), canvas);
      first_slab[j] = static_cast<int32_t>(range.first);
      slabs[j] = static_cast<int32_t>(range.end - range.first);
      wide[j] = slabs[j] > kSpans;
      most = slabs[j] > most ? slabs[j] : most;
    }
    for (int k = 0; k < kSpans && k < most; k += 2)
      pack_spans(n, shapes, ellipses, canvas, first_slab, static_cast<float>(k), spans[k / 2], wide);
    for (int j = 0; j < n; ++j) {
      Footprint& f = footprints[begin + j];
      f.u_per_x = shapes.u_per_x[j], f.u_per_y = shapes.u_per_y[j], f.v_per_y = shapes.v_per_y[j];
      f.offset_x = shapes.offset_x[j], f.offset_y = shapes.offset_y[j];
      f.pixel_x = shapes.pixel_x[j], f.pixel_y = shapes.pixel_y[j];
      f.first_slab = first_slab[j], f.slabs = slabs[j], f.wide = wide[j];
      for (int k = 0; k < kSpans / 2; ++k) std::memcpy(f.spans[2 * k], &spans[k][j], sizeof spans[k][j]);
    }
  }
}

// Call f(first_column, blocks) for each slab of [begin, end), which the footprint covers, in order; see Span. kWide is
// the footprint's `wide`.
template <bool kWide, class F>
SPLAT2D_INLINED inline void for_each_span(const Footprint& footprint, const Canvas& canvas, float cutoff, int begin,
                                          int end, F f) {
  if (!kWide) {
    const int8_t* const last = footprint.spans[0] + 2 * (end - footprint.first_slab);
    const int8_t* span = footprint.spans[0] + 2 * (begin - footprint.first_slab);
    for (; span < last; span += 2) f(span[0], span[1]);
  } else {
    const Shape p = shape_in(footprint);
    const Ellipse e = ellipse_of(p, cutoff);
    for (int slab = begin; slab < end; ++slab) {
      const Span span = span_of(p, e, canvas, static_cast<float>(slab));
      f(static_cast<int>(span.first_column), static_cast<int>(span.blocks));
    }
  }
}

}  // namespace SPLAT2D_NAMESPACE
