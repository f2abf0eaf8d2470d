// Pooling over windows, on contiguous arrays x (N, H, W, C) and y (N, P, Q, C). A thread makes one pixel of the result at
// LANES neighbouring channels; the backward passes gather, too, so that nothing is added by two threads.
#include "columns.cuh"

struct Windows {
  int images, height, width, channels, rows, columns;  // of x, and the windows along both axes
  int size_rows, size_columns, stride_rows, stride_columns, padding_rows, padding_columns;
  int dilation_rows, dilation_columns, count_include_pad;
};

// Where a thread works: pixel (image, row, column) of an image of rows x columns, and its first channel.
struct Place {
  int image, row, column, channel;

  __device__ Place(long long i, int rows, int columns, int packs, int lanes) {
    channel = i % packs * lanes;
    long long pixel = i / packs;
    column = pixel % columns;
    row = pixel / columns % rows;
    image = pixel / columns / rows;
  }
};

__device__ inline long long offset(int image, int row, int column, int channel, int rows, int columns, int channels) {
  return ((static_cast<long long>(image) * rows + row) * columns + column) * channels + channel;
}

// f(place) for the pixels and channels of this thread.
template <int N, class F>
__device__ void for_places(int images, int rows, int columns, int channels, F f) {
  int packs = channels / N;
  long long count = static_cast<long long>(images) * rows * columns * packs;
  long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    f(Place(i, rows, columns, packs, N));
}

// f(r, s, h, w): the taps of the window at output (p, q) that lie inside the image.
template <class F>
__device__ void for_taps(const Windows& g, int p, int q, F f) {
  for (int r = 0; r < g.size_rows; r++) {
    int h = p * g.stride_rows - g.padding_rows + r * g.dilation_rows;
    if (h < 0 || h >= g.height) continue;
    for (int s = 0; s < g.size_columns; s++) {
      int w = q * g.stride_columns - g.padding_columns + s * g.dilation_columns;
      if (w >= 0 && w < g.width) f(r, s, h, w);
    }
  }
}

// f(r, s, p, q): the windows (p, q) whose tap (r, s) reads pixel (h, w).
template <class F>
__device__ void for_windows(const Windows& g, int h, int w, F f) {
  for (int r = 0; r < g.size_rows; r++) {
    int down = h + g.padding_rows - r * g.dilation_rows, p = down / g.stride_rows;
    if (down < 0 || down % g.stride_rows || p >= g.rows) continue;
    for (int s = 0; s < g.size_columns; s++) {
      int right = w + g.padding_columns - s * g.dilation_columns, q = right / g.stride_columns;
      if (right >= 0 && right % g.stride_columns == 0 && q < g.columns) f(r, s, p, q);
    }
  }
}

// y, and for each output the number r S + s of the tap that won: the first of equals; NaN wins over everything.
template <class T, bool WIDE, class I>
__global__ void max_pool(Windows g, const T* x, T* y, I* winner) {
  using C = Compute<T>;
  constexpr int N = LANES<T, WIDE>;
  for_places<N>(g.images, g.rows, g.columns, g.channels, [&](Place at) {
    Pack<C, N> best;
    Pack<I, N> tap = {};
    for (int i = 0; i < N; i++) best.at[i] = __uint_as_float(0xff800000u);  // minus infinity
    for_taps(g, at.row, at.column, [&](int r, int s, int h, int w) {
      auto values = load<N>(x + offset(at.image, h, w, at.channel, g.height, g.width, g.channels));
#pragma unroll
      for (int i = 0; i < N; i++) {
        C value = values.at[i];
        bool better = value > best.at[i] || (value != value && best.at[i] == best.at[i]);
        if (better) best.at[i] = value, tap.at[i] = r * g.size_columns + s;
      }
    });
    long long to = offset(at.image, at.row, at.column, at.channel, g.rows, g.columns, g.channels);
    store<N>(y + to, best);
    *reinterpret_cast<Pack<I, N>*>(winner + to) = tap;
  });
}

// dx: what each pixel won.
template <class T, bool WIDE, class I>
__global__ void max_pool_backward(Windows g, const T* dy, const I* winner, T* dx) {
  constexpr int N = LANES<T, WIDE>;
  for_places<N>(g.images, g.height, g.width, g.channels, [&](Place at) {
    Pack<Compute<T>, N> total = {};
    for_windows(g, at.row, at.column, [&](int r, int s, int p, int q) {
      long long from = offset(at.image, p, q, at.channel, g.rows, g.columns, g.channels);
      auto gradients = load<N>(dy + from);
      auto taps = *reinterpret_cast<const Pack<I, N>*>(winner + from);
#pragma unroll
      for (int i = 0; i < N; i++)
        if (taps.at[i] == r * g.size_columns + s) total.at[i] += gradients.at[i];
    });
    store<N>(dx + offset(at.image, at.row, at.column, at.channel, g.height, g.width, g.channels), total);
  });
}

