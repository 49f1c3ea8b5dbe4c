// The CUDA kernels: rendering, its gradient, and the step of the fit `fast`, for batches of fields. Compiled by NVRTC,
// once per number of channels (SPLAT2D_CHANNELS), and launched by ../../backends/cuda.py in this order. The kernels of
// the recipe `gaussianimage` are in gaussianimage.cuh.
//
// Binning has no lists, so there is nothing to size, sort, overflow or wait for. Gaussians stay in index order, 32 to a
// chunk and 32 chunks to a group, and all three carry the box of their footprints: a tree, rebuilt at each call by a
// reduction. The warp that rasterizes a tile walks groups, chunks and Gaussians, 32 tests at a time, and rasterizes
// those that touch the tile. That is exact for any field. It is fast if index neighbours lie near each other, as in
// grids in row order (fits, SR fields: of 16,384 Gaussians a tile tests 340 and rasterizes 45); in a shuffled field
// every tile tests every Gaussian.
//
// A pixel sums its Gaussians in index order, and a Gaussian gathers its gradient span by span in the order of the C++
// code, reduced in the same tree of sixteen lanes: both give the bits of the cpu backend, on every run, whatever else
// is in the batch. A Gaussian that cannot be rendered turns its row and the row's gradients into NaN: raising an error
// would mean waiting for the device at every call.
#include "../shared/fast_step.h"
#include "../shared/gaussian.h"
#include "../shared/gaussianimage_step.h"
#include "warp.h"

namespace SPLAT2D_NAMESPACE {

constexpr int C = SPLAT2D_CHANNELS;
constexpr int kParameters = 5 + C;
constexpr int kWarp = 32;
constexpr int kTileCells = 2;  // a tile, the work of a warp: two cells of 4x4 pixels side by side
constexpr float kLargest = 1e15f, kSmallest = 1e-15f, kFinite = 3.402823466e38f;  // as in api.cpp

// A prepared Gaussian, read with two wide loads.
struct alignas(16) Record {
  Shape shape;
};

// The cells of 4x4 pixels that one or more footprints may touch.
struct alignas(16) Box {
  float left, top, right, bottom;
};

// The box of a Gaussian that is not rasterized: unused, invalid, or turned NaN in a fit.
SPLAT2D_DEVICE Box nothing() { return {kFinite, kFinite, -kFinite, -kFinite}; }

SPLAT2D_DEVICE Box box_of(const Shape& p, const Canvas& canvas, float cutoff) {
  const Ellipse e = ellipse_of(p, cutoff);
  const SlabRange slabs = slabs_of(p, e, canvas);
  if (!(slabs.first < slabs.end)) return nothing();
  const float left = p.pixel_x - SPLAT2D_FLOOR(p.offset_x + e.reach_x),
              right = p.pixel_x + SPLAT2D_FLOOR(e.reach_x - p.offset_x);
  return {SPLAT2D_FLOOR(left * 0.25f), slabs.first, SPLAT2D_FLOOR(right * 0.25f), slabs.end - 1.0f};
}

SPLAT2D_DEVICE Box hull_of_warp(Box box) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    box.left = fminf(box.left, shuffle_xor(box.left, step));
    box.top = fminf(box.top, shuffle_xor(box.top, step));
    box.right = fmaxf(box.right, shuffle_xor(box.right, step));
    box.bottom = fmaxf(box.bottom, shuffle_xor(box.bottom, step));
  }
  return box;
}

struct Tile {
  int row, left, right;  // cells
};

// By value: one wide load, rather than a narrow one per comparison.
SPLAT2D_DEVICE bool touches(Box box, const Tile& t) {
  return box.top <= t.row && box.bottom >= t.row && box.left <= t.right && box.right >= t.left;
}

SPLAT2D_DEVICE unsigned groups_of(unsigned items) { return (items + kWarp - 1) / kWarp; }

// Gaussians in use; a count outside [0, n] marks its row as bad (splat2d_prepare).
SPLAT2D_DEVICE unsigned used(const long long* counts, unsigned row, unsigned n) {
  if (!counts) return n;
  const long long count = counts[row];
  return count < 0 ? 0 : (count > n ? n : static_cast<unsigned>(count));
}

