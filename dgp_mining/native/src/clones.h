// Functions that are compiled once more for AVX2, with all that they call, and chosen when the library is loaded. Their
// results have the same bits: operations are in a fixed order and not fused.
#pragma once

#include <cstdint>  // defines __GLIBC__

// clang up to 18 cannot combine the two attributes.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define MEASURE_CLONES __attribute__((flatten, target_clones("avx2", "default")))
#else
#define MEASURE_CLONES
#endif
