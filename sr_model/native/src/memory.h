// Memory of a thread, kept from call to call.
#pragma once

#include <cstdint>
#include <vector>

#include "simd.h"

namespace SPLAT2D_NAMESPACE {

inline float* scratch(int64_t floats) {
  static thread_local std::vector<float> memory;
  if (static_cast<int64_t>(memory.size()) < floats) memory.resize(floats);
  return memory.data();
}

inline Lanes divided(Lanes a, Lanes b) {
  float x[kLanes], y[kLanes];
  store(x, a);
  store(y, b);
  for (int lane = 0; lane < kLanes; ++lane) x[lane] /= y[lane];
  return load(x);
}

}  // namespace SPLAT2D_NAMESPACE
