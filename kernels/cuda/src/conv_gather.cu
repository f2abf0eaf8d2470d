// The forward pass and the input gradient of convolution as one matrix product ("implicit GEMM"):
//
//     A[m, k] = what output pixel m reads through tap and channel k      B[k, n] = weight of tap and channel k, filter n
//
// A exists only tile by tile, in shared memory. The input gradient is the same kernel over dy, with packed weights; one
// launch for each phase of the stride (conv.py).
#include "conv.cuh"

// Rows of A: ROWS output pixels from m0 on. A thread copies one chunk of BYTES of every PER_PASS-th row.
template <int BYTES, int ROWS, int ROW_BYTES>
struct GatherRows {
  static constexpr int CHUNKS = STEP_BYTES / BYTES, PER_PASS = THREADS / CHUNKS, PASSES = ROWS / PER_PASS;
  const Geometry& g;
  const char* image[PASSES];
  int row[PASSES], column[PASSES];
  int tap_row, tap_column, c, depth;  // where in k: the tap, and the byte in its channels

  __device__ GatherRows(const Geometry& g, const char* x, int m0, int depth, int k) : g(g), depth(depth) {
    k += threadIdx.x % CHUNKS * BYTES;
    int tap = k / depth;
    tap_row = tap / g.tap_columns, tap_column = tap % g.tap_columns, c = k % depth;
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
      int m = m0 + threadIdx.x / CHUNKS + i * PER_PASS;
      bool exists = m < g.pixels();
      Pixel pixel = Pixel::number(g, exists ? m : 0);
      image[i] = x + pixel.image * g.x_image;
      row[i] = exists ? pixel.row * g.stride_rows + g.first_row : -(1 << 30);
      column[i] = pixel.column * g.stride_columns + g.first_column;
    }
  }

  __device__ void fetch(char* tile) {
    char* to = tile + threadIdx.x / CHUNKS * ROW_BYTES + threadIdx.x % CHUNKS * BYTES;
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
      int h = row[i] + tap_row * g.step_row, w = column[i] + tap_column * g.step_column;
      bool valid = tap_row < g.tap_rows && inside(g, h, w);
      const char* from = valid ? image[i] + h * g.x_row + w * g.x_pixel + c : image[i];
      cp_async<BYTES>(to + i * PER_PASS * ROW_BYTES, from, valid);
    }
    c += STEP_BYTES;
    while (c >= depth) {
      c -= depth;
      if (++tap_column == g.tap_columns) tap_column = 0, tap_row++;
    }
  }
};

// Columns of B: filters n0 .. n0 + ROWS, each `length` bytes in a row.
template <int BYTES, int ROWS, int ROW_BYTES>
struct FilterRows {
  static constexpr int CHUNKS = STEP_BYTES / BYTES, PER_PASS = THREADS / CHUNKS, PASSES = ROWS / PER_PASS;
  const char* w;
  int n, count, length, k;

  __device__ FilterRows(const char* w, int n0, int count, int length, int k)
      : w(w), n(n0 + threadIdx.x / CHUNKS), count(count), length(length), k(k + threadIdx.x % CHUNKS * BYTES) {}

  __device__ void fetch(char* tile) {
    char* to = tile + threadIdx.x / CHUNKS * ROW_BYTES + threadIdx.x % CHUNKS * BYTES;
#pragma unroll
    for (int i = 0; i < PASSES; i++) {
      bool valid = n + i * PER_PASS < count && k < length;
      const char* from = valid ? w + static_cast<long long>(n + i * PER_PASS) * length + k : w;
      cp_async<BYTES>(to + i * PER_PASS * ROW_BYTES, from, valid);
    }
    k += STEP_BYTES;
  }
};

// Where the block's sums go: to y with bias and ReLU, or as they are to this split's part of `partial`.
template <class T>
struct GatherStore {
  using C = Compute<T>;
  struct Row {
    T* y;
    C* partial;
  };
  const Geometry& g;
  const T* bias;
  T* y;
  C* partial;
  int m0, n0;

  __device__ Row row(int m) const {
    m += m0;
    if (m >= g.pixels()) return {nullptr, nullptr};
    if (partial) return {nullptr, partial + static_cast<long long>(m) * g.channels};
    return {y + Pixel::number(g, m).offset_in_y(g), nullptr};
  }
  __device__ C finished(int n, C sum) const {
    C value = bias ? sum + static_cast<C>(bias[n]) : sum;
    return g.relu && value < 0 ? C(0) : value;
  }
  __device__ void one(Row to, int n, C sum) const {
    n += n0;
    if (n >= g.channels) return;
    if (to.partial) to.partial[n] = sum;
    if (to.y) to.y[n] = static_cast<T>(finished(n, sum));
  }
  __device__ void pair(Row to, int n, C first, C second) const {
    n += n0;
    if (n >= g.channels) return;
    bool both = n + 1 < g.channels;
    if (to.partial) store_pair(to.partial + n, g.channels % 2 == 0, both, first, second);
    if (to.y) store_pair(to.y + n, g.pairs, both, finished(n, first), both ? finished(n + 1, second) : C(0));
  }
};

