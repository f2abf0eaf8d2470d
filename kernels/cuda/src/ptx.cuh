// The instructions that CUDA C++ has no words for: asynchronous copies, matrix fragments, tensor cores (PTX ISA 8.8,
// sections 9.7.9 and 9.7.14). All inline assembly of this project is in this file. A compiler that is not NVIDIA's
// brings its own <ptx_emulated.h> with the same functions. Before Ampere (sm_80) there are no asynchronous copies, no
// bf16 and no TF32 in tensor cores; what is missing there is in ptx_plain.cuh, without assembly.
//
// Fragments, for lane l with g = l / 4 and t = l % 4, as the instructions define them:
//   m16n8k16, 16-bit   a[0] A(g, 2t..2t+1)  a[1] A(g+8, 2t..)  a[2] A(g, 2t+8..)  a[3] A(g+8, 2t+8..)
//                      b[0] B(2t..2t+1, g)  b[1] B(2t+8.., g)
//   m16n8k8, tf32      a[0] A(g, t)  a[1] A(g+8, t)  a[2] A(g, t+4)  a[3] A(g+8, t+4)   b[0] B(t, g)  b[1] B(t+4, g)
//   both               d[0] D(g, 2t)  d[1] D(g, 2t+1)  d[2] D(g+8, 2t)  d[3] D(g+8, 2t+1)
// ldmatrix: lane l gives the address of a row of 8 16-bit elements (16 bytes, aligned): matrix l / 8, row l % 8; it
// gets in r[m] elements 2t and 2t+1 of row g of matrix m (with _trans: of column g).
#pragma once

#ifndef __CUDACC__
#include <ptx_emulated.h>
#else

// Dynamic shared memory as an array of T, aligned to 128 bytes.
#define DYNAMIC_SHARED(T, name)                                         \
  extern __shared__ __align__(128) unsigned char dynamic_shared_bytes[]; \
  T* name = reinterpret_cast<T*>(dynamic_shared_bytes)

__device__ __forceinline__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

#if __CUDA_ARCH__ < 800
#include "ptx_plain.cuh"
#else

// Copies BYTES (4, 8 or 16; both addresses aligned to that) to shared memory, in the background; zeros if not valid.
// The source must be an address that may be read from even then.
template <int BYTES>
__device__ __forceinline__ void cp_async(void* to, const void* from, bool valid = true) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
  if constexpr (BYTES == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(valid ? 16 : 0) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)), "l"(from), "n"(BYTES),
                 "r"(valid ? BYTES : 0) : "memory");
  }
}

// Closes a group of this thread's copies.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all but the last PENDING groups of this thread have arrived (others' need a barrier after it).
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// d += A B for a 16x16 A and a 16x8 B of fp16 or bf16, with float32 sums.
#define MMA_16BIT(name, type)                                                                                    \
  __device__ __forceinline__ void name(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {           \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                                          \
                 ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                           \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                             \
  }
MMA_16BIT(mma_f16, "f16")
MMA_16BIT(mma_bf16, "bf16")
#undef MMA_16BIT

// A float32 rounded to TF32 (10 bits of mantissa, to nearest, ties away from zero), as the operand of mma_tf32.
__device__ __forceinline__ unsigned to_tf32(float x) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// d += A B for a 16x8 A and an 8x8 B of tf32, with float32 sums.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

#if __CUDA_ARCH__ >= 750

__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
// Of two matrices; the addresses of lanes 16 to 31 are not used.
__device__ __forceinline__ void ldmatrix_x2(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}

#endif

#if __CUDA_ARCH__ == 750

// In two steps of 8 k's: the first halves of a and b, then the second.
__device__ __forceinline__ void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#pragma unroll
  for (int half = 0; half < 2; half++)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
}

#endif

#endif
