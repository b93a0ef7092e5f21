// Hodgkin-Huxley neurons by classic RK4. One thread owns one neuron for a block of steps and keeps its
// V, m, h, n and its parameters in registers; memory is touched for samples, for spikes, and for a
// current that changes. Arrays have the neuron fastest: (4, N), (samples, N), (J, N).
//
// Compiled once for each choice of
//   REAL64   1: float64, 0: float32
//   RECORD   1: variables are recorded
//   ARRAY    1: the current is an array, 0: a sum of gain × waveform
//   UNROLL   steps in the body of the loop
//   THREADS  in a block
//   LATENCY  1: for few neurons, each step as short as can be, 0: for many, as few instructions
// A product that is to be fused with a sum is written fma, and the compiler fuses no other
// (-fmad=false): all choices round alike.
//
// Units: mV, ms, µA/cm², mS/cm², µF/cm². Conductances and currents are over C_m.

#if REAL64
typedef double real;
#else
typedef float real;
#endif

#define LOG2_E 1.4426950408889634

#ifdef __CUDACC__

#define DEVICE __device__ __forceinline__

#if REAL64

DEVICE real fma_(real a, real b, real c) { return __fma_rn(a, b, c); }

DEVICE real reciprocal_estimate(real x) {  // to 20 bits
  real y;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(x));
  return y;
}

DEVICE real times_power_of_two(real x, real k_plus_magic) {  // x·2^k: k is in the low bits
  return __hiloint2double(__double2hiint(x) + (__double2loint(k_plus_magic) << 20),
                          __double2loint(x));
}

#else

DEVICE real fma_(real a, real b, real c) { return __fmaf_rn(a, b, c); }

