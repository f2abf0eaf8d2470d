// CUDA's names for a host compiler: what nvcc knows without any #include. Included before a kernel's source.
#pragma once
#include <link.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "engine.h"

// ---- qualifiers and built-in variables

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __constant__ static
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static  // AddressSanitizer then guards each array
#else
#define __shared__ static thread_local  // so that all of a kernel's arrays lie together, and can be found
#endif

#define threadIdx (emulator::current->index)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block)
#define gridDim (emulator::grid)
#define warpSize 32

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// ---- barriers and warps. The line of the call tells one barrier from another.

inline void __syncthreads(int line = __builtin_LINE()) { emulator::block_barrier(line); }
inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) { emulator::warp_barrier(mask, line); }
inline void __threadfence() {}

namespace emulator {

template <class T>
T shuffle(unsigned mask, T value, int source, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
  T result;
  std::memcpy(&result, exchange(mask, &value, sizeof value, line)[source].bytes, sizeof result);
  return result;
}

inline int within(int source, int width) {  // lanes beyond the group of `width` read themselves
  return source >= 0 && source / width == lane() / width ? source : lane();
}

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
  return emulator::shuffle(mask, value, emulator::lane() / width * width + (source & (width - 1)), line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, int line = __builtin_LINE()) {
  return emulator::shuffle(mask, value, emulator::within(emulator::lane() ^ bits, width), line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int delta, int width = 32, int line = __builtin_LINE()) {
  return emulator::shuffle(mask, value, emulator::within(emulator::lane() + delta, width), line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int delta, int width = 32, int line = __builtin_LINE()) {
  return emulator::shuffle(mask, value, emulator::within(emulator::lane() - delta, width), line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  unsigned char vote = predicate != 0;
  const emulator::Slot* votes = emulator::exchange(mask, &vote, 1, line);
  unsigned bits = 0;
  for (int l = 0; l < 32; l++) bits |= (mask >> l & 1 && votes[l].bytes[0]) ? 1u << l : 0;
  return bits;
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, line) == mask;
}

// ---- atomics

namespace emulator {

template <class T, class F>
T atomic(T* address, F change) {
  T old, wanted;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  do wanted = change(old);
  while (!__atomic_compare_exchange(address, &old, &wanted, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}

template <class T>
struct Same { using type = T; };

}  // namespace emulator

#define EMULATED_ATOMIC(name, expression)                       \
  template <class T>                                            \
  T name(T* address, typename emulator::Same<T>::type value) {  \
    return emulator::atomic(address, [=](T old) -> T { return expression; }); \
  }
EMULATED_ATOMIC(atomicAdd, old + value)
EMULATED_ATOMIC(atomicSub, old - value)
EMULATED_ATOMIC(atomicMax, std::max(old, value))
EMULATED_ATOMIC(atomicMin, std::min(old, value))
EMULATED_ATOMIC(atomicOr, old | value)
EMULATED_ATOMIC(atomicExch, value)
template <class T>
T atomicCAS(T* address, typename emulator::Same<T>::type expected, typename emulator::Same<T>::type value) {
  return emulator::atomic(address, [=](T old) -> T { return old == expected ? value : old; });
}

// ---- arithmetic

using std::max;
using std::min;
template <class T>
T __ldg(const T* address) { return *address; }
template <class T>
T __ldcg(const T* address) { return *address; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, 4); return x; }
inline unsigned __umulhi(unsigned a, unsigned b) { return uint64_t(a) * b >> 32; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// ---- how a launch reaches a kernel: its arguments by address, and its signature as text

namespace emulator {

// Kind and size of a type: i4 u8 f2, b2 for bfloat16, s for other structs; "p" before what a pointer points to.
template <class T>
struct Code {
  static std::string text() {
    if constexpr (std::is_pointer_v<T>) return "p" + Code<std::remove_cv_t<std::remove_pointer_t<T>>>::text();
    else if constexpr (std::is_void_v<T>) return "any";
    else if constexpr (std::is_floating_point_v<T>) return "f" + std::to_string(sizeof(T));
    else if constexpr (std::is_same_v<T, bool>) return "u1";
    else if constexpr (std::is_integral_v<T>) return (std::is_signed_v<T> ? "i" : "u") + std::to_string(sizeof(T));
    else return "s" + std::to_string(sizeof(T));
  }
};

template <class... A>
std::string signature(void (*)(A...)) { return (std::string() + ... + (Code<std::decay_t<A>>::text() + " ")); }

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<std::decay_t<A>*>(arguments[I])...);
}
template <class... A>
void call(void (*kernel)(A...), void** arguments) { call(kernel, arguments, std::index_sequence_for<A...>()); }

}  // namespace emulator

// The thread-local memory of this shared object, which is what it has in __shared__ arrays.
static thread_local char emulated_shared_mark;

static int emulated_shared_memory(dl_phdr_info* object, size_t, void* found) {
  for (int i = 0; i < object->dlpi_phnum; i++) {
    char* begin = static_cast<char*>(object->dlpi_tls_data);
    char* end = begin + object->dlpi_phdr[i].p_memsz;
    if (object->dlpi_phdr[i].p_type != PT_TLS || &emulated_shared_mark < begin || &emulated_shared_mark >= end) continue;
    static_cast<char**>(found)[0] = begin;
    static_cast<char**>(found)[1] = end;
  }
  return 0;
}
extern "C" void emulated_shared(char** begin_and_end) { dl_iterate_phdr(emulated_shared_memory, begin_and_end); }

#define EMULATED_KERNEL(number, ...)                                                                   \
  extern "C" void emulated_run_##number(void** arguments) { emulator::call(&__VA_ARGS__, arguments); } \
  extern "C" const char* emulated_signature_##number() {                                               \
    static std::string text = emulator::signature(&__VA_ARGS__);                                       \
    return text.c_str();                                                                               \
  }

#include "cuda_bf16.h"
#include "cuda_fp16.h"
