// Work along the columns of a matrix: rows are pixels, columns are channels. A thread keeps N neighbouring channels
// through all rows that it visits, so that what belongs to a channel stays in its registers.
//
//     threadIdx.x, blockIdx.x   which channels        threadIdx.y, blockIdx.y   which rows
#pragma once
#include "types.cuh"

template <class T>
struct Matrix {
  T* first;
  long long step;  // elements from row to row

  __device__ T* at(long long row, int column) const { return first + row * step + column; }
};

// Channels of a thread: a load of 16 bytes where all rows allow it.
template <class T, bool WIDE>
constexpr int LANES = WIDE ? 16 / sizeof(T) : 1;

template <class T, bool WIDE>
__device__ int first_column() {
  return (blockIdx.x * blockDim.x + threadIdx.x) * LANES<T, WIDE>;
}

// f(row) for the rows of this thread.
template <class F>
__device__ void for_rows(long long rows, F f) {
  long long step = static_cast<long long>(gridDim.y) * blockDim.y;
  for (long long row = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; row < rows; row += step) f(row);
}

template <int N, class T>
__device__ Pack<Compute<T>, N> load(const T* from) {
  Pack<T, N> stored = *reinterpret_cast<const Pack<T, N>*>(from);
  Pack<Compute<T>, N> result;
#pragma unroll
  for (int i = 0; i < N; i++) result.at[i] = static_cast<Compute<T>>(stored.at[i]);
  return result;
}

template <int N, class T>
__device__ void store(T* to, const Pack<Compute<T>, N>& values) {
  Pack<T, N> result;
#pragma unroll
  for (int i = 0; i < N; i++) result.at[i] = static_cast<T>(values.at[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = result;
}

// Adds up `values` of the threads of one column (all threadIdx.y), in a fixed order; the sum is threadIdx.y 0's.
// shared: a number for each thread of the block. All threads of the block take part.
template <class C>
__device__ C sum_over_rows(C value, C* shared) {
  int own = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();
  shared[own] = value;
  for (int half = blockDim.y / 2; half; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) shared[own] += shared[own + half * blockDim.x];
  }
  return shared[own];
}

// N numbers that other blocks of this launch wrote: from where all can see them, past this multiprocessor's own cache.
template <int N>
__device__ Pack<float, N> load_written(const float* from) {
  Pack<float, N> result;
  if constexpr (N % 4 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      float4 four = __ldcg(reinterpret_cast<const float4*>(from + i));
      result.at[i] = four.x, result.at[i + 1] = four.y, result.at[i + 2] = four.z, result.at[i + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) result.at[i] = __ldcg(from + i);
  }
  return result;
}
template <int N>
__device__ Pack<double, N> load_written(const double* from) {
  Pack<double, N> result;
#pragma unroll
  for (int i = 0; i < N; i++) result.at[i] = __ldcg(from + i);
  return result;
}

// How many blocks of each column of blocks (blockIdx.x) have come to their end; zero before a launch and after it. As
// these are an instance's own, it must not run twice at once on a GPU: launches are made on one stream.
constexpr int COLUMNS_OF_BLOCKS = 1024;
static __device__ unsigned arrived[COLUMNS_OF_BLOCKS];

// Is this the last block of its column to come here? Then all that the others wrote before can be read (load_written).
// counts: null for `arrived`, else a zero for each column of blocks. All threads of the block take part.
__device__ inline bool is_last_block(unsigned* counts) {
  __shared__ bool last;
  unsigned* count = (counts ? counts : arrived) + blockIdx.x;
  __threadfence();  // what this thread wrote is seen before the count
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    last = atomicAdd(count, 1u) == gridDim.y - 1;
    if (last) *count = 0;
  }
  __syncthreads();
  __threadfence();
  return last;
}
