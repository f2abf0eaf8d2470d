// Small kernels that use what the emulator must get right, and the same with faults planted (-D...).
#include "ptx.cuh"
#include "types.cuh"

#ifdef NO_BARRIER
#define BARRIER()
#else
#define BARRIER() __syncthreads()
#endif
#ifdef NO_WAIT
#define WAIT()
#else
#define WAIT() cp_async_wait<0>()
#endif

// y[i] = x[n - 1 - i] within each block, through shared memory
template <class T, int THREADS>
__global__ void reverse(const T* x, T* y, int n) {
  __shared__ T tile[THREADS];
  int i = blockIdx.x * THREADS + threadIdx.x;
  if (i < n) tile[threadIdx.x] = x[i];
  BARRIER();
  int last = min(THREADS, n - static_cast<int>(blockIdx.x) * THREADS) - 1;
  if (i < n) y[i] = tile[last - threadIdx.x];
}

// Sums of all elements of each block: shuffles within warps, shared memory between them
__global__ void block_sum(const float* x, float* sums, int n) {
  __shared__ float parts[32];
  float v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += x[i];
  for (int d = 16; d; d /= 2) v += __shfl_down_sync(~0u, v, d);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  BARRIER();
  if (threadIdx.x < 32) {
    v = threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0;
    for (int d = 16; d; d /= 2) v += __shfl_xor_sync(~0u, v, d);
    if (threadIdx.x == 0) sums[blockIdx.x] = v;
  }
}

__global__ void histogram(const int* x, int* counts, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(&counts[x[i]], 1);
}

// Neighbours in a warp swap values through shared memory
__global__ void swap_in_warp(const float* x, float* y) {
  __shared__ float lanes[32];
  lanes[threadIdx.x] = x[threadIdx.x];
#ifndef NO_BARRIER
  __syncwarp();
#endif
  y[threadIdx.x] = lanes[threadIdx.x ^ 1];
}

inline __device__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __half) {
  mma_f16(d, a, b);
}
inline __device__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __nv_bfloat16) {
  mma_bf16(d, a, b);
}

// C = A B with one warp for each 16x8 tile; A (M, K), B (K, N) of 16-bit elements, M, N, K multiples of 16, 8, 16
template <class T>
__global__ void matmul_16bit(const T* a, const T* b, float* c, int n, int k) {
  DYNAMIC_SHARED(T, shared);
  T *a_tile = shared, *b_tile = shared + 16 * 24;  // rows of A's tile are 24 apart
  int l = threadIdx.x, row = blockIdx.y * 16, column = blockIdx.x * 8;
  float d[4] = {0, 0, 0, 0};
  for (int k0 = 0; k0 < k; k0 += 16) {
    cp_async<16>(&a_tile[l / 2 * 24 + l % 2 * 8], &a[(row + l / 2) * k + k0 + l % 2 * 8]);
    if (l < 16) cp_async<16>(&b_tile[l * 8], &b[(k0 + l) * n + column]);
    cp_async_commit();
    WAIT();
    __syncwarp();
    unsigned a_fragment[4], b_fragment[2];
    ldmatrix_x4(a_fragment, &a_tile[l % 16 * 24 + l / 16 * 8]);
    ldmatrix_x2_trans(b_fragment, &b_tile[l % 16 * 8]);
    multiply(d, a_fragment, b_fragment, T());
    __syncwarp();
  }
  for (int q = 0; q < 4; q++) c[(row + l / 4 + q / 2 * 8) * n + column + l % 4 * 2 + q % 2] = d[q];
}

// The same in TF32 for one 16x8 tile, operands straight from memory: A (16, 8), B (8, 8)
__global__ void matmul_tf32(const float* a, const float* b, float* c) {
  int g = threadIdx.x / 4, t = threadIdx.x % 4;
  unsigned a_fragment[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                            to_tf32(a[(g + 8) * 8 + t + 4])};
  unsigned b_fragment[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float d[4] = {0, 0, 0, 0};
  mma_tf32(d, a_fragment, b_fragment);
  for (int q = 0; q < 4; q++) c[(g + q / 2 * 8) * 8 + 2 * t + q % 2] = d[q];
}

// cp.async of 4, 8 and 16 bytes; what is not valid becomes zeros
template <int BYTES>
__global__ void copy_valid(const float* x, float* y, int n) {
  constexpr int N = BYTES / 4;
  __shared__ float tile[32 * N];
  int i = threadIdx.x * N;
  cp_async<BYTES>(&tile[i], i < n ? &x[i] : x, i < n);
  cp_async_commit();
  WAIT();
  for (int j = 0; j < N; j++) y[i + j] = tile[i + j];
}

// Faults

__global__ void half_at_barrier(float* x) {
  if (threadIdx.x < 32) __syncthreads();
  x[threadIdx.x] = 1;
}
__global__ void two_barriers(float* x) {
  if (threadIdx.x < 32) __syncthreads();
  else
    __syncthreads();
  x[threadIdx.x] = 1;
}
__global__ void absent_lanes(float* x) {
  float v = x[threadIdx.x];
  if (threadIdx.x < 16) v = __shfl_down_sync(~0u, v, 1);
  x[threadIdx.x] = v;
}
__global__ void uninvited_lane(float* x) { x[threadIdx.x] = __shfl_sync(0xFFFFu, x[threadIdx.x], 0); }
__global__ void write_beyond(float* x, int n) { x[n + static_cast<int>(threadIdx.x)] = 1; }
__global__ void shared_beyond(float* x) {
  __shared__ float tile[32];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = tile[threadIdx.x + 1];
}
__global__ void misaligned_copy(const float* x, float* y) {
  __shared__ float tile[64];
  cp_async<16>(&tile[4 * (threadIdx.x % 8)], &x[1]);
  cp_async_commit();
  cp_async_wait<0>();
  y[threadIdx.x] = tile[0];
}
__global__ void misaligned_load(const float* x, float* y, int first) {
  Pack<float, 4> four = *reinterpret_cast<const Pack<float, 4>*>(x + first);
  y[threadIdx.x] = four.at[threadIdx.x % 4];
}
