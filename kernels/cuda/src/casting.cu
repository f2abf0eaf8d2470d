// Copies of many arrays in a launch; of float32 arrays also in a 16-bit type: all weights of a net.
#include "types.cuh"

constexpr int CHUNK = 4096;      // elements of a block, as in casting.py
constexpr int MOST_CASTS = 120;  // an argument of a kernel has at most 4 KiB

struct Cast {  // as casting.py lays it out; the arrays' blocks follow one another
  void* to;
  const void* from;
  long long size, first_block;
};

struct Casts {
  Cast of[MOST_CASTS];
};

template <class T>
__global__ void cast_all(Casts casts, int count, const Compute<T>*) {
  int i = 0;
  while (i + 1 < count && casts.of[i + 1].first_block <= blockIdx.x) i++;
  const Cast& cast = casts.of[i];
  long long start = (blockIdx.x - cast.first_block) * CHUNK, end = min(start + CHUNK, cast.size);
  T* to = static_cast<T*>(cast.to);
  const Compute<T>* from = static_cast<const Compute<T>*>(cast.from);
  for (long long j = start + threadIdx.x; j < end; j += blockDim.x) to[j] = static_cast<T>(from[j]);
}
