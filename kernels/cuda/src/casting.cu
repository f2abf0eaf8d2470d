// float32 arrays in a 16-bit type: all weights of a net in a launch, or a few.
#include "types.cuh"

constexpr int CHUNK = 4096;      // elements of a block, as in casting.py
constexpr int MOST_CASTS = 120;  // an argument of a kernel has at most 4 KiB

struct Cast {  // as casting.py lays it out; the arrays' blocks follow one another
  void* to;
  const float* from;
  long long size, first_block;
};

struct Casts {
  Cast of[MOST_CASTS];
};

template <class T>
__global__ void cast_all(Casts casts, int count, const float*) {
  int i = 0;
  while (i + 1 < count && casts.of[i + 1].first_block <= blockIdx.x) i++;
  const Cast& cast = casts.of[i];
  long long start = (blockIdx.x - cast.first_block) * CHUNK, end = min(start + CHUNK, cast.size);
  T* to = static_cast<T*>(cast.to);
  for (long long j = start + threadIdx.x; j < end; j += blockDim.x) to[j] = static_cast<T>(cast.from[j]);
}
