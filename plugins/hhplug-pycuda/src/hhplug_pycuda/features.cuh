// The running sums of features, with the bits of hhplug/features/sums.py. A thread keeps those that
// change with every sample in registers; the others, which change at a spike, at a crossing of the
// threshold or after STRETCH samples, stay in memory. Loops are in hh.cu.
//
// A sample is V at the begin of a step. The sample of step k + 1 is taken at the end of step k, so
// that V before and after a step serve for both. The last sample of a block that is in the window is
// therefore taken before the block's last step; the first of the next block is taken as it begins.
//
// FEATURES is a sum of
#define MEAN 1
#define RANGE 2
#define SPIKE_TIMES 4
#define SHAPE 8

#if FEATURES

#define STRETCH 128  // as in hhplug/features/definitions.py

struct Features {
  real* in_dtype;   // (rows, N): sums that are computed in `real` …
  double* sums;     // (rows, N): … and in float64, both in the order of GROUPS
  long long step;   // the block's first, counted from time zero
  int first;        // step of the block whose sample is the window's first; negative: it was before,
                    // by STRETCH or more steps if it is −STRETCH
  int last;         // step of the block whose sample is its last one in the window; −1: none
  real onset_rise;  // mV: of V in a step at an onset
};

// Rows of in_dtype, and of sums, at which each group begins.
#define RANGE_IN_DTYPE (FEATURES & MEAN ? 3 : 0)
#define SHAPE_IN_DTYPE (RANGE_IN_DTYPE + (FEATURES & RANGE ? 2 : 0))
// V's extremes are those of V_min and V_max and of the trough and the peak. Where the shape is
// computed, the former are brought up to date only before the latter begin anew.
#define RANGE_AT_CROSSINGS ((FEATURES & RANGE) && (FEATURES & SHAPE))
#define SPIKE_SUMS (FEATURES & MEAN ? 2 : 0)
#define SHAPE_SUMS (SPIKE_SUMS + (FEATURES & SPIKE_TIMES ? 5 : 0))

// Rows of a group.
enum MeanInDtype { V_FROM, V_PART, V_PART_SQUARES };
enum MeanSums { V_SUM, V_SQUARES };
enum RangeInDtype { V_MIN, V_MAX };
enum SpikeSums { SPIKES, FIRST, LAST, INTERVAL, INTERVAL_SQUARES };
enum ShapeInDtype { PREVIOUS, STEEP, ONSET, PEAK, TROUGH };
enum ShapeSums { SPIKE_ONSET, UP, COMPLETE, AMPLITUDE, WIDTH, TROUGH_ONSET, DEPTH };

// The sums of one neuron that change with every sample.
struct Sums {
#if FEATURES & MEAN
  real from, part, squares;
#endif
#if (FEATURES & RANGE) && !RANGE_AT_CROSSINGS
  real low, high;
#endif
#if FEATURES & SHAPE
  real onset, peak, trough;
  bool steep;
#endif
};

// The window's first sample.
DEVICE void begin_sums(const Features& f, long long i, long long N, Sums& s, real V) {
#if FEATURES & MEAN
  s.from = V;
  s.part = s.squares = 0;
  f.sums[V_SUM * N + i] = f.sums[V_SQUARES * N + i] = 0.0;
#endif
#if RANGE_AT_CROSSINGS
  real* const range = f.in_dtype + RANGE_IN_DTYPE * N + i;
  range[V_MIN * N] = range[V_MAX * N] = V;
#elif FEATURES & RANGE
  s.low = s.high = V;
#endif
#if FEATURES & SPIKE_TIMES
  double* const spikes = f.sums + SPIKE_SUMS * N + i;
  spikes[SPIKES * N] = spikes[INTERVAL_SQUARES * N] = 0.0;
  spikes[FIRST * N] = spikes[LAST * N] = spikes[INTERVAL * N] = NAN;
#endif
#if FEATURES & SHAPE
  double* const shape = f.sums + SHAPE_SUMS * N + i;
  shape[SPIKE_ONSET * N] = shape[UP * N] = shape[TROUGH_ONSET * N] = NAN;
  shape[COMPLETE * N] = shape[AMPLITUDE * N] = shape[WIDTH * N] = shape[DEPTH * N] = 0.0;
  s.onset = NAN;
  s.peak = -INFINITY;
  s.trough = INFINITY;
  s.steep = false;
#endif
}

// The sums before the block. Returns the last sample before it, if a group keeps that.
DEVICE real load_sums(const Features& f, long long i, long long N, Sums& s) {
  const real* const row = f.in_dtype + i;
#if FEATURES & MEAN
  s.from = row[V_FROM * N], s.part = row[V_PART * N], s.squares = row[V_PART_SQUARES * N];
#endif
#if (FEATURES & RANGE) && !RANGE_AT_CROSSINGS
  const real* const range = row + RANGE_IN_DTYPE * N;
  s.low = range[V_MIN * N], s.high = range[V_MAX * N];
#endif
#if FEATURES & SHAPE
  const real* const shape = row + SHAPE_IN_DTYPE * N;
  s.steep = shape[STEEP * N] != 0;
  s.onset = shape[ONSET * N], s.peak = shape[PEAK * N], s.trough = shape[TROUGH * N];
  return shape[PREVIOUS * N];
#else
  return 0;
#endif
}

