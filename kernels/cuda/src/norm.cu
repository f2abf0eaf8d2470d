// Batch normalisation and local response normalisation. x (rows, C), as are dy, y and dx; statistics, gamma and beta
// (C,) in the compute type. Sums over the rows take two steps: each block writes those of its rows, then the block that
// comes last adds all of them, in their order and in double. Which block that is makes no difference to the sum.
#include "columns.cuh"

constexpr int SAMPLES = 8;  // rows from which the pivot is taken
constexpr int THREADS = 256;

template <class C>
__device__ C reciprocal_root(C var, C eps) {
  return 1 / sqrt(var + eps);
}

// What normalisation does to N channels: xhat gamma + beta = x scale + shift.
template <class C, int N>
struct Normal {
  C scale[N], shift[N], mean[N];
  bool relu;

  __device__ Normal(const C* gamma, const C* beta, const C* means, const C* var, int column, C eps, bool relu)
      : relu(relu) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      scale[i] = gamma[column + i] * reciprocal_root(var[column + i], eps);
      mean[i] = means[column + i];
      shift[i] = beta[column + i] - mean[i] * scale[i];
    }
  }
  __device__ C apply(C x, int i) const {
    C z = x * scale[i] + shift[i];
    return relu && z < 0 ? C(0) : z;
  }
  __device__ C gradient(C dy, C x, int i) const { return relu && x * scale[i] + shift[i] <= 0 ? C(0) : dy; }
};

// Roughly the mean of a column, so that sums of squares about it cancel nothing; 0 where that is not finite.
template <class T>
__device__ Compute<T> pivot_of(Matrix<const T> x, long long rows, int column) {
  Compute<T> sum = 0;
  for (int i = 0; i < SAMPLES; i++) sum += static_cast<Compute<T>>(*x.at(rows * i / SAMPLES, column));
  return sum - sum == 0 ? sum / SAMPLES : Compute<T>(0);
}

// Writes the block's sums of two quantities for each channel: partial (blocks of rows, 2, C). f(row, sums) adds a row's.
template <class T, bool WIDE, class F>
__device__ void write_sums(long long rows, int columns, Compute<T>* partial, F f) {
  constexpr int N = LANES<T, WIDE>;
  __shared__ Compute<T> shared[THREADS];
  Compute<T> sums[2][N] = {};
  int column = first_column<T, WIDE>();
  if (column < columns) for_rows(rows, [&](long long row) { f(row, sums); });
#pragma unroll
  for (int q = 0; q < 2; q++)
#pragma unroll
    for (int i = 0; i < N; i++) {
      Compute<T> total = sum_over_rows(sums[q][i], shared);
      if (threadIdx.y == 0 && column < columns) partial[(2ll * blockIdx.y + q) * columns + column + i] = total;
    }
}

// What write_sums' blocks wrote, added up: for the thread with threadIdx.y = 0, the two sums of its channels.
template <int N, class C>
__device__ void add_parts(const C* partial, int columns, int column, double (&sums)[2][N]) {
  __shared__ double shared[THREADS];
  if (column < columns)
#pragma unroll 4
    for (int b = threadIdx.y; b < gridDim.y; b += blockDim.y)
#pragma unroll
      for (int q = 0; q < 2; q++) {
        auto part = load_written<N>(partial + (2ll * b + q) * columns + column);
#pragma unroll
        for (int i = 0; i < N; i++) sums[q][i] += part.at[i];
      }
#pragma unroll
  for (int q = 0; q < 2; q++)
#pragma unroll
    for (int i = 0; i < N; i++) sums[q][i] = sum_over_rows(sums[q][i], shared);
}

// Mean and biased variance (or the sum over rows and nothing, where `sum` is not null), from the sums of x - pivot and
// of its square.
template <class T, bool WIDE>
__global__ void moments(long long rows, int columns, const T* x, long long x_step, Compute<T>* partial,
                        unsigned* counts, Compute<T>* mean, Compute<T>* var, Compute<T>* sum) {
  constexpr int N = LANES<T, WIDE>;
  Matrix<const T> from{x, x_step};
  int column = first_column<T, WIDE>();
  Compute<T> about[N] = {};
  if (column < columns)
    for (int i = 0; i < N; i++) about[i] = pivot_of(from, rows, column + i);
  write_sums<T, WIDE>(rows, columns, partial, [&](long long row, Compute<T> (&sums)[2][N]) {
    auto values = load<N>(from.at(row, column));
#pragma unroll
    for (int i = 0; i < N; i++) {
      Compute<T> d = values.at[i] - about[i];
      sums[0][i] += d;
      sums[1][i] += d * d;
    }
  });
  if (!is_last_block(counts)) return;
  double sums[2][N] = {};
  add_parts(partial, columns, column, sums);
  if (threadIdx.y || column >= columns) return;
  for (int i = 0; i < N; i++) {
    double center = about[i], offset = sums[0][i] / rows, square = sums[1][i] / rows - offset * offset;
    if (sum) {
      sum[column + i] = sums[0][i] + center * rows;
    } else {
      mean[column + i] = center + offset;
      var[column + i] = square < 0 ? 0 : square;
    }
  }
}

