// One function of each element, over arrays that are rows: width contiguous elements, `step` elements from row to row.
// A contiguous array is one long row. Blocks are two-dimensional: x along a row, y over the rows.
#pragma once
#include "types.cuh"

template <class T>
struct Rows {
  T* first;
  long long step;
};

template <int N, class T, class F, class... X>
__device__ void map_loaded(long long number, T* y, F f, const Pack<X, N>... x) {
  Pack<T, N> result;
#pragma unroll
  for (int i = 0; i < N; i++) result.at[i] = static_cast<T>(f(number + i, static_cast<Compute<X>>(x.at[i])...));
  *reinterpret_cast<Pack<T, N>*>(y) = result;
}

template <int N, class T, class F, class... X>
__device__ void map_pack(long long number, T* y, F f, const X*... x) {
  map_loaded<N>(number, y, f, *reinterpret_cast<const Pack<X, N>*>(x)...);
}

// y[i] = f(number of the element, x[i]...) in the compute type. WIDE: 16 bytes a load; every row then starts at a
// multiple of 16 bytes in every array, which all have elements of one size.
template <bool WIDE, class T, class F, class... X>
__device__ void map_rows(long long rows, long long width, Rows<T> y, F f, Rows<const X>... x) {
  constexpr int N = WIDE ? 16 / sizeof(T) : 1;
  long long column = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
  long long columns_at_once = static_cast<long long>(gridDim.x) * blockDim.x * N;
  for (long long r = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; r < rows;
       r += static_cast<long long>(gridDim.y) * blockDim.y)
    for (long long c = column; c < width; c += columns_at_once)
      if (c + N <= width) {
        map_pack<N>(r * width + c, y.first + r * y.step + c, f, (x.first + r * x.step + c)...);
      } else {
        for (long long i = c; i < width; i++)
          map_pack<1>(r * width + i, y.first + r * y.step + i, f, (x.first + r * x.step + i)...);
      }
}
