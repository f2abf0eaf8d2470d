// Copies between channel slices.
#include "elementwise.cuh"

// y = x
template <class T, bool WIDE>
__global__ void copy_rows(long long rows, long long width, T* y, long long y_step, const T* x, long long x_step) {
  auto f = [](long long, Compute<T> v) { return v; };
  map_rows<WIDE>(rows, width, Rows<T>{y, y_step}, f, Rows<const T>{x, x_step});
}
