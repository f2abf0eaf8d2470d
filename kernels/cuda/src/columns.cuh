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
