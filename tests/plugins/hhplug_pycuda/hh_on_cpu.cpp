// hh.cu as plain C++, for tests on machines without a GPU: one call is one thread.

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __launch_bounds__(...)
#define DEVICE static inline
#define __shared__ static

struct Index { unsigned x; };
static Index blockIdx, threadIdx;

static inline long long own_neuron() { return (long long)blockIdx.x * THREADS + threadIdx.x; }

static inline unsigned atomicAdd(unsigned* at, unsigned more) {
  const unsigned before = *at;
  *at += more;
  return before;
}

static inline void __syncthreads() {}

static inline unsigned __float_as_uint(float f) {
  unsigned bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}

static inline float __uint_as_float(unsigned bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

template <typename T> static inline const T* in_registers(const T* p) { return p; }
template <typename T> static inline T read_only(const T* p) { return *p; }

static inline int min(int a, int b) { return a < b ? a : b; }

#if REAL64
DEVICE double fma_(double a, double b, double c) { return std::fma(a, b, c); }
DEVICE double min_(double a, double b) { return std::fmin(a, b); }
DEVICE double max_(double a, double b) { return std::fmax(a, b); }
DEVICE double log2_(double x) { return std::log2(x); }
DEVICE double reciprocal_estimate(double x) {
  double y = 1.0 / x;
  int64_t bits;
  std::memcpy(&bits, &y, 8);
  bits &= ~(int64_t)0xffffffff;  // 20 bits of the fraction
  std::memcpy(&y, &bits, 8);
  return y;
}
DEVICE double times_power_of_two(double x, double k_plus_magic) {
  int64_t bits;
  int32_t k;
  std::memcpy(&k, &k_plus_magic, 4);
  k = k < -1021 ? -1021 : k > 1023 ? 1023 : k;
  std::memcpy(&bits, &x, 8);
  bits += (int64_t)((uint64_t)(int64_t)k << 52);
  std::memcpy(&x, &bits, 8);
  return x;
}
#else
DEVICE float fma_(float a, float b, float c) { return std::fma(a, b, c); }
DEVICE float min_(float a, float b) { return std::fmin(a, b); }
DEVICE float max_(float a, float b) { return std::fmax(a, b); }
DEVICE float exp2_(float x) { return std::exp2(x); }
DEVICE float log2_(float x) { return std::log2(x); }
DEVICE float reciprocal(float x) { return 1.0f / x; }
#endif

#include "kernel.cu"

extern "C" void run_population(const Block* b) {
#if NOISE
  Block none = *b;
  none.N = 0;
  // What all threads write to shared memory, before the first goes on.
  for (threadIdx.x = 0; threadIdx.x < THREADS; ++threadIdx.x) hh(none);
#endif
  for (long long i = 0; i < b->N; ++i) {
    blockIdx.x = (unsigned)(i / THREADS);
    threadIdx.x = (unsigned)(i % THREADS);
    hh(*b);
  }
}