// Warps number the batch row by row: this one is number `item` of `per_row` in `row`.
struct Place {
  unsigned row, item;
  SPLAT2D_DEVICE explicit Place(unsigned per_row) : row(warp_index() / per_row), item(warp_index() % per_row) {}
};

SPLAT2D_DEVICE bool within(float value, float low, float high) { return value >= low && value <= high; }

SPLAT2D_DEVICE bool valid(const float* mean, const float* l, const float* color) {
  bool ok = within(mean[0], -kLargest, kLargest) && within(mean[1], -kLargest, kLargest) &&
            within(l[0], kSmallest, kLargest) && within(l[1], -kLargest, kLargest) && within(l[2], kSmallest, kLargest);
  for (int k = 0; k < C; ++k) ok = ok && within(color[k], -kFinite, kFinite);
  return ok;
}

// The layout of the colours: color(row, i, k) = data[row row_stride + i gaussian_stride + k channel_stride].
struct Colors {
  const float* data;
  long long row_stride, gaussian_stride, channel_stride;
  SPLAT2D_DEVICE void load(unsigned row, unsigned i, float* color) const {
    const float* first = data + row * row_stride + i * gaussian_stride;
    for (int k = 0; k < C; ++k) color[k] = first[k * channel_stride];
  }
};

// Sum each of W values over 16 lanes, in the order of cpu/simd.h; lane l of the 16 returns value l W / 16. Lanes
// exchange halves of their values, so W values cost W shuffles, not 4 W.
template <int W>
SPLAT2D_DEVICE float transposed_sum(float (&x)[W], int lane) {
  int kept = W;
  for (int step = 8; step > 0; step /= 2) {
    if (kept == 1) {
      x[0] = x[0] + shuffle_xor(x[0], step);
      continue;
    }
    kept /= 2;
    const bool upper = lane & step;
    for (int i = 0; i < kept; ++i) {
      const float sent = upper ? x[i] : x[i + kept];
      const float stays = upper ? x[i + kept] : x[i];
      x[i] = stays + shuffle_xor(sent, step);
    }
  }
  return x[0];
}

// Check and whiten each Gaussian in use; one warp per chunk. `bad` [B] must be zero before.
SPLAT2D_KERNEL splat2d_prepare(const float* means, const float* cholesky, const float* colors, const long long* counts,
                               unsigned batch, unsigned n, int height, int width, float cutoff, Record* records,
                               Box* boxes, Box* chunks, int* bad) {
  const Place at(groups_of(n));
  if (at.row >= batch) return;
  const unsigned i = at.item * kWarp + lane_index();
  const long long flat = static_cast<long long>(at.row) * n + i;
  Box box = nothing();
  if (i < used(counts, at.row, n)) {
    const float *mean = means + 2 * flat, *l = cholesky + 3 * flat;
    if (valid(mean, l, colors + C * flat)) {
      const Canvas canvas(width, height);
      const Shape shape = shape_of_cholesky(mean[0], mean[1], l[0], l[1], l[2], canvas);
      records[flat].shape = shape;
      box = box_of(shape, canvas, cutoff);
    } else {
      bad[at.row] = 1;
    }
  }
  if (counts && (counts[at.row] < 0 || counts[at.row] > n)) bad[at.row] = 1;
  if (i < n) boxes[flat] = box;
  box = hull_of_warp(box);
  if (lane_index() == 0) chunks[at.row * groups_of(n) + at.item] = box;
}

// The same for the parameters of the fit `fast`, [B, 5 + C, N].
SPLAT2D_KERNEL splat2d_prepare_fast(const float* parameters, unsigned batch, unsigned n, int height, int width,
                                    float cutoff, Record* records, Box* boxes, Box* chunks) {
  const Place at(groups_of(n));
  if (at.row >= batch) return;
  const unsigned i = at.item * kWarp + lane_index();
  Box box = nothing();
  if (i < n) {
    const float* p = parameters + static_cast<long long>(at.row) * kParameters * n + i;
    const long long stride = n;
    const Canvas canvas(width, height);
    const Shape shape = shape_of_root(p[0], p[stride], {p[2 * stride], p[3 * stride], p[4 * stride]}, canvas);
    const long long flat = static_cast<long long>(at.row) * n + i;
    records[flat].shape = shape;
    boxes[flat] = box = box_of(shape, canvas, cutoff);
  }
  box = hull_of_warp(box);
  if (lane_index() == 0) chunks[at.row * groups_of(n) + at.item] = box;
}