// y (images, rows, columns, groups * channels) from x and w (groups, channels, taps, depth). A block makes a tile of
// BM pixels x BN filters; blockIdx.y is the group, blockIdx.z the split of the sum. BYTES divides the address of every
// pixel and filter, and depth * sizeof(T). partial: (splits, groups, pixels, channels) where splits > 1, else null.
template <class T, bool TENSOR, int BM, int BN, int BYTES>
__global__ void __launch_bounds__(THREADS, sizeof(T) == 2 && BYTES < 16 ? 1 : RESIDENT)
conv_gather(Geometry g, const T* x, const T* w, const T* bias, T* y, Compute<T>* partial) {
  DYNAMIC_SHARED(char, shared);
  using TileA = Along<T, BM>;
  using TileB = Along<T, BN>;
  int across = (g.channels + BN - 1) / BN, group = blockIdx.y, split = blockIdx.z;
  int m0 = blockIdx.x / across * BM, n0 = blockIdx.x % across * BN;
  int depth = g.depth * sizeof(T), length = g.taps() * depth;
  int begin = split * g.steps_per_split, steps = (length + STEP_BYTES - 1) / STEP_BYTES - begin;
  if (steps > g.steps_per_split) steps = g.steps_per_split;

  const char* from_x = reinterpret_cast<const char*>(x) + static_cast<long long>(group) * depth;
  const char* from_w = reinterpret_cast<const char*>(w) + static_cast<long long>(group) * g.channels * length;
  GatherRows<BYTES, BM, TileA::ROW_BYTES> load_a(g, from_x, m0, depth, begin * STEP_BYTES);
  FilterRows<BYTES, BN, TileB::ROW_BYTES> load_b(from_w, n0, g.channels, length, begin * STEP_BYTES);
  typename SumsOf<T, TENSOR, BM, BN>::type sums;
  multiply_tiles<TileA, TileB>(shared, steps, load_a, load_b, sums);

  if (partial) partial += (static_cast<long long>(split) * g.groups + group) * g.pixels() * g.channels;
  int first = group * g.channels;
  sums.finish(GatherStore<T>{g, bias ? bias + first : nullptr, y + first, partial, m0, n0});
}

// y from the partial sums of conv_gather, added in order: the result doesn't depend on which block came first.
template <class T>
__global__ void conv_gather_sum(Geometry g, const Compute<T>* partial, const T* bias, T* y) {
  using C = Compute<T>;
  long long count = static_cast<long long>(g.pixels()) * g.channels, all = count * g.groups;
  long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += step) {
    int group = i / count, m = i % count / g.channels, n = i % g.channels;
    C sum = 0;
    for (int split = 0; split < g.splits; split++) sum += partial[split * all + i];
    GatherStore<T> store{g, bias ? bias + group * g.channels : nullptr, y + group * g.channels, nullptr, 0, 0};
    store.one(store.row(m), n, sum);
  }
}

// Weights for the input gradient: packed (groups, C, tap rows, tap columns, depth >= K) from w (groups, K, R, S, C), for the
// taps r = first_row + i step_row, s = first_column + j step_column. One block for 32 x 32 of (K, C) at one tap.
template <class T>
__global__ void conv_pack(const T* w, T* packed, int filters, int depth, int height, int width, int channels,
                          int tap_rows, int tap_columns, int first_row, int first_column, int step_row, int step_column) {
  __shared__ T tile[32][33];
  int taps = tap_rows * tap_columns, tap = blockIdx.z % taps;
  long long group = blockIdx.z / taps;
  int r = first_row + tap / tap_columns * step_row, s = first_column + tap % tap_columns * step_column;
  int k0 = blockIdx.x * 32, c0 = blockIdx.y * 32;
  for (int i = threadIdx.y; i < 32; i += blockDim.y) {
    int k = k0 + i, c = c0 + threadIdx.x;
    if (k < filters && c < channels)
      tile[i][threadIdx.x] = w[(((group * filters + k) * height + r) * width + s) * channels + c];
  }
  __syncthreads();
  for (int i = threadIdx.y; i < 32; i += blockDim.y) {
    int c = c0 + i, k = k0 + threadIdx.x;
    if (k < filters && c < channels) packed[((group * channels + c) * taps + tap) * depth + k] = tile[threadIdx.x][i];
  }
}