// dbeta and dgamma, from the sums of dy and of dy (x - mean), with dy = 0 where the forward pass cut off. Where y is not
// null, it gets what the forward pass made of x, for who needs it again.
template <class T, bool WIDE>
__global__ void gradient_sums(long long rows, int columns, const T* dy, long long dy_step, const T* x, long long x_step,
                              const Compute<T>* gamma, const Compute<T>* beta, const Compute<T>* mean,
                              const Compute<T>* var, Compute<T> eps, int relu, Compute<T>* partial, unsigned* counts,
                              Compute<T>* dgamma, Compute<T>* dbeta, T* y, long long y_step) {
  constexpr int N = LANES<T, WIDE>;
  int column = first_column<T, WIDE>();
  Normal<Compute<T>, N> normal(gamma, beta, mean, var, column < columns ? column : 0, eps, relu);
  write_sums<T, WIDE>(rows, columns, partial, [&](long long row, Compute<T> (&sums)[2][N]) {
    auto gradients = load<N>(dy + row * dy_step + column), values = load<N>(x + row * x_step + column);
#pragma unroll
    for (int i = 0; i < N; i++) {
      Compute<T> d = normal.gradient(gradients.at[i], values.at[i], i);
      sums[0][i] += d;
      sums[1][i] += d * (values.at[i] - normal.mean[i]);
      values.at[i] = normal.apply(values.at[i], i);
    }
    if (y) store<N>(y + row * y_step + column, values);
  });
  if (!is_last_block(counts)) return;
  double sums[2][N] = {};
  add_parts(partial, columns, column, sums);
  if (threadIdx.y || column >= columns) return;
  for (int i = 0; i < N; i++) {
    dbeta[column + i] = sums[0][i];
    dgamma[column + i] = sums[1][i] / sqrt(static_cast<double>(var[column + i]) + static_cast<double>(eps));
  }
}

// y = gamma xhat + beta, or the larger of that and 0
template <class T, bool WIDE>
__global__ void normalise(long long rows, int columns, const T* x, long long x_step, const Compute<T>* gamma,
                          const Compute<T>* beta, const Compute<T>* mean, const Compute<T>* var, Compute<T> eps,
                          int relu, T* y, long long y_step) {
  constexpr int N = LANES<T, WIDE>;
  int column = first_column<T, WIDE>();
  if (column >= columns) return;
  Normal<Compute<T>, N> normal(gamma, beta, mean, var, column, eps, relu);
  for_rows(rows, [&](long long row) {
    auto values = load<N>(x + row * x_step + column);
#pragma unroll
    for (int i = 0; i < N; i++) values.at[i] = normal.apply(values.at[i], i);
    store<N>(y + row * y_step + column, values);
  });
}

// dx = scale (dy - (dbeta + xhat dgamma) / M), or that added to dx; M is infinite where the statistics are constants.
template <class T, bool WIDE>
__global__ void normalise_backward(long long rows, int columns, const T* dy, long long dy_step, const T* x,
                                   long long x_step, const Compute<T>* gamma, const Compute<T>* beta,
                                   const Compute<T>* mean, const Compute<T>* var, Compute<T> eps, int relu,
                                   const Compute<T>* dgamma, const Compute<T>* dbeta, Compute<T> m, int add,
                                   T* dx, long long dx_step) {
  using C = Compute<T>;
  constexpr int N = LANES<T, WIDE>;
  int column = first_column<T, WIDE>();
  if (column >= columns) return;
  Normal<C, N> normal(gamma, beta, mean, var, column, eps, relu);
  C slope[N], offset[N];
#pragma unroll
  for (int i = 0; i < N; i++) {
    slope[i] = -normal.scale[i] * reciprocal_root(var[column + i], eps) * dgamma[column + i] / m;
    offset[i] = -normal.scale[i] * dbeta[column + i] / m;
  }
  for_rows(rows, [&](long long row) {
    auto gradients = load<N>(dy + row * dy_step + column), values = load<N>(x + row * x_step + column);
    Pack<C, N> result = {};
    if (add) result = load<N>(dx + row * dx_step + column);
#pragma unroll
    for (int i = 0; i < N; i++) {
      C d = normal.gradient(gradients.at[i], values.at[i], i);
      result.at[i] += normal.scale[i] * d + (slope[i] * (values.at[i] - normal.mean[i]) + offset[i]);
    }
    store<N>(dx + row * dx_step + column, result);
  });
}

