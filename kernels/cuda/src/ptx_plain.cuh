// What ptx.cuh promises, for GPUs before Ampere (sm_80): copies that have arrived when they return, and products by
// multiply-add, for which the lanes of a warp hand each other their fragments. Turing (sm_75) has tensor cores for fp16,
// and ldmatrix. Everything else here is plain CUDA C++, which the emulator runs, too.
#pragma once
#include <cuda_fp16.h>

template <int BYTES>
__device__ __forceinline__ void cp_async(void* to, const void* from, bool valid = true) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
  if constexpr (BYTES == 16)
    *static_cast<uint4*>(to) = valid ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
  else if constexpr (BYTES == 8)
    *static_cast<uint2*>(to) = valid ? *static_cast<const uint2*>(from) : make_uint2(0, 0);
  else
    *static_cast<unsigned*>(to) = valid ? *static_cast<const unsigned*>(from) : 0;
}
__device__ __forceinline__ void cp_async_commit() {}
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {}

// d += A B, of fragments as ptx.cuh describes them: for each register of a and b, add(sum, bits of a, bits of b).
template <class F>
__device__ __forceinline__ void multiply_in_warp(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], F add) {
  int lane = threadIdx.x % 32, row = lane / 4 * 4, column = lane % 4 * 8;  // the first lanes that have these
#pragma unroll
  for (int upper = 0; upper < 2; upper++)
#pragma unroll 1  // code this long is slow to compile, and no faster
    for (int t = 0; t < 4; t++) {
      unsigned above = __shfl_sync(~0u, a[2 * upper], row + t), below = __shfl_sync(~0u, a[2 * upper + 1], row + t);
      unsigned left = __shfl_sync(~0u, b[upper], column + t), right = __shfl_sync(~0u, b[upper], column + 4 + t);
      add(d[0], above, left);
      add(d[1], above, right);
      add(d[2], below, left);
      add(d[3], below, right);
    }
}

__device__ __forceinline__ void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  multiply_in_warp(d, a, b, [](float& sum, unsigned x, unsigned y) {
    sum += __uint_as_float(x << 16) * __uint_as_float(y << 16);
    sum += __uint_as_float(x & 0xFFFF0000u) * __uint_as_float(y & 0xFFFF0000u);
  });
}

__device__ __forceinline__ unsigned to_tf32(float x) {
  return x != x ? 0x7FFFFFFFu : (__float_as_uint(x) + 0x1000) & ~0x1FFFu;
}
__device__ __forceinline__ void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  multiply_in_warp(d, a, b, [](float& sum, unsigned x, unsigned y) { sum += __uint_as_float(x) * __uint_as_float(y); });
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ < 750

__device__ __forceinline__ void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  auto half = [](unsigned bits) { return __half2float(__ushort_as_half(static_cast<unsigned short>(bits))); };
  multiply_in_warp(d, a, b, [&](float& sum, unsigned x, unsigned y) {
    sum += half(x) * half(y);
    sum += half(x >> 16) * half(y >> 16);
  });
}

// The lanes of a warp hand each other the addresses of their rows, and each reads what the fragment gives it.
template <int MATRICES, bool TRANSPOSED>
__device__ __forceinline__ void load_fragments(unsigned* r, const void* row) {
  unsigned long long mine = reinterpret_cast<unsigned long long>(row);
  int lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2;
#pragma unroll
  for (int m = 0; m < MATRICES; m++) {
    unsigned short halves[2];
#pragma unroll
    for (int e = 0; e < 2; e++) {
      int i = TRANSPOSED ? pair + e : group, j = TRANSPOSED ? group : pair + e;
      halves[e] = reinterpret_cast<const unsigned short*>(__shfl_sync(~0u, mine, 8 * m + i))[j];
    }
    r[m] = halves[0] | static_cast<unsigned>(halves[1]) << 16;
  }
}
__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const void* row) { load_fragments<4, false>(r, row); }
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) { load_fragments<4, true>(r, row); }
__device__ __forceinline__ void ldmatrix_x2(unsigned (&r)[2], const void* row) { load_fragments<2, false>(r, row); }
__device__ __forceinline__ void ldmatrix_x2_trans(unsigned (&r)[2], const void* row) { load_fragments<2, true>(r, row); }

#endif
