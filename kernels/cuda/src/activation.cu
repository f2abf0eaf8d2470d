// Rectified linear unit. x < 0 ? 0 : x rather than max(x, 0), so that NaN stays NaN.
#include "elementwise.cuh"

// y = max(x, 0)
template <class T, bool WIDE>
__global__ void relu_forward(long long rows, long long width, T* y, long long y_step, const T* x, long long x_step) {
  using C = Compute<T>;
  auto f = [](long long, C v) { return v < 0 ? C(0) : v; };
  map_rows<WIDE>(rows, width, Rows<T>{y, y_step}, f, Rows<const T>{x, x_step});
}

// dx = dy where y > 0, else 0
template <class T, bool WIDE>
__global__ void relu_backward(long long rows, long long width, T* dx, long long dx_step, const T* dy,
                              long long dy_step, const T* y, long long y_step) {
  using C = Compute<T>;
  auto f = [](long long, C gradient, C value) { return value > 0 ? gradient : C(0); };
  map_rows<WIDE>(rows, width, Rows<T>{dx, dx_step}, f, Rows<const T>{dy, dy_step}, Rows<const T>{y, y_step});
}

// y = max(a + b, 0)
template <class T, bool WIDE>
__global__ void add_relu_forward(long long rows, long long width, T* y, long long y_step, const T* a,
                                 long long a_step, const T* b, long long b_step) {
  using C = Compute<T>;
  auto f = [](long long, C v, C w) { return v + w < 0 ? C(0) : v + w; };
  map_rows<WIDE>(rows, width, Rows<T>{y, y_step}, f, Rows<const T>{a, a_step}, Rows<const T>{b, b_step});
}