// Hulls of 32 chunks; one warp per group.
SPLAT2D_KERNEL splat2d_group(const Box* chunks, unsigned batch, unsigned n, Box* groups) {
  const unsigned chunk_count = groups_of(n);
  const Place at(groups_of(chunk_count));
  if (at.row >= batch) return;
  const unsigned chunk = at.item * kWarp + lane_index();
  const Box box = hull_of_warp(chunk < chunk_count ? chunks[at.row * chunk_count + chunk] : nothing());
  if (lane_index() == 0) groups[at.row * groups_of(chunk_count) + at.item] = box;
}

// Rasterize one tile per warp into `out` [B, C, end - first, W], rows [first, end) of the image. With a `target`, `out`
// gets the gradient of a loss, and `errors` [B, tiles] the tile's sum of squared errors. The loss is half the sum of
// squared errors, or, if `clamped` > 0, ClampedMean with that scale of the gradient. With `bad`, a bad row is NaN.
SPLAT2D_KERNEL splat2d_rasterize(const Record* records, const Box* boxes, const Box* chunks, const Box* groups,
                                 const float* colors, long long color_row, long long color_gaussian,
                                 long long color_channel, const int* bad, unsigned batch, unsigned n, int first_row,
                                 int end_row, int width, float cutoff, const float* target, float clamped, float* out,
                                 float* errors) {
  const unsigned tile_columns = (width + kTileCells * kSlab - 1) / (kTileCells * kSlab);
  const unsigned tiles = tile_columns * ((end_row + kSlab - 1) / kSlab - first_row / kSlab);
  const Place at(tiles);
  if (at.row >= batch) return;
  Tile tile;
  tile.row = first_row / kSlab + at.item / tile_columns;
  tile.left = kTileCells * (at.item % tile_columns);
  tile.right = tile.left + kTileCells - 1;
  const int lane = lane_index();
  const int column = kSlab * tile.left + lane / kSlab, row = kSlab * tile.row + lane % kSlab;
  const float limit = kWhitenSquared * (cutoff * cutoff);
  const Colors color_at = {colors, color_row, color_gaussian, color_channel};
  const unsigned chunk_count = groups_of(n), group_count = groups_of(chunk_count);
  records += static_cast<long long>(at.row) * n;
  boxes += static_cast<long long>(at.row) * n;
  chunks += static_cast<long long>(at.row) * chunk_count;
  groups += static_cast<long long>(at.row) * group_count;

  float pixel[C] = {};
  const auto add = [&](unsigned i) {
    const Record record = records[i];
    float color[C];
    color_at.load(at.row, i, color);
    const Shape& p = record.shape;
    const WhitenedRow<float> row_at(p, static_cast<float>(row) - p.pixel_y);
    const float u = fma(static_cast<float>(column) - p.pixel_x, p.u_per_x, row_at.u);
    const float weight = weight_of(fma(u, u, row_at.vv), limit);
    for (int k = 0; k < C; ++k) pixel[k] = fma(color[k], weight, pixel[k]);
  };
  for (unsigned first = 0; first < group_count; first += kWarp) {
    unsigned near = ballot(first + lane < group_count && touches(groups[first + lane], tile));
    for (; near; near &= near - 1) {
      const unsigned first_chunk = (first + lowest_bit(near)) * kWarp, chunk = first_chunk + lane;
      unsigned close = ballot(chunk < chunk_count && touches(chunks[chunk], tile));
      for (; close; close &= close - 1) {
        const unsigned begin = (first_chunk + lowest_bit(close)) * kWarp, i = begin + lane;
        unsigned hit = ballot(i < n && touches(boxes[i], tile));
        for (; hit; hit &= hit - 1) add(begin + lowest_bit(hit));
      }
    }
  }

  const bool inside = column < width && row >= first_row && row < end_row;
  const long long plane = static_cast<long long>(end_row - first_row) * width;
  const long long at_pixel = at.row * C * plane + static_cast<long long>(row - first_row) * width + column;
  float squares = 0.0f;
  for (int k = 0; k < C; ++k) {
    if (!inside) continue;
    if (bad && bad[at.row]) pixel[k] = float_of(0x7fffffffu);
    if (target) {
      const ClampedMean<float> mean(clamped);
      const float value = pixel[k], goal = target[at_pixel + k * plane];
      const float error = clamped > 0.0f ? mean.error(value, goal) : value - goal;
      pixel[k] = clamped > 0.0f ? mean.gradient(value, error) : error;
      squares = fma(error, error, squares);
    }
    out[at_pixel + k * plane] = pixel[k];
  }
  if (!errors) return;
  for (int step = kWarp / 2; step > 0; step /= 2) squares = squares + shuffle_xor(squares, step);
  if (lane == 0) errors[static_cast<long long>(at.row) * tiles + at.item] = squares;
}

