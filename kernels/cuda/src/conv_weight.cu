// The weight gradient of convolution as a matrix product over all output pixels:
//
//     dw[k, (tap, c)] = sum over pixels m of dy[m, k] x[what m reads through the tap, c]
//
// Both operands lie across the sum: neighbours in memory are neighbours in k and in c. The sum is long and the result
// small, so it is split among blocks (splits); their parts are then added in order.
#include "conv.cuh"

// A thread's part of a tile that lies across: one chunk of BYTES in every PER_PASS-th of the step's pixels.
template <class T, int BYTES, int COUNT>
struct PixelRows {
  static constexpr int CHUNKS = COUNT * sizeof(T) / BYTES, PER_PASS = THREADS / CHUNKS, PASSES = DEPTH<T> / PER_PASS;
  const Geometry& g;
  Pixel pixel[PASSES];
  int number, end;

  __device__ PixelRows(const Geometry& g, int begin, int end)
      : g(g), number(begin + threadIdx.x / CHUNKS), end(end) {
#pragma unroll
    for (int i = 0; i < PASSES; i++) pixel[i] = Pixel::number(g, number + i * PER_PASS);
  }
  __device__ char* target(char* tile, int row_bytes) const {
    return tile + threadIdx.x / CHUNKS * row_bytes + threadIdx.x % CHUNKS * BYTES;
  }
  __device__ bool exists(int i) const { return number + i * PER_PASS < end; }
  __device__ void advance() {
    number += DEPTH<T>;
#pragma unroll
    for (int i = 0; i < PASSES; i++) pixel[i].advance(g, DEPTH<T>);
  }
};

// dy at COUNT filters from m0 on.
template <class T, int BYTES, int COUNT>
struct GradientColumns : PixelRows<T, BYTES, COUNT> {
  using Base = PixelRows<T, BYTES, COUNT>;
  const T* dy;
  bool exists;

  __device__ GradientColumns(const Geometry& g, const T* dy, int m0, int begin, int end) : Base(g, begin, end), dy(dy) {
    int filter = m0 + threadIdx.x % Base::CHUNKS * (BYTES / static_cast<int>(sizeof(T)));
    exists = filter < g.channels;
    if (exists) this->dy += filter;
  }
  __device__ void fetch(char* tile) {
    char* to = this->target(tile, Across<T, COUNT>::ROW_BYTES);
#pragma unroll
    for (int i = 0; i < Base::PASSES; i++) {
      bool valid = exists && Base::exists(i);
      const T* from = valid ? dy + this->pixel[i].offset_in_y(this->g) : dy;
      cp_async<BYTES>(to + i * Base::PER_PASS * Across<T, COUNT>::ROW_BYTES, from, valid);
    }
    this->advance();
  }
};

// x at COUNT columns (tap, c) from n0 on.
template <class T, int BYTES, int COUNT>
struct InputColumns : PixelRows<T, BYTES, COUNT> {
  using Base = PixelRows<T, BYTES, COUNT>;
  const char* x;
  int row, column;  // of the tap, against the first input of a pixel
  bool exists;

  __device__ InputColumns(const Geometry& g, const T* from, int n0, int begin, int end) : Base(g, begin, end) {
    int n = n0 + threadIdx.x % Base::CHUNKS * (BYTES / static_cast<int>(sizeof(T))), tap = n / g.depth;
    exists = tap < g.taps();
    row = g.first_row + tap / g.tap_columns * g.step_row;
    column = g.first_column + tap % g.tap_columns * g.step_column;
    x = reinterpret_cast<const char*>(exists ? from + n % g.depth : from);
  }
  __device__ void fetch(char* tile) {
    const Geometry& g = this->g;
    char* to = this->target(tile, Across<T, COUNT>::ROW_BYTES);
#pragma unroll
    for (int i = 0; i < Base::PASSES; i++) {
      const Pixel& at = this->pixel[i];
      int h = at.row * g.stride_rows + row, w = at.column * g.stride_columns + column;
      bool valid = exists && Base::exists(i) && inside(g, h, w);
      const char* from = valid ? x + at.image * g.x_image + h * g.x_row + w * g.x_pixel : x;
      cp_async<BYTES>(to + i * Base::PER_PASS * Across<T, COUNT>::ROW_BYTES, from, valid);
    }
    this->advance();
  }
};

// Rows of dw (or of this split's part of the sums), `length` = taps * depth numbers each.
template <class C>
struct WeightStore {
  C* dw;
  int m0, n0, rows, length;

  __device__ C* row(int m) const { return m0 + m < rows ? dw + static_cast<long long>(m0 + m) * length : nullptr; }
  __device__ void one(C* to, int n, C sum) const {
    if (to && n0 + n < length) to[n0 + n] = sum;
  }
  __device__ void pair(C* to, int n, C first, C second) const {
    if (to && n0 + n < length) store_pair(to + n0 + n, length % 2 == 0, n0 + n + 1 < length, first, second);
  }
};

// dw (groups, channels, taps, depth) from dy (the geometry's output) and x. A block makes BM filters x BN columns from
// the pixels of its split; blockIdx.y is the group, blockIdx.z the split. partial: (splits, as dw) or null.
template <class T, bool TENSOR, int BM, int BN, int BYTES>
__global__ void __launch_bounds__(THREADS, RESIDENT) conv_weight(Geometry g, const T* dy, const T* x,
                                                       Compute<T>* dw, Compute<T>* partial) {
  DYNAMIC_SHARED(char, shared);
  using TileA = Across<T, BM>;
  using TileB = Across<T, BN>;
  int length = g.taps() * g.depth, across = (length + BN - 1) / BN, group = blockIdx.y, split = blockIdx.z;
  int m0 = blockIdx.x / across * BM, n0 = blockIdx.x % across * BN;
  int begin = split * g.steps_per_split * DEPTH<T>, end = begin + g.steps_per_split * DEPTH<T>;
  if (end > g.pixels()) end = g.pixels();

  GradientColumns<T, BYTES, BM> load_a(g, dy + group * g.channels, m0, begin, end);
  InputColumns<T, BYTES, BN> load_b(g, x + group * g.depth, n0, begin, end);
  typename SumsOf<T, TENSOR, BM, BN>::type sums;
  multiply_tiles<TileA, TileB>(shared, (end - begin + DEPTH<T> - 1) / DEPTH<T>, load_a, load_b, sums);

  long long size = static_cast<long long>(g.channels) * length;
  Compute<T>* to = partial ? partial + (split * g.groups + group) * size : dw + group * size;
  sums.finish(WeightStore<Compute<T>>{to, m0, n0, g.channels, length});
}

// dw from its parts, added in order.
template <class C>
__global__ void conv_weight_sum(const C* partial, C* dw, long long size, int splits) {
  long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += step) {
    C sum = 0;
    for (int split = 0; split < splits; split++) sum += partial[split * size + i];
    dw[i] = sum;
  }
}
