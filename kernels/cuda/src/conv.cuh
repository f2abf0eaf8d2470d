// What the convolution kernels share: the geometry of a call, and the way of a thread through the output pixels.
#pragma once
#include "gemm.cuh"

// out[n, p, q, :] gathers x[n, p stride + first_row + i step_row, q stride + first_column + j step_column, :] for the
// taps i < tap_rows, j < tap_columns. Pixels outside the image count as zero. (conv.py fills this in; steps of x in
// bytes, of y in elements.)
struct Geometry {
  long long x_image, x_row, x_pixel, y_image, y_row, y_pixel;
  int images, rows, columns, height, width, stride_rows, stride_columns;
  int tap_rows, tap_columns, first_row, first_column, step_row, step_column;
  int depth, channels, groups, splits, steps_per_split, relu, pairs;  // channels: of the output, per group, as depth

  __device__ int pixels() const { return images * rows * columns; }
  __device__ int taps() const { return tap_rows * tap_columns; }
};

// An output pixel.
struct Pixel {
  int image, row, column;

  static __device__ Pixel number(const Geometry& g, int i) {
    return {i / g.columns / g.rows, i / g.columns % g.rows, i % g.columns};
  }
  __device__ void advance(const Geometry& g, int count) {
    column += count;
    while (column >= g.columns) {
      column -= g.columns;
      if (++row == g.rows) row = 0, image++;
    }
  }
  __device__ long long offset_in_y(const Geometry& g) const {
    return image * g.y_image + row * g.y_row + column * g.y_pixel;
  }
};

__device__ __forceinline__ bool inside(const Geometry& g, int h, int w) {
  return static_cast<unsigned>(h) < static_cast<unsigned>(g.height) &&
         static_cast<unsigned>(w) < static_cast<unsigned>(g.width);
}

// Two neighbouring results at once, where their address allows it.
template <class T, class V>
__device__ void store_pair(T* at, bool together, bool both, V first, V second) {
  if (together && both) {
    *reinterpret_cast<Pack<T, 2>*>(at) = {static_cast<T>(first), static_cast<T>(second)};
  } else {
    at[0] = static_cast<T>(first);
    if (both) at[1] = static_cast<T>(second);
  }
}
