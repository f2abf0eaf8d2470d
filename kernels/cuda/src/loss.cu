// Softmax cross-entropy, one warp a row.
#include "types.cuh"
#include "warp.cuh"

// loss = -sum q log softmax(x), p = softmax(x) of each row; x and q (M, K) with steps from row to row
template <class T>
__global__ void cross_entropy_forward(int rows, int classes, const T* x, long long x_step, const T* q,
                                      long long q_step, T* loss, T* p) {
  using C = Compute<T>;
  int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= rows) return;  // a whole warp
  x += row * x_step;
  q += row * q_step;
  p += static_cast<long long>(row) * classes;
  C largest = static_cast<C>(x[0]);
  for (int k = threadIdx.x; k < classes; k += 32) {
    C v = static_cast<C>(x[k]);
    largest = v > largest || v != v ? v : largest;
  }
  largest = warp_max(largest);
  C total = 0;
  for (int k = threadIdx.x; k < classes; k += 32) total += exp(static_cast<C>(x[k]) - largest);
  C log_total = log(warp_sum(total)), sum = 0;
  for (int k = threadIdx.x; k < classes; k += 32) {
    C log_p = static_cast<C>(x[k]) - largest - log_total;
    if (static_cast<C>(q[k]) != 0) sum += static_cast<C>(q[k]) * log_p;  // -inf that is not wanted costs nothing
    p[k] = static_cast<T>(exp(log_p));
  }
  sum = warp_sum(sum);
  if (threadIdx.x == 0) loss[row] = static_cast<T>(-sum);
}

// dx = dloss (p sum q - q) of each row; p and q (M, K), dloss (M,) with steps
template <class T>
__global__ void cross_entropy_backward(int rows, int classes, const T* dloss, long long dloss_step, const T* p,
                                       long long p_step, const T* q, long long q_step, T* dx) {
  using C = Compute<T>;
  int row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= rows) return;
  p += row * p_step;
  q += row * q_step;
  dx += static_cast<long long>(row) * classes;
  C weight = 0, scale = static_cast<C>(dloss[row * dloss_step]);
  for (int k = threadIdx.x; k < classes; k += 32) weight += static_cast<C>(q[k]);
  weight = warp_sum(weight);
  for (int k = threadIdx.x; k < classes; k += 32)
    dx[k] = static_cast<T>(scale * (static_cast<C>(p[k]) * weight - static_cast<C>(q[k])));
}
