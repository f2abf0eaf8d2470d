// The matrix product under all convolutions: D (BM x BN of it for each block) = sum over k of A[m, k] B[k, n].
//
//     global memory --cp.async--> a ring of STAGES tiles in shared memory --fragments--> registers (tensor cores or FMA)
//
// While the block multiplies one tile, the copies of the next STAGES - 1 are on their way. A step of the loop takes
// STEP_BYTES of k from every row of A and column of B. Tiles lie in shared memory as they come from global memory:
// along k (row m of A, then its k's), or across it (row k, then its m's or n's). Rows are padded so that the 32 lanes of
// a warp read a fragment from 32 different banks.
//
// What is copied is up to two loaders: `void fetch(char* tile)` starts the copies of the next step.
#pragma once
#include "ptx.cuh"
#include "types.cuh"

constexpr int STEP_BYTES = 64;
constexpr int THREADS = 256;
constexpr int STAGES = 3;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int RESIDENT = 1;  // blocks of a multiprocessor at once: so few have room in its 64 KiB of shared memory
#else
constexpr int RESIDENT = 2;
#endif

template <class T>
constexpr int DEPTH = STEP_BYTES / sizeof(T);  // elements of k in a step

// ---- tiles in shared memory

// COUNT rows of a matrix, each with the step's part of k.
template <class T, int COUNT>
struct Along {
  static constexpr int ROW_BYTES = STEP_BYTES + 16, ROWS = COUNT, BYTES = ROWS * ROW_BYTES;
  static constexpr bool ALONG_K = true;
  static __device__ const T* at(const char* tile, int i, int k) {
    return reinterpret_cast<const T*>(tile + i * ROW_BYTES) + k;
  }
};

// The step's k's, each with COUNT neighbouring m's or n's.
template <class T, int COUNT>
struct Across {
  static constexpr int ROW_BYTES = COUNT * sizeof(T) + (sizeof(T) == 2 ? 16 : 32), ROWS = DEPTH<T>;
  static constexpr int BYTES = ROWS * ROW_BYTES;
  static constexpr bool ALONG_K = false;
  static __device__ const T* at(const char* tile, int i, int k) {
    return reinterpret_cast<const T*>(tile + k * ROW_BYTES) + i;
  }
};

// ---- fragments of tensor-core operands: see ptx.cuh for their layout

template <class T>
struct Mma;  // K: k's of one instruction; multiply

template <>
struct Mma<float> {
  static constexpr int K = 8;
  static __device__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_tf32(d, a, b); }
};
template <>
struct Mma<__half> {
  static constexpr int K = 16;
  static __device__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_f16(d, a, b); }
};
template <>
struct Mma<__nv_bfloat16> {
  static constexpr int K = 16;
  static __device__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { mma_bf16(d, a, b); }
};

// A fragment of A: rows m .. m + 15 and the instruction's k's.
template <class Tile, class T>
__device__ void load_a(unsigned (&r)[4], const char* tile, int m, int k, int lane, const T*) {
  int matrix = lane / 8, row = lane % 8;
  if constexpr (Tile::ALONG_K)
    ldmatrix_x4(r, Tile::at(tile, m + row + matrix % 2 * 8, k + matrix / 2 * 8));
  else
    ldmatrix_x4_trans(r, Tile::at(tile, m + matrix % 2 * 8, k + row + matrix / 2 * 8));
}
template <class Tile>
__device__ void load_a(unsigned (&r)[4], const char* tile, int m, int k, int lane, const float*) {
#pragma unroll
  for (int i = 0; i < 4; i++) r[i] = to_tf32(*Tile::at(tile, m + lane / 4 + i % 2 * 8, k + lane % 4 + i / 2 * 4));
}

// Two neighbouring fragments of B: columns n .. n + 7 in r[0], r[1] and n + 8 .. n + 15 in r[2], r[3].
template <class Tile, class T>
__device__ void load_b(unsigned (&r)[4], const char* tile, int n, int k, int lane, const T*) {
  int matrix = lane / 8, row = lane % 8;
  if constexpr (Tile::ALONG_K)
    ldmatrix_x4(r, Tile::at(tile, n + row + matrix / 2 * 8, k + matrix % 2 * 8));
  else
    ldmatrix_x4_trans(r, Tile::at(tile, n + matrix / 2 * 8, k + row + matrix % 2 * 8));
}
template <class Tile>
__device__ void load_b(unsigned (&r)[4], const char* tile, int n, int k, int lane, const float*) {
#pragma unroll
  for (int i = 0; i < 4; i++) r[i] = to_tf32(*Tile::at(tile, n + lane / 4 + i / 2 * 8, k + lane % 4 + i % 2 * 4));
}

// ---- the sums of a block, spread over its threads

