// The end of a layer that is a matrix product: y (rows, C) = y + bias, or the larger of that and 0.
#include "columns.cuh"

template <class T, bool WIDE>
__global__ void add_bias(long long rows, int columns, const T* bias, int relu, T* y) {
  using C = Compute<T>;
  constexpr int N = LANES<T, WIDE>;
  int column = first_column<T, WIDE>();
  if (column >= columns) return;
  auto added = bias ? load<N>(bias + column) : Pack<C, N>{};
  for_rows(rows, [&](long long row) {
    auto values = load<N>(y + row * columns + column);
#pragma unroll
    for (int i = 0; i < N; i++) {
      C value = values.at[i] + added.at[i];
      values.at[i] = relu && value < 0 ? C(0) : value;
    }
    store<N>(y + row * columns + column, values);
  });
}