DEVICE real exp2_(real x) {  // to 2 ulp
  real y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

DEVICE real reciprocal(real x) {  // to 1 ulp
  real y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#endif
#endif  // else a test has defined them for a CPU

#if REAL64

DEVICE real reciprocal(real x) {
  const real y = reciprocal_estimate(x);
  const real e = fma_(-x, y, 1.0);
  return fma_(y, fma_(e, e, e), y);  // one step of third order: 20 bits become 60
}

// 2^x: 2^k by the exponent's bits, 2^f for |f| ≤ 1/2 by interpolation at Chebyshev nodes (3e-17).
// |x| < 1022: V within ±12,000 mV, from beyond which no neuron comes back.
DEVICE real exp2_(real x) {
  const real magic = 6755399441055744.0;  // 1.5·2^52: a sum with it is rounded to an integer
  const real k_plus_magic = x + magic;
  const real f = x - (k_plus_magic - magic);
  real p = 4.455930741563682e-10;
  p = fma_(p, f, 7.074197066047615e-09);
  p = fma_(p, f, 1.0178056472371986e-07);
  p = fma_(p, f, 1.3215432520547035e-06);
  p = fma_(p, f, 1.5252733842758916e-05);
  p = fma_(p, f, 0.0001540353046375614);
  p = fma_(p, f, 0.0013333558146405434);
  p = fma_(p, f, 0.009618129107587223);
  p = fma_(p, f, 0.05550410866482163);
  p = fma_(p, f, 0.2402265069591016);
  p = fma_(p, f, 0.6931471805599453);
  p = fma_(p, f, 1.0);
  return times_power_of_two(p, k_plus_magic);
}

#endif

struct Rates {
  real alpha_m, beta_m, alpha_h, beta_h, alpha_n, z;  // β_n = BETA_N · z
};

// One exponential serves five rates: with z⁴ = α_h = 0.07 e^{−(V+65)/20}, β_n is a multiple of z and
// every e^{−(V+v)/10} one of z⁸. β_m needs a second.
#define OFFSET_Z (-0.9591253169292802 - LOG2_E * 65 / 80)
#define OFFSET_M (2 - LOG2_E * 65 / 18)
#define BETA_N 0.2430163552267455
#define Z8_M 2486.223257286423  // e^{−(V+40)/10} / z⁸
#define Z8_H 4099.089167997483   // e^{−(V+35)/10} / z⁸
#define Z8_N 554.7513935630705   // e^{−(V+55)/10} / z⁸

#if REAL64

struct Constants {};

DEVICE Constants constants_from(const real*) { return Constants(); }

// α = x/(1 − e^{−x}), near x = 0 its series 1 + x/2 + x²/12 − x⁴/720 + x⁶/30240: at the border, 0.1,
// what it leaves out is 8e-15, and what cancellation costs the quotient 5e-14.
#define NEAR 0.1

DEVICE real series(real x) {
  const real u = x * x;
  const real even = fma_(fma_(fma_(u, 1.0 / 30240, -1.0 / 720), u, 1.0 / 12), u, 1.0);
  return fma_(x, 0.5, even);
}

DEVICE Rates rates(real V, const Constants&) {
  Rates r;
  r.z = exp2_(fma_(V, -LOG2_E / 80, OFFSET_Z));
  const real z2 = r.z * r.z;
  r.alpha_h = z2 * z2;
  r.beta_m = exp2_(fma_(V, -LOG2_E / 18, OFFSET_M));
  const real z8 = r.alpha_h * r.alpha_h;
  const real x_m = fma_(V, 0.1, 4.0);
  const real x_n = fma_(V, 0.1, 5.5);
  const bool near_m = fabs(x_m) < NEAR;
  const bool near_n = fabs(x_n) < NEAR;
  const real under_m = near_m ? 1.0 : fma_(z8, -Z8_M, 1.0);
  const real under_n = near_n ? 1.0 : fma_(z8, -Z8_N, 1.0);
  const real under_h = fma_(z8, Z8_H, 1.0);
  // One division for three reciprocals.
  const real under_mn = under_m * under_n;
  const real over = reciprocal(under_mn * under_h);
  const real over_mn = over * under_h;
  r.beta_h = over * under_mn;
  r.alpha_m = near_m ? series(x_m) : x_m * (over_mn * under_n);
  r.alpha_n = 0.1 * (near_n ? series(x_n) : x_n * (over_mn * under_m));
  return r;
}

#else

// An instruction holds one literal, so a second must come from a register. Read from memory these
// stay there; as literals they are moved there again and again: 7 of 212 instructions a step (H100).
struct Constants {
  real offset_z, offset_m, one, ten, hundred, twentieth, two_hundredth, tenth;
};

DEVICE Constants constants_from(const real* table) {
#if LATENCY
  (void)table;
  return {(real)(OFFSET_Z), (real)(OFFSET_M), 1.0f, 10.0f, 100.0f, 0.05f, 0.005f, 0.1f};
#else
  return {table[0], table[1], table[2], table[3], table[4], table[5], table[6], table[7]};
#endif
}

// α = x/(1 − e^{−x}), near x = 0 its series 1 + x/2 + x²/12: at the border, 0.25, what it leaves out
// is 6e-6, and what cancellation costs the quotient as much. In mV: u = 10 x.
#define NEAR 2.5f

DEVICE Rates rates(real V, const Constants& c) {
  Rates r;
  r.z = exp2_(fma_(V, (real)(-LOG2_E / 80), c.offset_z));
  const real z2 = r.z * r.z;
  r.alpha_h = z2 * z2;
  r.beta_m = exp2_(fma_(V, (real)(-LOG2_E / 18), c.offset_m));
  const real z8 = r.alpha_h * r.alpha_h;
  r.beta_h = reciprocal(fma_(z8, (real)Z8_H, c.one));
  const real u_m = V + 40.0f;
  const real u_n = V + 55.0f;
  const real over_m = reciprocal(fma_(z8, (real)(-10 * Z8_M), c.ten));
  const real over_n = reciprocal(fma_(z8, (real)(-100 * Z8_N), c.hundred));
  r.alpha_m = fma_(fma_(u_m, (real)(1.0 / 1200), c.twentieth), u_m, c.one);
  r.alpha_n = fma_(fma_(u_n, (real)(1.0 / 12000), c.two_hundredth), u_n, c.tenth);
  if (fabsf(u_m) > NEAR) r.alpha_m = u_m * over_m;
  if (fabsf(u_n) > NEAR) r.alpha_n = u_n * over_n;
  return r;
}

#endif

struct State {
  real V, m, h, n;
};

struct Membrane {
  real g_Na, g_K, g_L, E_Na, E_K;  // E_L is in the current, which holds g_L·E_L
};

// dV/dt = I_ext − g_Na m³h (V − E_Na) − g_K n⁴ (V − E_K) − g_L (V − E_L), dx/dt = α − (α + β) x
DEVICE State derivative(const State& s, real I_ext, const Membrane& p, const Constants& c) {
  const Rates r = rates(s.V, c);
  const real m2 = s.m * s.m;
  const real n2 = s.n * s.n;
  const real g_Na = (m2 * s.m) * (p.g_Na * s.h);
  const real g_K = (n2 * n2) * p.g_K;
  State d;
  d.V = fma_(-p.g_L, s.V, I_ext);
  d.V = fma_(-g_Na, s.V - p.E_Na, d.V);
  d.V = fma_(-g_K, s.V - p.E_K, d.V);
  d.m = fma_(-(r.alpha_m + r.beta_m), s.m, r.alpha_m);
  d.h = fma_(-(r.alpha_h + r.beta_h), s.h, r.alpha_h);
  d.n = fma_(-fma_(r.z, (real)BETA_N, r.alpha_n), s.n, r.alpha_n);
  return d;
}

// y + a·k
DEVICE State moved(const State& y, real a, const State& k) {
  return {fma_(a, k.V, y.V), fma_(a, k.m, y.m), fma_(a, k.h, y.h), fma_(a, k.n, y.n)};
}

// Classic RK4, the current held throughout.
DEVICE State rk4_step(const State& y, real dt, real I_ext, const Membrane& p, const Constants& c) {
  const real half = (real)0.5 * dt;
  const State k1 = derivative(y, I_ext, p, c);
  const State k2 = derivative(moved(y, half, k1), I_ext, p, c);
  const State k3 = derivative(moved(y, half, k2), I_ext, p, c);
  const State k4 = derivative(moved(y, dt, k3), I_ext, p, c);
  State sum = moved(k1, (real)2, k2);
  sum = moved(sum, (real)2, k3);
  sum = {sum.V + k4.V, sum.m + k4.m, sum.h + k4.h, sum.n + k4.n};
  return moved(y, dt / (real)6, sum);
}

struct Current {
  const real* gain;      // (J, N) or (J, 1), over C_m
  const real* waveform;  // (steps, J)
  const real* array;     // (steps, N) or (steps, 1)
  int J;
  int held;              // 1: the rows of waveform are all alike
  int gain_per_neuron;   // 1: (J, N), 0: (J, 1)
  int array_per_neuron;  // 1: (steps, N), 0: (steps, 1)
};

struct Samples {
  real* variable[4];  // V m h n, (samples, columns); null if it is not recorded
  const int* column;  // (N): of each neuron, −1 for none; null: neuron i is in column i
  long long columns;
  int first;          // step of the block that is sampled first …
  int every;          // … and from one to the next
};

struct Spikes {
  int* count;         // (N): in this block; null: not wanted
  unsigned* total;    // (1): spikes found, those for which there was no room too
  int* neuron;        // (room); null: times are not wanted
  int* step;          // (room): of the block
  real* fraction;     // (room): of the step
  real threshold;     // mV
  unsigned room;
};

struct Block {
  long long N;
  real* state;             // (4, N): V m h n, in and out
  const real* parameters;  // (7, N) or (7, 1): g_Na g_K g_L E_Na E_K g_L·E_L 1/C_m
  const real* constants;
  Current current;
  Samples samples;
  Spikes spikes;
  real dt;
  int steps;
  int per_neuron;          // 1: parameters are (7, N), 0: (7, 1)
};

DEVICE void take_samples(const Samples& s, long long row, int column, const State& y) {
  const long long at = row * s.columns + column;
  if (s.variable[0]) s.variable[0][at] = y.V;
  if (s.variable[1]) s.variable[1][at] = y.m;
  if (s.variable[2]) s.variable[2][at] = y.h;
  if (s.variable[3]) s.variable[3][at] = y.n;
}

DEVICE void note_spike(const Spikes& s, long long i, int k, real V, real V_next) {
  if (!s.neuron) return;
  const unsigned at = atomicAdd(s.total, 1u);
  if (at >= s.room) return;
  s.neuron[at] = (int)i;
  s.step[at] = k;
  s.fraction[at] = (s.threshold - V) * reciprocal(V_next - V);
}

// g_L·E_L plus the current during step k.
DEVICE real I_ext_at(const Current& c, int k, long long i, long long N, real gain, real leak) {
  real I_ext = fma_(gain, c.waveform[(long long)k * c.J], leak);
#pragma unroll 1
  for (int j = 1; j < c.J; ++j) {
    const real next = c.gain_per_neuron ? c.gain[j * N + i] : c.gain[j];
    I_ext = fma_(next, c.waveform[(long long)k * c.J + j], I_ext);
  }
  return I_ext;
}

template <bool HELD>
DEVICE State run(const Block& b, long long i, State y, int* spikes) {
  const real* const own = b.parameters + (b.per_neuron ? i : 0);
  const long long stride = b.per_neuron ? b.N : 1;
  const Membrane p = {own[0], own[stride], own[2 * stride], own[3 * stride], own[4 * stride]};
  const real leak = own[5 * stride];
  const Constants c = constants_from(b.constants);
#if ARRAY
  const real per_C_m = own[6 * stride];
  const real* row = b.current.array + (b.current.array_per_neuron ? i : 0);
  const long long row_length = b.current.array_per_neuron ? b.N : 1;
  real I_next = row[0];
#else
  const real gain = b.current.gain[b.current.gain_per_neuron ? i : 0];
  real I_ext = I_ext_at(b.current, 0, i, b.N, gain, leak);
#endif
#if RECORD
  const int column = b.samples.column ? b.samples.column[i] : (int)i;
  int next_sample = b.samples.first;
  long long sample = 0;
#endif

  constexpr int body = UNROLL;
#pragma unroll body
  for (int k = 0; k < b.steps; ++k) {
#if ARRAY
    const real I_ext = fma_(I_next, per_C_m, leak);
    row += row_length;
    if (k + 1 < b.steps) I_next = *row;  // on its way while this step is computed
#else
    if (!HELD) I_ext = I_ext_at(b.current, k, i, b.N, gain, leak);
#endif
#if RECORD
    if (k == next_sample) {
      if (column >= 0) take_samples(b.samples, sample, column, y);
      ++sample;
      next_sample += b.samples.every;
    }
#endif
    const real V = y.V;
    y = rk4_step(y, b.dt, I_ext, p, c);
    if (V < b.spikes.threshold && y.V >= b.spikes.threshold) {
      ++*spikes;
      note_spike(b.spikes, i, k, V, y.V);
    }
  }
  return y;
}

#if LATENCY
#define BOUNDS __launch_bounds__(THREADS, 1)  // one block a multiprocessor: registers are plenty
#else
#define BOUNDS __launch_bounds__(THREADS)
#endif

extern "C" __global__ void BOUNDS hh(const Block b) {
  const long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (i >= b.N) return;
  State y = {b.state[i], b.state[b.N + i], b.state[2 * b.N + i], b.state[3 * b.N + i]};
  int spikes = 0;
#if ARRAY
  y = run<false>(b, i, y, &spikes);
#else
  y = b.current.held ? run<true>(b, i, y, &spikes) : run<false>(b, i, y, &spikes);
#endif
  b.state[i] = y.V;
  b.state[b.N + i] = y.m;
  b.state[2 * b.N + i] = y.h;
  b.state[3 * b.N + i] = y.n;
  if (b.spikes.count) b.spikes.count[i] = spikes;
}

// For tests: α_m β_m α_h β_h α_n β_n at each voltage, (6, N).
extern "C" __global__ void six_rates(long long N, const real* constants, const real* V, real* out) {
  const long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (i >= N) return;
  const Rates r = rates(V[i], constants_from(constants));
  const real all[6] = {r.alpha_m, r.beta_m, r.alpha_h, r.beta_h, r.alpha_n, (real)BETA_N * r.z};
  for (int j = 0; j < 6; ++j) out[j * N + i] = all[j];
}
