// Reductions within a warp, in a fixed order; every lane gets the result.
#pragma once

template <class T>
__device__ T warp_sum(T v) {
#pragma unroll
  for (int lanes = 16; lanes; lanes /= 2) v += __shfl_xor_sync(~0u, v, lanes);
  return v;
}

template <class T>
__device__ T warp_max(T v) {
#pragma unroll
  for (int lanes = 16; lanes; lanes /= 2) {
    T other = __shfl_xor_sync(~0u, v, lanes);
    v = other > v || other != other ? other : v;  // NaN is kept
  }
  return v;
}
