// Element types: float, double, and the 16-bit types that are stored as such and computed with as float.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <class T>
struct ComputeType {
  using type = float;
};
template <>
struct ComputeType<double> {
  using type = double;
};
template <class T>
using Compute = typename ComputeType<T>::type;

// WIDTH elements that lie together: one load of up to 16 bytes.
template <class T, int WIDTH>
struct alignas(sizeof(T) * WIDTH) Pack {
  T at[WIDTH];
};
