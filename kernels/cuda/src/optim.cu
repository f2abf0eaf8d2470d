// Optimizer steps of many arrays in one launch.
//
// settings: the step's numbers as doubles; go: null, or where to read whether the step is made at all. Both are in memory
// rather than arguments, so that a captured launch can be replayed with others. tensors: one for each array of weights;
// block b works on CHUNK elements of the tensor whose blocks include b.
#include "types.cuh"
#include "warp.cuh"

constexpr int CHUNK = 4096;

struct Tensor {  // as optim.py lays it out
  void *w, *m, *v;
  const void* dw;
  long long size, first_block;
};

__device__ inline const Tensor& tensor_of(const Tensor* tensors, int count, int b) {
  int first = 0, last = count - 1;
  while (first < last) {
    int middle = (first + last + 1) / 2;
    if (tensors[middle].first_block <= b) first = middle;
    else last = middle - 1;
  }
  return tensors[first];
}

// Calls f(i) for the elements of this block's chunk of a tensor.
template <class F>
__device__ void for_chunk(const Tensor& tensor, F f) {
  long long start = (blockIdx.x - tensor.first_block) * CHUNK;
  long long end = min(start + CHUNK, tensor.size);
  for (long long i = start + threadIdx.x; i < end; i += blockDim.x) f(i);
}

// settings: lr, momentum, 1 - dampening, weight_decay. v = momentum v + gain g;   w -= lr v   (nesterov: g + momentum v)
template <class T, bool MOMENTUM, bool NESTEROV>
__global__ void sgd_step(const double* settings, const long long* tensors, int count, const bool* go) {
  if (go && !*go) return;
  const Tensor& tensor = tensor_of(reinterpret_cast<const Tensor*>(tensors), count, blockIdx.x);
  T lr = settings[0], momentum = settings[1], gain = settings[2], weight_decay = settings[3];
  T *w = static_cast<T*>(tensor.w), *v = static_cast<T*>(tensor.v);
  const T* dw = static_cast<const T*>(tensor.dw);
  for_chunk(tensor, [=](long long i) {
    T g = dw[i] + weight_decay * w[i];
    if constexpr (MOMENTUM) {
      T velocity = momentum * v[i] + gain * g;
      v[i] = velocity;
      g = NESTEROV ? g + momentum * velocity : velocity;
    }
    w[i] -= lr * g;
  });
}

// settings: beta1, 1 - beta1, beta2, 1 - beta2, shrink, l2, 1 / sqrt(1 - beta2^t), lr / (1 - beta1^t), eps
template <class T>
__global__ void adam_step(const double* settings, const long long* tensors, int count, const bool* go) {
  if (go && !*go) return;
  const Tensor& tensor = tensor_of(reinterpret_cast<const Tensor*>(tensors), count, blockIdx.x);
  T beta1 = settings[0], gain1 = settings[1], beta2 = settings[2], gain2 = settings[3], shrink = settings[4];
  T l2 = settings[5], unbias = settings[6], lr = settings[7], eps = settings[8];
  T *w = static_cast<T*>(tensor.w), *m = static_cast<T*>(tensor.m), *v = static_cast<T*>(tensor.v);
  const T* dw = static_cast<const T*>(tensor.dw);
  for_chunk(tensor, [=](long long i) {
    T weight = w[i] * shrink;
    T g = dw[i] + l2 * weight;
    T mean = beta1 * m[i] + gain1 * g;
    T square = beta2 * v[i] + gain2 * g * g;
    m[i] = mean;
    v[i] = square;
    w[i] = weight - lr * mean / (sqrt(square) * unbias + eps);
  });
}

// settings: factor. w *= factor; finite becomes 0 if a result is not (all threads that write it write the same).
template <class T>
__global__ void scale_all(const double* settings, const long long* tensors, int count, unsigned char* finite) {
  const Tensor& tensor = tensor_of(reinterpret_cast<const Tensor*>(tensors), count, blockIdx.x);
  T factor = settings[0], *w = static_cast<T*>(tensor.w);
  for_chunk(tensor, [=](long long i) {
    w[i] *= factor;
    if (w[i] - w[i] != 0) *finite = 0;
  });
}

// sums[b]: the squares of the gradients of this block's chunk, always added up in the same order.
template <class T>
__global__ void square_sums(const long long* tensors, int count, double* sums) {
  __shared__ double warps[32];
  const Tensor& tensor = tensor_of(reinterpret_cast<const Tensor*>(tensors), count, blockIdx.x);
  const T* dw = static_cast<const T*>(tensor.dw);
  double sum = 0;
  for_chunk(tensor, [&](long long i) {
    double g = dw[i];
    sum += g * g;
  });
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x) return;
  for (int i = 1; i < blockDim.x / 32; i++) sum += warps[i];
  sums[blockIdx.x] = sum;
}
