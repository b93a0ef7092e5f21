// Neurons by classic RK4. One thread owns one neuron for a block of steps and keeps its state and its
// rows, which are functions of its parameters, in registers; memory is touched for samples, for
// spikes, and for a current that changes. Arrays have the neuron fastest: (N_STATES, N),
// (samples, N), (J, N).
//
// The membrane's step is printed from its equations by equations.py and included below.
//
// Compiled once for each membrane and choice of
//   REAL64   1: float64, 0: float32
//   RECORD   1: states are recorded
//   CURRENT  HELD: it is the same in all steps of the block, WAVEFORM: gain × waveform, WAVEFORMS: a
//            sum of such, ARRAY: an array
//   NOISE    1: sigma × a random process is added to the sum (noise.cuh)
//   FEATURES groups of features whose sums are computed (features.cuh); 0: none
//   UNROLL   steps in the body of the loop
//   THREADS  in a block
//   BLOCKS   that shall fit on a multiprocessor, which bounds the registers; 0: any number
//   LATENCY  1: for few neurons, each step as short as can be, 0: for many, as few instructions
// A product that is to be fused with a sum is written fma, and the compiler fuses no other
// (-fmad=false): all choices round alike.
//
// Units: mV, ms, µA/cm², mS/cm², µF/cm². Conductances and currents are over C_m.

#define NEVER 0x7fffffff  // a step that is later than any

#define HELD 0
#define WAVEFORM 1
#define WAVEFORMS 2
#define ARRAY 3

#if REAL64
typedef double real;
#else
typedef float real;
#endif

#ifdef __CUDACC__

#define DEVICE __device__ __forceinline__

// The thread's neuron, which is computed anew where this is called: a rare branch keeps no register.
DEVICE long long own_neuron() {
  unsigned block, thread;
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return (long long)block * THREADS + thread;
}

// The same address, in registers of the thread. The compiler keeps one that is the same for all
// threads elsewhere, and brings it there whenever something is read.
DEVICE const real* in_registers(const real* p) {
  const real* own;
  asm volatile("mov.u64 %0, %1;" : "=l"(own) : "l"(p));
  return own;
}

DEVICE real read_only(const real* p) { return __ldg(p); }  // of memory that nothing writes meanwhile

#if REAL64

DEVICE real fma_(real a, real b, real c) { return __fma_rn(a, b, c); }
DEVICE real min_(real a, real b) { return fmin(a, b); }
DEVICE real max_(real a, real b) { return fmax(a, b); }

DEVICE real reciprocal_estimate(real x) {  // to 20 bits
  real y;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(x));
  return y;
}

DEVICE real log2_(real x) { return log2(x); }

// x·2^k, where k is in the low bits of k_plus_magic, up to the range of normal numbers.
DEVICE real times_power_of_two(real x, real k_plus_magic) {
  const int k = min(max(__double2loint(k_plus_magic), -1021), 1023);
  return __hiloint2double(__double2hiint(x) + (k << 20), __double2loint(x));
}

#else

DEVICE real fma_(real a, real b, real c) { return __fmaf_rn(a, b, c); }
DEVICE real min_(real a, real b) { return fminf(a, b); }
DEVICE real max_(real a, real b) { return fmaxf(a, b); }

