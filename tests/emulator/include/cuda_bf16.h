// CUDA's bfloat16: storage and conversion, round to nearest even. Arithmetic goes through float.
#pragma once

struct __nv_bfloat16 {
  uint16_t bits;
  __nv_bfloat16() = default;
  __nv_bfloat16(float x) {
    unsigned u = __float_as_uint(x);
    bits = x != x ? 0x7FFF : static_cast<uint16_t>((u + 0x7FFF + (u >> 16 & 1)) >> 16);
  }
  operator float() const { return __uint_as_float(static_cast<unsigned>(bits) << 16); }
};
inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }

template <>
struct emulator::Code<__nv_bfloat16> {
  static std::string text() { return "b2"; }
};