// V: the last sample that was taken.
DEVICE void store_sums(const Features& f, long long i, long long N, const Sums& s, real V) {
  real* const row = f.in_dtype + i;
#if FEATURES & MEAN
  row[V_FROM * N] = s.from, row[V_PART * N] = s.part, row[V_PART_SQUARES * N] = s.squares;
#endif
#if (FEATURES & RANGE) && !RANGE_AT_CROSSINGS
  real* const range = row + RANGE_IN_DTYPE * N;
  range[V_MIN * N] = s.low, range[V_MAX * N] = s.high;
#endif
#if FEATURES & SHAPE
  real* const shape = row + SHAPE_IN_DTYPE * N;
  shape[PREVIOUS * N] = V, shape[STEEP * N] = s.steep;
  shape[ONSET * N] = s.onset, shape[PEAK * N] = s.peak, shape[TROUGH * N] = s.trough;
#endif
}

// A sample V, which follows the sample `before`.
DEVICE void sum_sample(const Features& f, Sums& s, real before, real V) {
#if FEATURES & MEAN
  const real d = V - s.from;
  s.part += d;
  s.squares += d * d;
#endif
#if (FEATURES & RANGE) && !RANGE_AT_CROSSINGS
  s.low = min_(s.low, V);
  s.high = max_(s.high, V);
#endif
#if FEATURES & SHAPE
  const bool steep = V - before >= f.onset_rise;
  if (steep && !s.steep) s.onset = before;
  s.steep = steep;
  s.peak = max_(s.peak, V);
  s.trough = min_(s.trough, V);
#endif
}

// The stretch of so many samples ends with V.
DEVICE void end_stretch(const Features& f, long long i, long long N, Sums& s, real V, int samples) {
#if FEATURES & MEAN
  const double offset = (double)s.from - -65.0, part = s.part, shift = samples * offset;
  double* const of = f.sums + i;
  of[V_SUM * N] += part + shift;
  of[V_SQUARES * N] += (double)s.squares + offset * (part + part + shift);
  s.from = V;
  s.part = s.squares = 0;
#endif
}

// A spike in step k of the block.
DEVICE void sum_spike(const Features& f, long long N, int k, real fraction) {
#if FEATURES & SPIKE_TIMES
  const long long i = own_neuron();
  if (k < f.first || k > f.last) return;
  double* const of = f.sums + SPIKE_SUMS * N + i;
  const double time = (double)(f.step + k) + (double)fraction;
  const double earlier = of[SPIKES * N], interval = time - of[LAST * N];
  of[SPIKES * N] = earlier + 1.0;
  of[LAST * N] = time;
  if (earlier == 0.0) {
    of[FIRST * N] = time;
  } else if (earlier == 1.0) {
    of[INTERVAL * N] = interval;
  } else {
    const double longer = interval - of[INTERVAL * N];
    of[INTERVAL_SQUARES * N] += longer * longer;
  }
#endif
}

// V crosses the threshold between the samples `before` and V, the latter of step k of the block.
DEVICE void sum_crossing(const Features& f, long long N, Sums& s, real before, real V, int k,
                         real threshold) {
#if FEATURES & SHAPE
  const long long i = own_neuron();
  if (k <= f.first || k > f.last) return;
  double* const of = f.sums + SHAPE_SUMS * N + i;
  const double time = (double)(f.step + k - 1) + (double)(threshold - before) / (double)(V - before);
#if RANGE_AT_CROSSINGS
  real* const range = f.in_dtype + RANGE_IN_DTYPE * N + i;
  if (V >= threshold)
    range[V_MAX * N] = max_(range[V_MAX * N], s.peak);
  else
    range[V_MIN * N] = min_(range[V_MIN * N], s.trough);
#endif
  if (V >= threshold) {
    const double depth = of[TROUGH_ONSET * N] - (double)s.trough;
    if (depth == depth) of[DEPTH * N] += depth;  // else no complete spike came before
    of[TROUGH_ONSET * N] = NAN;
    of[SPIKE_ONSET * N] = s.onset;
    of[UP * N] = time;
    s.peak = V;
  } else {
    const double onset = of[SPIKE_ONSET * N];
    if (onset == onset) {  // the spike is complete
      of[COMPLETE * N] += 1.0;
      of[AMPLITUDE * N] += (double)s.peak - onset;
      of[WIDTH * N] += time - of[UP * N];
      of[TROUGH_ONSET * N] = onset;
    }
    of[SPIKE_ONSET * N] = NAN;
    s.onset = NAN;
    s.trough = V;
  }
#endif
}

// The step at which a stretch ends next after step k.
DEVICE int end_of_stretch(const Features& f, int k) {
  const int phase = (int)(f.step & (STRETCH - 1));
  return ((k + phase + 1) | (STRETCH - 1)) - phase;
}

#endif
