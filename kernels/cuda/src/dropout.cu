// Dropout with the reference's counter-based mask: a function of (seed, number of the element), never stored.
#include "elementwise.cuh"

// The finaliser of MurmurHash3.
__device__ inline unsigned mix32(unsigned h) {
  h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
  h = (h ^ (h >> 13)) * 0xC2B2AE35u;
  return h ^ (h >> 16);
}

// y = x scale where the element's random bits are at least `threshold`, else 0. The seed is a number, or in memory: there
// it can be changed between launches of a captured graph.
template <class T, bool WIDE>
__global__ void dropout(long long rows, long long width, T* y, long long y_step, const T* x, long long x_step,
                        unsigned long long seed, const unsigned long long* seed_in_memory, unsigned threshold,
                        Compute<T> scale) {
  using C = Compute<T>;
  if (seed_in_memory) seed = *seed_in_memory;
  unsigned low_key = mix32(static_cast<unsigned>(seed)), high_key = mix32(static_cast<unsigned>(seed >> 32));
  auto f = [=](long long number, C v) {
    unsigned low = static_cast<unsigned>(number), high = static_cast<unsigned>(number >> 32);
    return mix32(mix32(low ^ low_key) ^ (high ^ high_key)) >= threshold ? v * scale : C(0);
  };
  map_rows<WIDE>(rows, width, Rows<T>{y, y_step}, f, Rows<const T>{x, x_step});
}
