// Short vectors of floats in clang's own vector types: SSE or NEON natively, simd128 in WebAssembly, and the same
// order of additions everywhere.
#pragma once

#include <cstring>

#include "base/types.h"

namespace pronk::cpu {

template <class Real, u32 count>
using Lanes = Real __attribute__((ext_vector_type(count)));

// By reference: how wide vectors are passed by value depends on the machine that is compiled for.
template <class Real, u32 count, class From>
inline void load(const From* at, Lanes<Real, count>& out) {
  Lanes<From, count> lanes;
  std::memcpy(&lanes, at, sizeof lanes);
  out = __builtin_convertvector(lanes, Lanes<Real, count>);
}

template <class Real, u32 count>
inline Real sum(const Lanes<Real, count>& lanes) {
  Real total = 0;
  for (u32 i = 0; i < count; ++i) total += lanes[i];
  return total;
}

// Σ a[i] · b[i]
template <class Real>
inline Real dot(const Real* a, const Real* b, u32 count) {
  constexpr u32 width = 8;
  Lanes<Real, width> sums = {}, va, vb;
  u32 i = 0;
  for (; i + width <= count; i += width) {
    load<Real, width>(a + i, va);
    load<Real, width>(b + i, vb);
    sums += va * vb;
  }
  Real total = sum<Real, width>(sums);
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

}  // namespace pronk::cpu
