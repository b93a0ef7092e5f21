// The spikes of a run in order: by neuron, and in time for each neuron. Each spike knows how many of
// its neuron came before it, so that its place is that number after the neuron's first place, which
// is the sum of the counts of all neurons before.
//
// Three launches find these sums: `sum_counts` sums each tile of neurons, `sum_tiles` the tiles
// before each tile, and `place_firsts` the neurons before each neuron. In between, the number of a
// tile stands where the place of its first neuron will. Then `place_spikes` writes every spike to
// its place.
//
// Compiled with REAL64, as hh.cu. Every block has TILE threads.

#if REAL64
typedef double real;
#else
typedef float real;
#endif

typedef long long place_t;

#define TILE 1024
#define WARPS (TILE / 32)

// The sum of x over the threads before this one; *total is that over all threads of the block.
__device__ place_t sum_before(place_t x, place_t* total) {
  __shared__ place_t of_warp[WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  place_t sum = x;
  for (int apart = 1; apart < 32; apart *= 2) {
    const place_t before = __shfl_up_sync(~0u, sum, apart);
    if (lane >= apart) sum += before;
  }
  __syncthreads();  // of_warp may still be read for the call before
  if (lane == 31) of_warp[warp] = sum;
  __syncthreads();
  place_t before = 0, all = 0;
  for (int w = 0; w < WARPS; ++w) {
    if (w < warp) before += of_warp[w];
    all += of_warp[w];
  }
  *total = all;
  return before + sum - x;
}

__device__ place_t thread_number() { return (place_t)blockIdx.x * TILE + threadIdx.x; }

// places: (N), of which the first of each tile is set.
extern "C" __global__ void sum_counts(const int* counts, place_t N, place_t* places) {
  const place_t i = thread_number();
  place_t total;
  sum_before(i < N ? counts[i] : 0, &total);
  if (threadIdx.x == 0) places[i] = total;
}

// One block.
extern "C" __global__ void sum_tiles(place_t* places, place_t tiles) {
  place_t before = 0;
  for (place_t first = 0; first < tiles; first += TILE) {
    const place_t tile = first + threadIdx.x;
    place_t total;
    const place_t sum = before + sum_before(tile < tiles ? places[tile * TILE] : 0, &total);
    if (tile < tiles) places[tile * TILE] = sum;
    before += total;
  }
}

// places: (N), that of each neuron's first spike.
extern "C" __global__ void place_firsts(const int* counts, place_t N, place_t* places) {
  const place_t i = thread_number();
  const place_t before_tile = places[(place_t)blockIdx.x * TILE];
  place_t total;  // the threads wait for each other in sum_before, before any of them writes
  const place_t before = sum_before(i < N ? counts[i] : 0, &total);
  if (i < N) places[i] = before_tile + before;
}

// The spikes of one block of steps. first_step: of that block, counted from time zero. dt and times
// are in ms. first_neuron is added to the index of each neuron.
extern "C" __global__ void place_spikes(place_t spikes, const int* neuron, const int* step,
                                        const real* fraction, const int* ordinal,
                                        const place_t* places, place_t first_step, double dt,
                                        place_t first_neuron, place_t* neurons, double* times) {
  const place_t s = thread_number();
  if (s >= spikes) return;
  const place_t place = places[neuron[s]] + ordinal[s];
  neurons[place] = first_neuron + neuron[s];
  times[place] = __dmul_rn(__dadd_rn((double)(first_step + step[s]), (double)fraction[s]), dt);
}

extern "C" __global__ void widen_counts(const int* counts, place_t N, place_t* wide) {
  const place_t i = thread_number();
  if (i < N) wide[i] = counts[i];
}
