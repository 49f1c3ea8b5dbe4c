// Sixteen float lanes, the same on every machine: one AVX-512 register, two AVX2 registers, or a plain array
// (which compilers turn into NEON or SSE). Every operation is IEEE-exact lane by lane and sums run in one
// fixed tree, so all three give the same bits. Each is compiled into a namespace of its own, or the linker
// would merge the inline functions of different instruction sets.
#pragma once

#include <cstdint>
#include <cstring>

#include "gaussian.h"

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
inline Lanes halved(Lanes p, Lanes whole) {
  const __m512i shift = _mm512_slli_epi32(_mm512_castps_si512(whole.x), 23);
  return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(p.x), shift));
}
inline Mask at_most(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.x, b.x, _CMP_LE_OQ); }
inline Lanes where(Mask m, Lanes a) { return _mm512_maskz_mov_ps(m, a.x); }
inline float sum(Lanes a) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.x), 1));
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.x), high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
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
inline __m256 halved(__m256 p, __m256 whole) {
  const __m256i shift = _mm256_slli_epi32(_mm256_castps_si256(whole), 23);
  return _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(p), shift));
}
inline Lanes halved(Lanes p, Lanes whole) { return {halved(p.lo, whole.lo), halved(p.hi, whole.hi)}; }
inline Mask at_most(Lanes a, Lanes b) {
  return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LE_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LE_OQ)};
}
inline Lanes where(Mask m, Lanes a) { return {_mm256_and_ps(m.lo, a.lo), _mm256_and_ps(m.hi, a.hi)}; }
inline float sum(Lanes a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
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
inline Lanes operator+(const Lanes& a, const Lanes& b) { return each([&](int i) { return a.x[i] + b.x[i]; }); }
inline Lanes operator-(const Lanes& a, const Lanes& b) { return each([&](int i) { return a.x[i] - b.x[i]; }); }
inline Lanes operator*(const Lanes& a, const Lanes& b) { return each([&](int i) { return a.x[i] * b.x[i]; }); }
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return each([&](int i) { return std::fma(a.x[i], b.x[i], c.x[i]); });
}
inline Lanes halved(const Lanes& p, const Lanes& whole) {
  return each([&](int i) { return halved(p.x[i], whole.x[i]); });
}
inline Mask at_most(const Lanes& a, const Lanes& b) {
  Mask m;
  for (int i = 0; i < kLanes; ++i) m.x[i] = a.x[i] <= b.x[i] ? 0xffffffffu : 0u;
  return m;
}
inline Lanes where(const Mask& m, const Lanes& a) { return each([&](int i) { return m.x[i] ? a.x[i] : 0.0f; }); }
inline float sum(const Lanes& a) {
  float s[kLanes];
  std::memcpy(s, a.x, sizeof s);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) s[i] += s[i + half];
  return s[0];
}

#endif

}  // namespace SPLAT2D_NAMESPACE
