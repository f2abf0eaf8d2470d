// Batch normalisation and local response normalisation. x (rows, C), as are dy, y and dx; statistics, gamma and beta
// (C,) in the compute type. Sums over the rows take two steps: each block writes those of its rows, then one block for
// every 32 channels adds these in order and in double.
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

// Sums of x - pivot and of its square. pivot (C,) is written, too.
template <class T, bool WIDE>
__global__ void moment_sums(long long rows, int columns, const T* x, long long x_step, Compute<T>* pivot,
                            Compute<T>* partial) {
  constexpr int N = LANES<T, WIDE>;
  Matrix<const T> from{x, x_step};
  int column = first_column<T, WIDE>();
  Compute<T> about[N] = {};
  if (column < columns)
    for (int i = 0; i < N; i++) {
      about[i] = pivot_of(from, rows, column + i);
      if (blockIdx.y == 0 && threadIdx.y == 0) pivot[column + i] = about[i];
    }
  write_sums<T, WIDE>(rows, columns, partial, [&](long long row, Compute<T> (&sums)[2][N]) {
    auto values = load<N>(from.at(row, column));
#pragma unroll
    for (int i = 0; i < N; i++) {
      Compute<T> d = values.at[i] - about[i];
      sums[0][i] += d;
      sums[1][i] += d * d;
    }
  });
}

// Sums of dy and of dy (x - mean), with dy = 0 where the forward pass cut off.
template <class T, bool WIDE>
__global__ void gradient_sums(long long rows, int columns, const T* dy, long long dy_step, const T* x, long long x_step,
                              const Compute<T>* gamma, const Compute<T>* beta, const Compute<T>* mean,
                              const Compute<T>* var, Compute<T> eps, int relu, Compute<T>* partial) {
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
    }
  });
}

// The column's two sums, from the parts of `blocks` blocks: 32 columns to a block of 32 x 8 threads.
template <class C>
__device__ void add_parts(const C* partial, int blocks, int columns, int column, double (&sums)[2], double* shared) {
  for (int q = 0; q < 2; q++) {
    double sum = 0;
    if (column < columns)
      for (int b = threadIdx.y; b < blocks; b += blockDim.y) sum += partial[(2ll * b + q) * columns + column];
    sums[q] = sum_over_rows(sum, shared);
  }
}

// mean and biased variance (or sum and nothing, where `sum` is not null) from moment_sums.
template <class C>
__global__ void finish_moments(const C* partial, int blocks, int columns, double rows, const C* pivot, C* mean, C* var,
                               C* sum) {
  __shared__ double shared[THREADS];
  int column = blockIdx.x * blockDim.x + threadIdx.x;
  double sums[2];
  add_parts(partial, blocks, columns, column, sums, shared);
  if (threadIdx.y || column >= columns) return;
  double offset = sums[0] / rows, center = pivot[column];
  if (sum) {
    sum[column] = sums[0] + center * rows;
  } else {
    mean[column] = center + offset;
    double square = sums[1] / rows - offset * offset;
    var[column] = square < 0 ? 0 : square;
  }
}

// dbeta and dgamma from gradient_sums.
template <class C>
__global__ void finish_gradients(const C* partial, int blocks, int columns, const C* var, C eps, C* dgamma, C* dbeta) {
  __shared__ double shared[THREADS];
  int column = blockIdx.x * blockDim.x + threadIdx.x;
  double sums[2];
  add_parts(partial, blocks, columns, column, sums, shared);
  if (threadIdx.y || column >= columns) return;
  dbeta[column] = sums[0];
  dgamma[column] = sums[1] / sqrt(static_cast<double>(var[column]) + static_cast<double>(eps));
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

// dx = scale (dy - (dbeta + xhat dgamma) / M); M is infinite where the statistics are constants.
template <class T, bool WIDE>
__global__ void normalise_backward(long long rows, int columns, const T* dy, long long dy_step, const T* x,
                                   long long x_step, const Compute<T>* gamma, const Compute<T>* beta,
                                   const Compute<T>* mean, const Compute<T>* var, Compute<T> eps, int relu,
                                   const Compute<T>* dgamma, const Compute<T>* dbeta, Compute<T> m, T* dx,
                                   long long dx_step) {
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
    Pack<C, N> result;
#pragma unroll
    for (int i = 0; i < N; i++) {
      C d = normal.gradient(gradients.at[i], values.at[i], i);
      result.at[i] = normal.scale[i] * d + (slope[i] * (values.at[i] - normal.mean[i]) + offset[i]);
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

// running = (1 - share) running + share batch; share is read from memory where a CUDA graph wants it
template <class C>
__global__ void move_statistics(int columns, C* running_mean, C* running_var, const C* mean, const C* var,
                                const double* share_there, double share, double unbias) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= columns) return;
  if (share_there) share = *share_there;
  running_mean[c] = (1 - share) * running_mean[c] + share * mean[c];
  running_var[c] = (1 - share) * running_var[c] + share * (unbias * var[c]);
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
