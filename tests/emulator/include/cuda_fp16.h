// CUDA's half: storage and conversion, round to nearest even. Arithmetic goes through float.
#pragma once

struct __half {
  _Float16 value;
  __half() = default;
  __half(float x) : value(static_cast<_Float16>(x)) {}
  operator float() const { return static_cast<float>(value); }
};
using half = __half;
inline __half __float2half(float x) { return x; }
inline __half __float2half_rn(float x) { return x; }
inline float __half2float(__half x) { return x; }
inline __half __ushort_as_half(unsigned short bits) {
  __half x;
  std::memcpy(&x, &bits, 2);
  return x;
}

template <>
struct emulator::Code<__half> {
  static std::string text() { return "f2"; }
};