DEVICE real exp2_(real x) {  // to 2 ulp
  real y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

DEVICE real log2_(real x) {  // to 2^-22, between 1/2 and 2; to 1 ulp elsewhere
  real y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
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
// Beyond 2^-1021 and 2^1023 it is about as small and as large as these.
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

// An instruction of float32 holds one literal, so a second must come from a register. Read from memory
// these stay there; as literals they are moved there again and again: 7 of 212 instructions a step of
// the squid's membrane (H100).
#if LATENCY
#define KEPT(k, literal) (literal)
#else
#define KEPT(k, literal) c[k]
#endif

#include "membrane.cuh"
#include "noise.cuh"
#include "features.cuh"

struct Current {
  const real* gain;      // (J, N) or (J, 1), over C_m
  const real* waveform;  // (steps + 1, J), of which the last row may be anything
  const real* array;     // (steps + 1, N) or (steps + 1, 1), likewise
  int J;
  int gain_per_neuron;   // 1: (J, N), 0: (J, 1)
  int array_per_neuron;  // 1: of each neuron its own column, 0: one column
};

struct Samples {
  real* state[N_STATES];  // (samples, columns) of each; null if it is not recorded
  const int* column;  // (N): of each neuron, −1 for none; null: neuron i is in column i
  long long columns;
  int first;          // step of the block that is sampled first …
  int every;          // … and from one to the next
};

struct Spikes {
  int* count;         // (N), in and out: those of each neuron; null: not wanted
  unsigned* total;    // (1): spikes found, those for which there was no room too
  int* neuron;        // (room); null: times are not wanted
  int* step;          // (room): of the block
  real* fraction;     // (room): of the step
  int* ordinal;       // (room): how many of its neuron were counted before it
  real threshold;     // mV
  real per_step;      // makes of dV/dt mV per step
  unsigned room;
};

struct Validity {
  int* any;    // (1): 1 if a neuron is invalid; null: not wanted
  int* first;  // (N): of such a neuron its first invalid step of the block, from 1 on; the number of
               // steps + 1 if the state at the end isn't finite
};

struct Block {
  long long N;
  real* state;            // (N_STATES, N), in and out; with noise, x is one row more
  const real* rows;       // (N_ROWS, N) or (N_ROWS, 1)
  const real* constants;  // (N_CONSTANTS)
  Current current;
  Samples samples;
  Spikes spikes;
  Validity validity;
  Scalars scalars;
  int steps;
  int rows_per_neuron;    // 1: rows are (N_ROWS, N), 0: (N_ROWS, 1)
#if NOISE
  Noise noise;
#endif
#if FEATURES
  Features features;
#endif
};

DEVICE void take_samples(const Samples& s, long long row, int column, const State& y) {
  const long long at = row * s.columns + column;
#define TAKE(k, x) \
  if (s.state[k]) s.state[k][at] = y.x;
  STATES(TAKE)
}

// The fraction of a step at which V has risen by `rise`, on the cubic that has V and dV/dt of both
// ends of the step. The slopes are mV per step.
DEVICE real crossing(real rise, real change, real slope, real end_slope) {
  const real c = slope + end_slope - change - change, b = change - slope - c;
  real low = 0, high = 1, s = rise * reciprocal(change);
#pragma unroll 1
  for (int newton = 0; newton < 6; ++newton) {
    const real before = s;
    const real error = fma_(s, fma_(s, fma_(s, c, b), slope), -rise);
    low = error < 0 ? s : low;
    high = error < 0 ? high : s;
    s -= error * reciprocal(fma_(s, fma_(s, c + c + c, b + b), slope));
    if (!(low <= s && s <= high)) s = (low + high) / 2;  // it left the interval, or is NaN
    if (s == before) break;  // and would stay
  }
  return s;
}

DEVICE real fraction_of(const Spikes& s, real V, const Step& step) {
  return crossing(s.threshold - V, step.after.V - V, step.slope * s.per_step,
                  step.end_slope * s.per_step);
}

DEVICE void note_spike(const Block& b, long long i, int k, int ordinal, real V, const Step& step) {
  const Spikes& s = b.spikes;
#if FEATURES & SPIKE_TIMES
  const real fraction = fraction_of(s, V, step);
  sum_spike(b.features, b.N, k, fraction);
#endif
  if (!s.neuron) return;
  const unsigned at = atomicAdd(s.total, 1u);
  if (at >= s.room) return;
  s.neuron[at] = (int)i;
  s.step[at] = k;
  s.ordinal[at] = ordinal;
#if FEATURES & SPIKE_TIMES
  s.fraction[at] = fraction;
#else
  s.fraction[at] = fraction_of(s, V, step);
#endif
}

// The first value that the current of step k is made of.
DEVICE real first_of(const Current& c, int k, long long i, long long N) {
#if CURRENT == ARRAY
  return c.array[c.array_per_neuron ? k * N + i : k];
#elif CURRENT == WAVEFORMS
  return c.waveform[(long long)k * c.J];
#else
  return c.waveform[k];
#endif
}

// The current of step k, whose first value is given, plus the leak. gain: of the first waveform.
DEVICE real I_of(const Current& c, real first, int k, long long i, long long N, real gain,
                 const Rows& p) {
#if CURRENT == ARRAY
  return fma_(first, p.per_C_m, p.leak);
#else
  real I = fma_(gain, first, p.leak);
#if CURRENT != WAVEFORM
#pragma unroll 1
  for (int j = 1; j < c.J; ++j) {
    const real next = c.gain_per_neuron ? c.gain[j * N + i] : c.gain[j];
    I = fma_(next, c.waveform[(long long)k * c.J + j], I);
  }
#endif
  return I;
#endif
}

DEVICE State run(const Block& b, long long i, State y, int* spikes, int* first_invalid,
                 Process& noise) {
  Rows p;
#define READ(k, x) p.x = b.rows[b.rows_per_neuron ? k * b.N + i : k];
  ROWS(READ)
  real c[N_CONSTANTS + 1];
#if !LATENCY
#pragma unroll
  for (int k = 0; k < N_CONSTANTS; ++k) c[k] = b.constants[k];
#endif
#if CURRENT == ARRAY
  const real gain = 0;
#else
  const real gain = b.current.gain[b.current.gain_per_neuron ? i : 0];
#endif
  real first = first_of(b.current, 0, i, b.N);
#if CURRENT == WAVEFORM
  const real* next = in_registers(b.current.waveform + 1);
#endif
#if CURRENT == HELD
  const real I = I_of(b.current, first, 0, i, b.N, gain, p);
#endif
#if RECORD
  const int column = b.samples.column ? b.samples.column[i] : (int)i;
  int next_sample = b.samples.first;
  long long sample = 0;
#endif

#if FEATURES
  Sums sums = {};
#endif

  const auto take_step = [&](int k) {
#if CURRENT != HELD
    const real I = I_of(b.current, first, k, i, b.N, gain, p);
    // The next one is read while this is computed.
#if CURRENT == WAVEFORM
    first = read_only(next++);  // 0.975 of a held current's speed, 0.952 without `next` (squid, H100)
#else
    first = first_of(b.current, k + 1, i, b.N);
#endif
#endif
#if RECORD
    if (k == next_sample) {
      if (column >= 0) take_samples(b.samples, sample, column, y);
      ++sample;
      next_sample += b.samples.every;
    }
#endif
    const real V = y.V;
#if NOISE
    const Step done = step(y, fma_(noise.sigma, noise.x, I), p, b.scalars, c);
#else
    const Step done = step(y, I, p, b.scalars, c);
#endif
    y = done.after;
    if (!done.valid) *first_invalid = min(*first_invalid, k);
#if FEATURES
    sum_sample(b.features, sums, V, y.V);
#endif
#if FEATURES & SHAPE
    const bool crossed = (V >= b.spikes.threshold) != (y.V >= b.spikes.threshold);
#else
    const bool crossed = V < b.spikes.threshold && y.V >= b.spikes.threshold;
#endif
    if (crossed) {
#if FEATURES & SHAPE
      sum_crossing(b.features, b.N, sums, V, y.V, k + 1, b.spikes.threshold);
      if (y.V < b.spikes.threshold) return;
#endif
      note_spike(b, i, k, (*spikes)++, V, done);
    }
  };

  // The steps first ≤ k < end.
  const auto take_steps = [&](int k, int end) {
#if NOISE
  for (; k < end; ++k) {
    const long long next = b.noise.step + k + 1;
    unsigned four = (unsigned)(next >> 2);
    if ((next & 3) == 0) {
#pragma unroll 1
      for (; k + 4 <= end; k += 4) {
        const Words w = words_of(b.noise, noise, four++);
        take_step(k), follow(noise, w.w0);
        take_step(k + 1), follow(noise, w.w1);
        take_step(k + 2), follow(noise, w.w2);
        take_step(k + 3), follow(noise, w.w3);
      }
      if (k == end) break;
    }
    // At the ends of a block.
    take_step(k), follow(noise, word_of(words_of(b.noise, noise, four), next));
  }
#else
  constexpr int body = UNROLL;
#pragma unroll body
  for (; k < end; ++k) take_step(k);
#endif
  };
#if FEATURES
  const Features& f = b.features;
  if (f.first < 0 && f.last >= 0) {
    const real before = load_sums(f, i, b.N, sums);
    sum_sample(f, sums, before, y.V);
#if FEATURES & SHAPE
    if ((before >= b.spikes.threshold) != (y.V >= b.spikes.threshold))
      sum_crossing(f, b.N, sums, before, y.V, 0, b.spikes.threshold);
#endif
  }
  // Before step k, V is its sample, which has been taken.
  for (int k = 0, next = end_of_stretch(f, -1);;) {
    if (k == f.first) begin_sums(f, i, b.N, sums, y.V);
    if (k == next) {
      const int samples = min(k - f.first + 1, STRETCH);
      if (f.first <= k && k <= f.last) end_stretch(f, i, b.N, sums, y.V, samples);
      next = end_of_stretch(f, k);
    }
    if (k == f.last) store_sums(f, i, b.N, sums, y.V);
    if (k == b.steps) break;
    int end = min(next, b.steps);
    if (k < f.first) end = min(end, f.first);
    if (k < f.last) end = min(end, f.last);
    take_steps(k, end);
    k = end;
  }
#else
  take_steps(0, b.steps);
#endif
  return y;
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) hh(const Block b) {
  const long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
#if NOISE
  const Piece* pieces = shared_pieces(b.noise.quantiles);
#endif
  if (i >= b.N) return;
  State y;
#define LOAD(k, x) y.x = b.state[k * b.N + i];
  STATES(LOAD)
  int spikes = b.spikes.count ? b.spikes.count[i] : 0, first_invalid = NEVER;
#if NOISE
  Process noise = process_of(b.noise, pieces, i, b.N, b.state[N_STATES * b.N + i]);
#else
  Process noise;
#endif
  y = run(b, i, y, &spikes, &first_invalid, noise);
#if NOISE
  b.state[N_STATES * b.N + i] = noise.x;
#endif
#define STORE(k, x) b.state[k * b.N + i] = y.x;
  STATES(STORE)
  if (b.spikes.count) b.spikes.count[i] = spikes;
  real sum = 0;
#define ADD(k, x) sum += y.x;
  STATES(ADD)
  if (!(sum - sum == 0)) first_invalid = min(first_invalid, b.steps);
  if (first_invalid <= b.steps && b.validity.any) {
    *b.validity.any = 1;
    b.validity.first[i] = first_invalid + 1;
  }
}
