// Covariance weighting: the mean of a dictionary's kernels, weighted by softmax(query . key), for 16 Gaussians at once,
// a lane for each.
#pragma once

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "memory.h"
#include "product.h"

namespace SPLAT2D_NAMESPACE {

using native::kCells;
using native::kEntries;
using native::padded;

constexpr float kLog2E = 1.44269504088896340736f;
constexpr float kSmallestExponent = 120.0f;  // weights below 2^-120 are zero

// Columns of a row-major matrix [rows, columns], a lane for each of 16 rows from `first` on; zeros beyond `end`.
inline void load_columns(const float* matrix, int64_t columns, int64_t first, int64_t end, float* lanes) {
  const int rows = static_cast<int>(std::min<int64_t>(kLanes, end - first));
  if (rows < kLanes) std::memset(lanes, 0, columns * kLanes * sizeof(float));
  for (int row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      lanes[column * kLanes + row] = matrix[(first + row) * columns + column];
}

inline void store_columns(const float* lanes, int64_t columns, int64_t first, int64_t end, float* matrix) {
  const int rows = static_cast<int>(std::min<int64_t>(kLanes, end - first));
  for (int row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      matrix[(first + row) * columns + column] = lanes[column * kLanes + row];
}

// The softmax weights of 16 queries, a lane for each: to weights[k * stride], not yet divided by their returned sum.
SPLAT2D_INLINED inline Lanes weights_of(const float* queries, const float* keys, int kernels, int latent, float* weights,
                                        int64_t stride) {
  Lanes highest(-3.4e38f);
  for (int k = 0; k < kernels; ++k, keys += latent) {
    Lanes logit = load(queries) * Lanes(keys[0]);
    for (int d = 1; d < latent; ++d) logit = fma(load(queries + kLanes * d), Lanes(keys[d]), logit);
    store(weights + k * stride, logit);
    highest = larger(highest, logit);
  }
  Lanes sum(0.0f);
  const Lanes limit(kSmallestExponent), scale(kLog2E);
  for (int k = 0; k < kernels; ++k) {
    const Lanes weight = weight_of((highest - load(weights + k * stride)) * scale, limit);
    store(weights + k * stride, weight);
    sum = sum + weight;
  }
  return sum;
}

inline void blend(const native::BlendArguments& a, int64_t begin, int64_t end) {
  float* const weights = scratch(kLanes * (a.kernels + a.latent + kEntries));
  float* const queries = weights + kLanes * a.kernels;
  float* const made = queries + kLanes * a.latent;
  for (int64_t first = begin; first < end; first += kLanes) {
    load_columns(a.queries, a.latent, first, end, queries);
    const Lanes sum = weights_of(queries, a.keys, a.kernels, a.latent, weights, kLanes);
    Lanes entries[kEntries] = {Lanes(0.0f), Lanes(0.0f), Lanes(0.0f)};
    for (int k = 0; k < a.kernels; ++k) {
      const Lanes weight = load(weights + kLanes * k);
      for (int e = 0; e < kEntries; ++e) entries[e] = fma(weight, Lanes(a.entries[kEntries * k + e]), entries[e]);
    }
    for (int e = 0; e < kEntries; ++e) store(made + kLanes * e, divided(entries[e], sum));
    store_columns(made, kEntries, first, end, a.blended);
  }
}

// Of the cells [begin, end), at most kCells. Adds to the gradients of the keys, [kernels, padded(latent)], and of the
// entries, [kernels, 16], unless that is null.
inline void blend_backward(const native::BlendBackwardArguments& a, int64_t begin, int64_t end, float* grad_keys,
                           float* grad_entries) {
  const int64_t depth = padded(a.latent);
  float* const weights =
      scratch(kCells * (2 * a.kernels + 2 * depth + kLanes) + a.kernels * depth + kLanes * (a.latent + 2 * kEntries));
  float* const slopes = weights + kCells * a.kernels;     // gradients of the logits, [kernels, kCells]
  float* const rows = slopes + kCells * a.kernels;        // queries [kCells, depth]
  float* const grad_rows = rows + kCells * depth;         // gradients of the result [kCells, 16]
  float* const made = grad_rows + kCells * kLanes;        // gradients of the queries [kCells, depth]
  float* const keys = made + kCells * depth;              // [kernels, depth]
  float* const queries = keys + a.kernels * depth;        // [latent, 16]
  float* const grads = queries + kLanes * a.latent;       // [3, 16]
  float* const blended = grads + kLanes * kEntries;       // [3, 16]
  const int cells = static_cast<int>(end - begin);
  std::memset(rows, 0, kCells * (depth + kLanes) * sizeof(float));
  std::memset(keys, 0, a.kernels * depth * sizeof(float));
  for (int k = 0; k < a.kernels; ++k) std::memcpy(keys + k * depth, a.keys + k * a.latent, a.latent * sizeof(float));
  for (int cell = 0; cell < cells; ++cell) {
    std::memcpy(rows + cell * depth, a.queries + (begin + cell) * a.latent, a.latent * sizeof(float));
    std::memcpy(grad_rows + cell * kLanes, a.grad_blended + (begin + cell) * kEntries, kEntries * sizeof(float));
  }
  for (int first = 0; first < cells; first += kLanes) {
    load_columns(a.queries, a.latent, begin + first, end, queries);
    load_columns(a.grad_blended, kEntries, begin + first, end, grads);
    load_columns(a.blended, kEntries, begin + first, end, blended);
    float* const weight_at = weights + first;
    const Lanes sum = weights_of(queries, a.keys, a.kernels, a.latent, weight_at, kCells);
    const Lanes share = divided(Lanes(1.0f), sum);
    Lanes grad[kEntries], mean(0.0f);
    for (int e = 0; e < kEntries; ++e) {
      grad[e] = load(grads + kLanes * e);
      mean = fma(grad[e], load(blended + kLanes * e), mean);
    }
    for (int k = 0; k < a.kernels; ++k) {
      const Lanes weight = load(weight_at + kCells * k) * share;
      Lanes change = Lanes(0.0f) - mean;
      for (int e = 0; e < kEntries; ++e) change = fma(grad[e], Lanes(a.entries[kEntries * k + e]), change);
      const Lanes slope = weight * change;
      store(weight_at + kCells * k, weight);
      store(slopes + first + kCells * k, slope);
    }
  }
  multiply<false>({slopes, 1, kCells}, cells, keys, depth, a.kernels, static_cast<int>(depth / kLanes), made, depth);
  for (int cell = 0; cell < cells; ++cell)
    std::memcpy(a.grad_queries + (begin + cell) * a.latent, made + cell * depth, a.latent * sizeof(float));
  multiply<true>({slopes, kCells, 1}, a.kernels, rows, depth, cells, static_cast<int>(depth / kLanes), grad_keys, depth);
  if (grad_entries)
    multiply<true>({weights, kCells, 1}, a.kernels, grad_rows, kLanes, cells, 1, grad_entries, kLanes);
}

}  // namespace SPLAT2D_NAMESPACE