// Positions of a window along one axis that count: inside the image, or also in its padding.
__device__ inline int window_length(int p, int window, int stride, int padding, int size, bool include_pad) {
  int start = p * stride - padding, end = min(start + window, size + padding);
  return include_pad ? end - start : min(end, size) - max(start, 0);
}

template <class C>
__device__ C area(const Windows& g, int p, int q) {
  int down = window_length(p, g.size_rows, g.stride_rows, g.padding_rows, g.height, g.count_include_pad);
  int right = window_length(q, g.size_columns, g.stride_columns, g.padding_columns, g.width, g.count_include_pad);
  return static_cast<C>(down) * static_cast<C>(right);
}

// y: the mean of each window
template <class T, bool WIDE>
__global__ void avg_pool(Windows g, const T* x, T* y) {
  constexpr int N = LANES<T, WIDE>;
  for_places<N>(g.images, g.rows, g.columns, g.channels, [&](Place at) {
    Pack<Compute<T>, N> total = {};
    for_taps(g, at.row, at.column, [&](int, int, int h, int w) {
      auto values = load<N>(x + offset(at.image, h, w, at.channel, g.height, g.width, g.channels));
#pragma unroll
      for (int i = 0; i < N; i++) total.at[i] += values.at[i];
    });
    for (int i = 0; i < N; i++) total.at[i] /= area<Compute<T>>(g, at.row, at.column);
    store<N>(y + offset(at.image, at.row, at.column, at.channel, g.rows, g.columns, g.channels), total);
  });
}

// dx: the shares of all windows that read a pixel
template <class T, bool WIDE>
__global__ void avg_pool_backward(Windows g, const T* dy, T* dx) {
  constexpr int N = LANES<T, WIDE>;
  for_places<N>(g.images, g.height, g.width, g.channels, [&](Place at) {
    Pack<Compute<T>, N> total = {};
    for_windows(g, at.row, at.column, [&](int, int, int p, int q) {
      auto gradients = load<N>(dy + offset(at.image, p, q, at.channel, g.rows, g.columns, g.channels));
#pragma unroll
      for (int i = 0; i < N; i++) total.at[i] += gradients.at[i] / area<Compute<T>>(g, p, q);
    });
    store<N>(dx + offset(at.image, at.row, at.column, at.channel, g.height, g.width, g.channels), total);
  });
}

// ---- adaptive: window i of `count` over `size` positions goes from floor(i size / count) to ceil((i + 1) size / count)

__device__ inline int window_begin(int i, int size, int count) { return static_cast<long long>(i) * size / count; }
__device__ inline int window_end(int i, int size, int count) {
  return (static_cast<long long>(i + 1) * size + count - 1) / count;
}

template <class T, bool WIDE>
__global__ void adaptive_avg_pool(Windows g, const T* x, T* y) {
  constexpr int N = LANES<T, WIDE>;
  for_places<N>(g.images, g.rows, g.columns, g.channels, [&](Place at) {
    int top = window_begin(at.row, g.height, g.rows), bottom = window_end(at.row, g.height, g.rows);
    int left = window_begin(at.column, g.width, g.columns), right = window_end(at.column, g.width, g.columns);
    Pack<Compute<T>, N> total = {};
    for (int h = top; h < bottom; h++)
      for (int w = left; w < right; w++) {
        auto values = load<N>(x + offset(at.image, h, w, at.channel, g.height, g.width, g.channels));
#pragma unroll
        for (int i = 0; i < N; i++) total.at[i] += values.at[i];
      }
    for (int i = 0; i < N; i++) total.at[i] /= (bottom - top) * (right - left);
    store<N>(y + offset(at.image, at.row, at.column, at.channel, g.rows, g.columns, g.channels), total);
  });
}

// f(i, length) for the windows that hold a position.
template <class F>
__device__ void for_adaptive(int position, int size, int count, F f) {
  int i = static_cast<long long>(position) * count / size;  // the last that begins before position + 1, or one later
  while (i + 1 < count && window_begin(i + 1, size, count) <= position) i++;
  while (i > 0 && window_end(i - 1, size, count) > position) i--;
  for (; i < count && window_begin(i, size, count) <= position; i++)
    f(i, window_end(i, size, count) - window_begin(i, size, count));
}

template <class T, bool WIDE>
__global__ void adaptive_avg_pool_backward(Windows g, const T* dy, T* dx) {
  constexpr int N = LANES<T, WIDE>;
  for_places<N>(g.images, g.height, g.width, g.channels, [&](Place at) {
    Pack<Compute<T>, N> total = {};
    for_adaptive(at.row, g.height, g.rows, [&](int p, int down) {
      for_adaptive(at.column, g.width, g.columns, [&](int q, int right) {
        auto gradients = load<N>(dy + offset(at.image, p, q, at.channel, g.rows, g.columns, g.channels));
#pragma unroll
        for (int i = 0; i < N; i++) total.at[i] += gradients.at[i] / (down * right);
      });
    });
    store<N>(dx + offset(at.image, at.row, at.column, at.channel, g.height, g.width, g.channels), total);
  });
}
