// What kernels/cuda/src/ptx.cuh says of its functions, for the emulated GPU. A cp.async arrives when its thread waits for
// it, so that a kernel that forgets to wait finds the poison of shared memory; or at once (engine.cpp says when), so that
// one that copies over what other threads still read is seen.
#pragma once

#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(emulator::dynamic_shared())

#ifdef BEFORE_AMPERE  // what older GPUs do
#include "ptx_plain.cuh"
#else

namespace emulator {

inline void arrive(const PendingCopy& copy) {
  std::memcpy(copy.to, copy.from, copy.bytes);
  std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, copy.zeros);
}

}  // namespace emulator

template <int BYTES>
void cp_async(void* to, const void* from, bool valid = true) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
  uintptr_t either = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from);
  if (either % BYTES) emulator::fail("cp.async: an address is not aligned to the size of the copy");
  emulator::Thread& me = *emulator::current;
  emulator::PendingCopy copy = {to, from, valid ? BYTES : 0, valid ? 0 : BYTES, me.copy_group};
  if (emulator::copies_arrive_at_once()) {
    emulator::arrive(copy);
    copy.bytes = copy.zeros = 0;  // it is still to be waited for
  }
  me.copies.push_back(copy);
}

inline void cp_async_commit() { emulator::current->copy_group++; }

template <int PENDING>
void cp_async_wait() {
  emulator::Thread& me = *emulator::current;
  size_t kept = 0;
  for (const emulator::PendingCopy& copy : me.copies) {
    if (copy.group >= me.copy_group - PENDING) {
      me.copies[kept++] = copy;
      continue;
    }
    emulator::arrive(copy);
  }
  me.copies.resize(kept);
}

namespace emulator {

// The lanes of a warp hand in addresses of rows and get the elements that the fragment layout gives them.
template <int MATRICES, bool TRANSPOSED>
void load_matrices(unsigned* r, const void* row, int line) {
  if (reinterpret_cast<uintptr_t>(row) % 16) fail("ldmatrix: the address of a row is not aligned to 16 bytes");
  static const char unused[16] = {};
  const Slot* rows = exchange(~0u, lane() < 8 * MATRICES ? row : unused, 16, line);
  int group = lane() / 4, pair = lane() % 4;
  for (int m = 0; m < MATRICES; m++)
    for (int e = 0; e < 2; e++) {
      int i = TRANSPOSED ? 2 * pair + e : group, j = TRANSPOSED ? group : 2 * pair + e;
      std::memcpy(reinterpret_cast<char*>(&r[m]) + 2 * e, rows[8 * m + i].bytes + 2 * j, 2);
    }
}

struct Operands {
  unsigned a[4], b[2];
};

// d += A B, where element(register, position in it) of a lane's operand are given by T and PER_REGISTER.
template <class T, int K, int PER_REGISTER>
void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line) {
  Operands mine;
  std::memcpy(mine.a, a, sizeof a);
  std::memcpy(mine.b, b, sizeof b);
  const Slot* lanes = exchange(~0u, &mine, sizeof mine, line);
  auto element = [&](int lane, int reg, int e) {
    T value;
    std::memcpy(&value, lanes[lane].bytes + 4 * reg + sizeof(T) * e, sizeof(T));
    return static_cast<float>(value);
  };
  constexpr int HALF = K / 2, P = PER_REGISTER;  // columns beyond HALF are in the next registers
  int group = lane() / 4, pair = lane() % 4;
  for (int q = 0; q < 4; q++) {
    int i = group + 8 * (q / 2), j = 2 * pair + q % 2;
    float sum = 0;
    for (int k = 0; k < K; k++) {
      int t = k % HALF / P, upper = k / HALF;
      sum += element(4 * (i % 8) + t, i / 8 + 2 * upper, k % P) * element(4 * j + t, 4 + upper, k % P);
    }
    d[q] += sum;
  }
}

struct Tf32 {  // the tensor cores do not look at the low 13 bits
  unsigned bits;
  operator float() const { return __uint_as_float(bits & ~0x1FFFu); }
};

}  // namespace emulator

inline void ldmatrix_x4(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
  emulator::load_matrices<4, false>(r, row, line);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
  emulator::load_matrices<4, true>(r, row, line);
}
inline void ldmatrix_x2(unsigned (&r)[2], const void* row, int line = __builtin_LINE()) {
  emulator::load_matrices<2, false>(r, row, line);
}
inline void ldmatrix_x2_trans(unsigned (&r)[2], const void* row, int line = __builtin_LINE()) {
  emulator::load_matrices<2, true>(r, row, line);
}
inline void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE()) {
  emulator::multiply<__half, 16, 2>(d, a, b, line);
}
inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE()) {
  emulator::multiply<__nv_bfloat16, 16, 2>(d, a, b, line);
}
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line = __builtin_LINE()) {
  emulator::multiply<emulator::Tf32, 8, 1>(d, a, b, line);
}
inline unsigned to_tf32(float x) { return x != x ? 0x7FFFFFFFu : (__float_as_uint(x) + 0x1000) & ~0x1FFFu; }
#endif
