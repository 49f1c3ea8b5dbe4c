// Sixteen float lanes, the same on every machine: one AVX-512 register, two AVX2 registers, or a plain array (which
// compilers turn into NEON or SSE). Every operation is IEEE-exact lane by lane and sums follow one fixed tree, so all
// three give the same bits. Each is compiled into a namespace of its own: otherwise the linker would merge the inline
// functions of different instruction sets.
#pragma once

#include <cstdint>
#include <cstring>

#include "../shared/gaussian.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace SPLAT2D_NAMESPACE {

#if defined(__AVX512F__)

struct Lanes {
  __m512 x;
  Lanes() = default;
  Lanes(__m512 v) : x(v) {}
  explicit Lanes(float s) : x(_mm512_set1_ps(s)) {}
};
using Mask = __mmask16;

inline Lanes load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Lanes a) { _mm512_storeu_ps(p, a.x); }
inline Lanes operator+(Lanes a, Lanes b) { return _mm512_add_ps(a.x, b.x); }
inline Lanes operator-(Lanes a, Lanes b) { return _mm512_sub_ps(a.x, b.x); }
inline Lanes operator*(Lanes a, Lanes b) { return _mm512_mul_ps(a.x, b.x); }
inline Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a.x, b.x, c.x); }
inline Mask at_most(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.x, b.x, _CMP_LE_OQ); }
inline Lanes scaled_where(Mask m, Lanes p, Lanes, Lanes n) { return _mm512_maskz_scalef_ps(m, p.x, n.x); }
inline Lanes where(Mask m, Lanes a) { return _mm512_maskz_mov_ps(m, a.x); }
inline Lanes smaller(Lanes a, Lanes b) { return _mm512_min_ps(a.x, b.x); }
inline Lanes larger(Lanes a, Lanes b) { return _mm512_max_ps(a.x, b.x); }
// Lanes i and i + 8 of a, then of b.
inline __m512 add_halves(Lanes a, Lanes b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a.x, b.x, 0x44), _mm512_shuffle_f32x4(a.x, b.x, 0xee));
}
inline __m512 add_quarters(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
inline void sum_eight(const Lanes* a, float* sums) {
  const __m512 low = add_quarters(add_halves(a[0], a[1]), add_halves(a[2], a[3]));
  const __m512 high = add_quarters(add_halves(a[4], a[5]), add_halves(a[6], a[7]));
  const __m512 pairs = _mm512_add_ps(_mm512_unpacklo_ps(low, high), _mm512_unpackhi_ps(low, high));
  const __m512 all = _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0x4e));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  _mm256_storeu_ps(sums, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, all)));
}

#elif defined(__AVX2__)

struct Lanes {
  __m256 lo, hi;
  Lanes() = default;
  Lanes(__m256 l, __m256 h) : lo(l), hi(h) {}
  explicit Lanes(float s) : lo(_mm256_set1_ps(s)), hi(_mm256_set1_ps(s)) {}
};
struct Mask {
  __m256 lo, hi;
};

inline Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Lanes a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline Lanes operator+(Lanes a, Lanes b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline Lanes operator-(Lanes a, Lanes b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Mask at_most(Lanes a, Lanes b) {
  return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LE_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LE_OQ)};
}
inline Lanes where(Mask m, Lanes a) { return {_mm256_and_ps(m.lo, a.lo), _mm256_and_ps(m.hi, a.hi)}; }
inline Lanes smaller(Lanes a, Lanes b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline Lanes larger(Lanes a, Lanes b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline __m256 scaled_where(__m256 m, __m256 p, __m256 whole) {
  const __m256i shift = _mm256_slli_epi32(_mm256_castps_si256(whole), 23);
  return _mm256_and_ps(m, _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(p), shift)));
}
inline Lanes scaled_where(Mask m, Lanes p, Lanes whole, Lanes) {
  return {scaled_where(m.lo, p.lo, whole.lo), scaled_where(m.hi, p.hi, whole.hi)};
}
// Lanes i, i + 8, i + 4 and i + 12 of a, then of b.
inline __m256 add_quarters(Lanes a, Lanes b) {
  const __m256 x = _mm256_add_ps(a.lo, a.hi), y = _mm256_add_ps(b.lo, b.hi);
  return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
}
inline __m256 add_pairs(__m256 a, __m256 b) {
  const __m256 pairs = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  return _mm256_add_ps(pairs, _mm256_permute_ps(pairs, 0x4e));
}
inline void sum_eight(const Lanes* a, float* sums) {
  const __m256 even = add_pairs(add_quarters(a[0], a[1]), add_quarters(a[4], a[5]));  // 0 4 . . 1 5 . .
  const __m256 odd = add_pairs(add_quarters(a[2], a[3]), add_quarters(a[6], a[7]));   // 2 6 . . 3 7 . .
  const __m256 all = _mm256_shuffle_ps(even, odd, 0x44);                              // 0 4 2 6 1 5 3 7
  _mm256_storeu_ps(sums, _mm256_permutevar8x32_ps(all, _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7)));
}

#else

struct Lanes {
  float x[kLanes];
  Lanes() = default;
  explicit Lanes(float s) {
    for (float& lane : x) lane = s;
  }
};
struct Mask {
  uint32_t x[kLanes];
};

template <class F>
inline Lanes each(F f) {
  Lanes r;
  for (int i = 0; i < kLanes; ++i) r.x[i] = f(i);
  return r;
}
inline Lanes load(const float* p) {
  Lanes r;
  std::memcpy(r.x, p, sizeof r.x);
  return r;
}
inline void store(float* p, const Lanes& a) { std::memcpy(p, a.x, sizeof a.x); }
inline Lanes operator+(const Lanes& a, const Lanes& b) {
  return each([&](int i) { return a.x[i] + b.x[i]; });
}
inline Lanes operator-(const Lanes& a, const Lanes& b) {
  return each([&](int i) { return a.x[i] - b.x[i]; });
}
inline Lanes operator*(const Lanes& a, const Lanes& b) {
  return each([&](int i) { return a.x[i] * b.x[i]; });
}
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return each([&](int i) { return std::fma(a.x[i], b.x[i], c.x[i]); });
}
inline Mask at_most(const Lanes& a, const Lanes& b) {
  Mask m;
  for (int i = 0; i < kLanes; ++i) m.x[i] = a.x[i] <= b.x[i] ? 0xffffffffu : 0u;
  return m;
}
inline Lanes where(const Mask& m, const Lanes& a) {
  return each([&](int i) { return m.x[i] ? a.x[i] : 0.0f; });
}
inline Lanes smaller(const Lanes& a, const Lanes& b) {
  return each([&](int i) { return smaller(a.x[i], b.x[i]); });
}
inline Lanes larger(const Lanes& a, const Lanes& b) {
  return each([&](int i) { return larger(a.x[i], b.x[i]); });
}
inline Lanes scaled_where(const Mask& m, const Lanes& p, const Lanes& whole, const Lanes&) {
  return each([&](int i) { return scaled_where(m.x[i] != 0, p.x[i], whole.x[i], 0.0f); });
}
inline void sum_eight(const Lanes* a, float* sums) {
  for (int k = 0; k < 8; ++k) {
    float s[kLanes];
    std::memcpy(s, a[k].x, sizeof s);
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) s[i] += s[i + half];
    sums[k] = s[0];
  }
}

#endif

}  // namespace SPLAT2D_NAMESPACE