// Gather each Gaussian's sums over its footprint on `grad` [B, C, H, W]; sixteen lanes per Gaussian, one for each pixel
// of a block. `sums` [B, N, 5 + C]: u, v, uu, uv, vv, colours; zero for a Gaussian that is not rasterized.
SPLAT2D_KERNEL splat2d_gather(const Record* records, const Box* boxes, const float* colors, long long color_row,
                              long long color_gaussian, long long color_channel, unsigned batch, unsigned n, int height,
                              int width, float cutoff, const float* grad, float* sums) {
  constexpr int kValues = kParameters <= 8 ? 8 : 16;
  const Place at((n + 1) / 2);
  if (at.row >= batch) return;
  const int lane = lane_index() % kLanes, column_of = lane / kSlab, row_of = lane % kSlab;
  const unsigned i = 2 * at.item + lane_index() / kLanes;
  const long long flat = static_cast<long long>(at.row) * n + i;
  const long long plane = static_cast<long long>(height) * width;
  const float limit = kWhitenSquared * (cutoff * cutoff);
  const Colors color_at = {colors, color_row, color_gaussian, color_channel};
  grad += static_cast<long long>(at.row) * C * plane;

  Moments<float> t = {};
  float color[C], color_sums[C] = {};
  if (i < n && boxes[flat].left <= boxes[flat].right) {
    const Record record = records[flat];
    const Shape& p = record.shape;
    const Canvas canvas(width, height);
    const Ellipse e = ellipse_of(p, cutoff);
    color_at.load(at.row, i, color);
    for (int slab = static_cast<int>(boxes[flat].top); slab <= boxes[flat].bottom; ++slab) {
      const int row = kSlab * slab + row_of;
      const WhitenedRow<float> row_at(p, static_cast<float>(row) - p.pixel_y);
      const Span span = span_of(p, e, canvas, static_cast<float>(slab));
      SlabSums<float> of_slab = {0.0f, 0.0f};
      int column = static_cast<int>(p.pixel_x + span.first_column) + column_of;
      for (int blocks = static_cast<int>(span.blocks); blocks > 0; --blocks, column += kLanes / kSlab) {
        const float u = fma(static_cast<float>(column) - p.pixel_x, p.u_per_x, row_at.u);
        const float weight = weight_of(fma(u, u, row_at.vv), limit);
        const bool inside = column < width && row < height;
        const float* pixel = grad + static_cast<long long>(row) * width + column;
        float g[C];
        for (int k = 0; k < C; ++k) g[k] = inside ? pixel[k * plane] : 0.0f;
        gather_pixels<C>(weight, u, color, g, &of_slab, &t.uu, color_sums);
      }
      end_slab(of_slab, row_at.v, &t);
    }
  }
  float values[kValues] = {t.u, t.v, t.uu, t.uv, t.vv};
  for (int k = 0; k < C; ++k) values[5 + k] = color_sums[k];
  const float sum = transposed_sum(values, lane);
  const int value = lane * kValues / kLanes;
  if (i < n && value < kParameters) sums[flat * kParameters + value] = sum;
}