// ---- what is known of a channel, and flows through it

// y = g + slope (x - mean) + offset
template <class T, bool WIDE>
__global__ void through_moments(long long rows, int columns, const T* g, long long g_step, const T* x, long long x_step,
                                const Compute<T>* mean, const Compute<T>* slope, const Compute<T>* offset, T* y,
                                long long y_step) {
  constexpr int N = LANES<T, WIDE>;
  int column = first_column<T, WIDE>();
  if (column >= columns) return;
  Compute<T> center[N], rise[N], start[N];
#pragma unroll
  for (int i = 0; i < N; i++) center[i] = mean[column + i], rise[i] = slope[column + i], start[i] = offset[column + i];
  for_rows(rows, [&](long long row) {
    auto gradients = load<N>(g + row * g_step + column), values = load<N>(x + row * x_step + column);
#pragma unroll
    for (int i = 0; i < N; i++) gradients.at[i] += rise[i] * (values.at[i] - center[i]) + start[i];
    store<N>(y + row * y_step + column, gradients);
  });
}

// slope = -gamma rstd^2 dgamma / m, offset = -gamma rstd dbeta / m; or these added
template <class C>
__global__ void moments_line(int columns, const C* gamma, const C* var, C eps, const C* dgamma, const C* dbeta, C m,
                             C* slope, C* offset, int add) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= columns) return;
  C rstd = reciprocal_root(var[c], eps), scale = -gamma[c] * rstd / m;
  slope[c] = (add ? slope[c] : C(0)) + scale * rstd * dgamma[c];
  offset[c] = (add ? offset[c] : C(0)) + scale * dbeta[c];
}

// running = (1 - share) running + share batch, of up to MOST_NORMS norms: blockIdx.y is the norm's number.
constexpr int MOST_NORMS = 60;  // an argument of a kernel has at most 4 KiB

template <class C>
struct Move {  // as norm.py lays it out
  C *running_mean, *running_var;
  const C *mean, *var;
  const double* share_there;  // not null where a CUDA graph reads the share from memory
  double share, unbias;
  long long columns;
};

template <class C>
struct Moves {
  Move<C> of[MOST_NORMS];
};

template <class C>
__global__ void move_statistics(Moves<C> moves, const void* any) {
  const Move<C>& m = moves.of[blockIdx.y];
  double share = m.share_there ? *m.share_there : m.share;
  for (int c = blockIdx.x * blockDim.x + threadIdx.x; c < m.columns; c += gridDim.x * blockDim.x) {
    m.running_mean[c] = (1 - share) * m.running_mean[c] + share * m.mean[c];
    m.running_var[c] = (1 - share) * m.running_var[c] + share * (m.unbias * m.var[c]);
  }
}

// ---- local response normalisation, on contiguous arrays: a thread for each element

// f(i) summed over the channels c - before .. c - before + size - 1 of the pixel that element `i` belongs to.
template <class C, class F>
__device__ C window_sum(long long i, int channels, int size, int before, F f) {
  long long pixel = i / channels * channels;
  int c = i - pixel, first = max(c - before, 0), last = min(c - before + size, channels);
  C sum = 0;
  for (int j = first; j < last; j++) sum += f(pixel + j);
  return sum;
}

// d = k + alpha / size (sum of x^2 over the window), y = x / d^beta
template <class T>
__global__ void response_norm(long long count, int channels, const T* x, int size, Compute<T> scale, Compute<T> beta,
                              Compute<T> k, T* y, T* d) {
  using C = Compute<T>;
  long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    auto square = [=](long long j) { return static_cast<C>(x[j]) * static_cast<C>(x[j]); };
    C divisor = k + scale * window_sum<C>(i, channels, size, size / 2, square);
    d[i] = static_cast<T>(divisor);
    y[i] = static_cast<T>(static_cast<C>(x[i]) * pow(divisor, -beta));
  }
}

// dx = dy d^-beta - 2 scale beta x (sum over the windows that hold x of dy x d^(-beta - 1))
template <class T>
__global__ void response_norm_backward(long long count, int channels, const T* dy, const T* x, const T* d, int size,
                                       Compute<T> scale, Compute<T> beta, T* dx) {
  using C = Compute<T>;
  long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    auto through = [=](long long j) {
      return static_cast<C>(dy[j]) * static_cast<C>(x[j]) * pow(static_cast<C>(d[j]), -beta - 1);
    };
    C sum = window_sum<C>(i, channels, size, size - 1 - size / 2, through);
    dx[i] = static_cast<T>(static_cast<C>(dy[i]) * pow(static_cast<C>(d[i]), -beta) -
                           2 * scale * beta * static_cast<C>(x[i]) * sum);
  }
}
