// Products of small matrices, kept in registers: `rows` x `16 lanes` results at a time, summed over `depth`.
#pragma once

#include <cstdint>

#include "simd.h"

namespace SPLAT2D_NAMESPACE {

constexpr int kFewRows = 4;  // rows at once where fewer remain than below

// A row-major view: entry (row, step) of the left factor is data[row * row_stride + step * step_stride].
struct Left {
  const float* data;
  int64_t row_stride, step_stride;
};

#if defined(__AVX512F__)
constexpr int kWidest = 4;                                // vectors of 16 columns at once
constexpr int kRowsFor[kWidest + 1] = {0, 12, 12, 8, 6};  // rows at once for so many vectors: at most 28 of 32 registers
#else
constexpr int kWidest = 1;
constexpr int kRowsFor[kWidest + 1] = {0, 6};
#endif

// result[row][column] = sum over steps of left(row, step) right[step * right_stride + column], in order of the steps;
// added to what is there if kAdd.
template <int kRows, int kVectors, bool kAdd>
SPLAT2D_INLINED inline void multiply_rows(Left left, const float* right, int64_t right_stride, int depth, float* result,
                                          int64_t result_stride) {
  Lanes sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) sums[r][v] = kAdd ? load(result + r * result_stride + kLanes * v) : Lanes(0.0f);
  for (int step = 0; step < depth; ++step) {
    Lanes column[kVectors];
    for (int v = 0; v < kVectors; ++v) column[v] = load(right + kLanes * v);
    for (int r = 0; r < kRows; ++r) {
      const Lanes entry(left.data[r * left.row_stride]);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = fma(entry, column[v], sums[r][v]);
    }
    left.data += left.step_stride;
    right += right_stride;
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) store(result + r * result_stride + kLanes * v, sums[r][v]);
}

template <int kVectors, bool kAdd>
inline void multiply_columns(Left left, int rows, const float* right, int64_t right_stride, int depth, float* result,
                             int64_t result_stride) {
  constexpr int kRows = kRowsFor[kVectors];
  int row = 0;
  for (; row + kRows <= rows; row += kRows)
    multiply_rows<kRows, kVectors, kAdd>({left.data + row * left.row_stride, left.row_stride, left.step_stride}, right,
                                         right_stride, depth, result + row * result_stride, result_stride);
  for (; row + kFewRows <= rows; row += kFewRows)
    multiply_rows<kFewRows, kVectors, kAdd>({left.data + row * left.row_stride, left.row_stride, left.step_stride},
                                            right, right_stride, depth, result + row * result_stride, result_stride);
  for (; row < rows; ++row)
    multiply_rows<1, kVectors, kAdd>({left.data + row * left.row_stride, left.row_stride, left.step_stride}, right,
                                     right_stride, depth, result + row * result_stride, result_stride);
}

// The whole product, with `vectors` times 16 columns.
template <bool kAdd>
inline void multiply(Left left, int rows, const float* right, int64_t right_stride, int depth, int vectors,
                     float* result, int64_t result_stride) {
  while (vectors > 0) {
    const int parts = (vectors + kWidest - 1) / kWidest, now = (vectors + parts - 1) / parts;  // of even widths
#if defined(__AVX512F__)
    if (now == 4) multiply_columns<4, kAdd>(left, rows, right, right_stride, depth, result, result_stride);
    else if (now == 3) multiply_columns<3, kAdd>(left, rows, right, right_stride, depth, result, result_stride);
    else if (now == 2) multiply_columns<2, kAdd>(left, rows, right, right_stride, depth, result, result_stride);
    else
#endif
      multiply_columns<1, kAdd>(left, rows, right, right_stride, depth, result, result_stride);
    right += now * kLanes;
    result += now * kLanes;
    vectors -= now;
  }
}

}  // namespace SPLAT2D_NAMESPACE