// By tensor cores: 2 x 4 warps, each with BM / 2 x BN / 4 of the block's sums.
template <class T, int BM, int BN>
struct TensorSums {
  static constexpr int TALL = BM / 2 / 16, BROAD = BN / 4 / 8;
  float sums[TALL][BROAD][4] = {};

  template <class TileA, class TileB>
  __device__ void step(const char* a, const char* b) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, m = warp / 4 * (BM / 2), n = warp % 4 * (BN / 4);
#pragma unroll
    for (int k = 0; k < DEPTH<T>; k += Mma<T>::K) {
      unsigned from_a[TALL][4], from_b[BROAD / 2][4];
#pragma unroll
      for (int i = 0; i < TALL; i++) load_a<TileA>(from_a[i], a, m + 16 * i, k, lane, static_cast<const T*>(nullptr));
#pragma unroll
      for (int j = 0; j < BROAD / 2; j++) load_b<TileB>(from_b[j], b, n + 16 * j, k, lane, static_cast<const T*>(nullptr));
#pragma unroll
      for (int i = 0; i < TALL; i++)
#pragma unroll
        for (int j = 0; j < BROAD; j++) {
          const unsigned pair[2] = {from_b[j / 2][j % 2 * 2], from_b[j / 2][j % 2 * 2 + 1]};
          Mma<T>::multiply(sums[i][j], from_a[i], pair);
        }
    }
  }

  // For each row m of this thread, r = store.row(m), then its sums n, n + 1 to store.pair(r, n, ...). m and n in the block.
  template <class Store>
  __device__ void finish(Store store) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 2 * TALL; i++) {
      auto row = store.row(warp / 4 * (BM / 2) + 8 * i + lane / 4);
#pragma unroll
      for (int j = 0; j < BROAD; j++) {
        const float* d = sums[i / 2][j] + i % 2 * 2;
        store.pair(row, warp % 4 * (BN / 4) + 8 * j + lane % 4 * 2, d[0], d[1]);
      }
    }
  }
};

// By multiply-add in the type itself: 16 x 16 threads, each with every 16th row and column.
template <class T, int BM, int BN>
struct PlainSums {
  T sums[BM / 16][BN / 16] = {};

  template <class TileA, class TileB>
  __device__ void step(const char* a, const char* b) {
    int m = threadIdx.x / 16, n = threadIdx.x % 16;
#pragma unroll 4
    for (int k = 0; k < DEPTH<T>; k++) {
      T from_b[BN / 16];
#pragma unroll
      for (int j = 0; j < BN / 16; j++) from_b[j] = *TileB::at(b, n + 16 * j, k);
#pragma unroll
      for (int i = 0; i < BM / 16; i++) {
        T from_a = *TileA::at(a, m + 16 * i, k);
#pragma unroll
        for (int j = 0; j < BN / 16; j++) sums[i][j] += from_a * from_b[j];
      }
    }
  }

  template <class Store>
  __device__ void finish(Store store) {
#pragma unroll
    for (int i = 0; i < BM / 16; i++) {
      auto row = store.row(threadIdx.x / 16 + 16 * i);
#pragma unroll
      for (int j = 0; j < BN / 16; j++) store.one(row, threadIdx.x % 16 + 16 * j, sums[i][j]);
    }
  }
};

template <class T, bool TENSOR, int BM, int BN>
struct SumsOf {
  using type = TensorSums<T, BM, BN>;
};
template <class T, int BM, int BN>
struct SumsOf<T, false, BM, BN> {
  using type = PlainSums<T, BM, BN>;
};

// ---- the loop

// Bytes of dynamic shared memory (the launchers compute the same number).
template <class TileA, class TileB>
constexpr int SHARED_BYTES = STAGES * (TileA::BYTES + TileB::BYTES);

// sums += A B over `steps` steps of k. All threads of the block take part.
template <class TileA, class TileB, class Sums, class LoadA, class LoadB>
__device__ void multiply_tiles(char* shared, int steps, LoadA& load_a, LoadB& load_b, Sums& sums) {
  constexpr int STAGE = TileA::BYTES + TileB::BYTES;
  auto fetch = [&](int step) {
    if (step < steps) {
      load_a.fetch(shared + step % STAGES * STAGE);
      load_b.fetch(shared + step % STAGES * STAGE + TileA::BYTES);
    }
    cp_async_commit();  // an empty group at the end keeps the count right
  };
  for (int step = 0; step < STAGES - 1; step++) fetch(step);
  for (int step = 0; step < steps; step++) {
    cp_async_wait<STAGES - 2>();
    __syncthreads();  // the step's tiles are there, for all; and all are done with the tiles of the step before
    fetch(step + STAGES - 1);
    const char* stage = shared + step % STAGES * STAGE;
    sums.template step<TileA, TileB>(stage, stage + TileA::BYTES);
  }
  cp_async_wait<0>();
}