// Gradients with respect to means, Cholesky entries and colours, from the sums; a lane per Gaussian.
SPLAT2D_KERNEL splat2d_gradients(const float* sums, const Record* records, const float* cholesky,
                                 const long long* counts, const int* bad, unsigned batch, unsigned n, float* by_means,
                                 float* by_cholesky, float* by_colors) {
  const Place at(groups_of(n));
  const unsigned i = at.item * kWarp + lane_index();
  if (at.row >= batch || i >= n) return;
  const long long flat = static_cast<long long>(at.row) * n + i;
  const float* t = sums + flat * kParameters;
  const bool spoiled = bad[at.row];
  Gradient g = {};
  float gl[3] = {};
  if (!spoiled && i < used(counts, at.row, n)) {
    const Record record = records[flat];
    g = gradient_of({t[0], t[1], t[2], t[3], t[4]}, record.shape.u_per_x, record.shape.u_per_y, record.shape.v_per_y);
    cholesky_gradient(g, cholesky + 3 * flat, gl);
  }
  const float nan = float_of(0x7fffffffu);
  by_means[2 * flat] = spoiled ? nan : g.mx;
  by_means[2 * flat + 1] = spoiled ? nan : g.my;
  for (int k = 0; k < 3; ++k) by_cholesky[3 * flat + k] = spoiled ? nan : gl[k];
  for (int k = 0; k < C; ++k) by_colors[C * flat + k] = spoiled ? nan : t[5 + k];
}

// One Adam step of every parameter of every crop, as in cpu/fit_fast.h; a lane per Gaussian. `schedule`
// [iterations, 5]: the rates of means, roots and colours, and Adam's two bias corrections.
SPLAT2D_KERNEL splat2d_update_fast(const float* sums, const Record* records, const float* schedule, unsigned step,
                                   unsigned batch, unsigned n, float min_sigma, float beta1, float beta2, float epsilon,
                                   float opposed, float* parameters, float* first, float* second) {
  const Place at(groups_of(n));
  const unsigned i = at.item * kWarp + lane_index();
  if (at.row >= batch || i >= n) return;
  const float* rate = schedule + 5 * step;
  const Adam adam = {beta1, beta2, epsilon, opposed, rate[3], rate[4]};
  const float* sum = sums + (static_cast<long long>(at.row) * n + i) * kParameters;
  const long long offset = static_cast<long long>(at.row) * kParameters * n + i, stride = n;
  float *p = parameters + offset, *m = first + offset, *v = second + offset;

  const Moments<float> t = {sum[0], sum[1], sum[2], sum[3], sum[4]};
  Root root = {p[2 * stride], p[3 * stride], p[4 * stride]};
  const Record record = records[static_cast<long long>(at.row) * n + i];
  const Gradient by = gradient_of(t, record.shape.u_per_x, record.shape.u_per_y, record.shape.v_per_y);
  const Root by_root = root_gradient(by, root);
  p[0] = p[0] - rate[0] * adam.step(by.mx, m, v);
  p[stride] = p[stride] - rate[0] * adam.step(by.my, m + stride, v + stride);
  root.a = root.a - rate[1] * adam.step(by_root.a, m + 2 * stride, v + 2 * stride);
  root.b = root.b - rate[1] * adam.step(by_root.b, m + 3 * stride, v + 3 * stride);
  root.c = root.c - rate[1] * adam.step(by_root.c, m + 4 * stride, v + 4 * stride);
  project(&root, min_sigma);
  p[2 * stride] = root.a, p[3 * stride] = root.b, p[4 * stride] = root.c;
  for (int k = 5; k < kParameters; ++k)
    p[k * stride] = p[k * stride] - rate[2] * adam.step(sum[k], m + k * stride, v + k * stride);
}

// Each crop's sum of squared errors before this step, from its tiles' sums: losses [B, iterations]; a warp per crop.
SPLAT2D_KERNEL splat2d_losses(const float* errors, unsigned batch, unsigned tiles, unsigned step, unsigned iterations,
                              double* losses) {
  const unsigned row = warp_index();
  if (row >= batch) return;
  double total = 0.0;
  for (unsigned i = lane_index(); i < tiles; i += kWarp)
    total += static_cast<double>(errors[static_cast<long long>(row) * tiles + i]);
  for (int step_mask = kWarp / 2; step_mask > 0; step_mask /= 2) total += shuffle_xor(total, step_mask);
  if (lane_index() == 0) losses[static_cast<long long>(row) * iterations + step] = total;
}

#include "gaussianimage.cuh"

}  // namespace SPLAT2D_NAMESPACE
