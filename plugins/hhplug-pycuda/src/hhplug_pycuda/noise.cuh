// A random process x of each neuron, with the bits that hhplug.currents.noise describes:
// x[k+1] = decay·x[k] + kick·ξ[k+1], where the deviate ξ is a function of seed, neuron and step. A
// thread keeps its x in a register, and draws the words of four steps together.

#if NOISE

#define ROUNDS 10
#define PIECES 993  // 31 octaves of 32 pieces, and one for f = 2^31

struct alignas(8) Piece {  // of the quantile function: A + B·f
  float A, B;
};

struct Noise {
  const Piece* quantiles;   // (PIECES)
  const unsigned* neurons;  // (2, N): low and high words of their numbers; null: first_neuron + i
  const real* process;      // (3, N) or (3, 1): decay, kick and sigma, the latter over C_m
  long long first_neuron;
  long long step;           // the block's first, counted from time zero
  real first;               // x of a run's first step is this times its deviate
  unsigned stream;
  unsigned keys[20];        // two for each round of Philox
  int per_neuron;           // 1: process is (3, N), 0: (3, 1)
  int begins;               // 1: the block begins a run, 0: x is in the state's last row
};

struct Words {
  unsigned w0, w1, w2, w3;
};

// Philox 4×32-10 (Salmon et al. 2011).
DEVICE Words philox(Words c, const unsigned* keys) {
#pragma unroll
  for (int r = 0; r < ROUNDS; ++r) {
    const unsigned long long p0 = (unsigned long long)c.w0 * 0xD2511F53u;
    const unsigned long long p1 = (unsigned long long)c.w2 * 0xCD9E8D57u;
    c = {(unsigned)(p1 >> 32) ^ c.w1 ^ keys[2 * r], (unsigned)p1,
         (unsigned)(p0 >> 32) ^ c.w3 ^ keys[2 * r + 1], (unsigned)p0};
  }
  return c;
}

struct Process {
  real x, decay, kick, sigma;
  unsigned low, high;   // words of the neuron's number
  const Piece* pieces;  // in shared memory, where random accesses of a warp cost least
};

// The words of the steps 4·four to 4·four + 3.
DEVICE Words words_of(const Noise& n, const Process& p, unsigned four) {
  return philox({four, p.low, p.high, n.stream}, n.keys);
}

// The one of the words which is the step's.
DEVICE unsigned word_of(const Words& w, long long step) {
  const unsigned low = step & 1 ? w.w1 : w.w0, high = step & 1 ? w.w3 : w.w2;
  return step & 2 ? high : low;
}

// The standard normal deviate of a word.
DEVICE real deviate(const Process& p, unsigned word) {
  const float f = (float)((word & 0x7fffffffu) | 1u);
  const Piece piece = p.pieces[(__float_as_uint(f) >> 18) - (127u << 5)];
  return __uint_as_float(__float_as_uint(piece.A + piece.B * f) ^ (word & 0x80000000u));
}

// To the next step, whose word is given.
DEVICE void follow(Process& p, unsigned word) { p.x = p.decay * p.x + p.kick * deviate(p, word); }

// The table, in shared memory; called by all threads of a block.
DEVICE const Piece* shared_pieces(const Piece* quantiles) {
  __shared__ Piece pieces[PIECES];
  for (int j = threadIdx.x; j < PIECES; j += THREADS) pieces[j] = quantiles[j];
  __syncthreads();
  return pieces;
}

// The process of neuron i before the block; x is what the state has.
DEVICE Process process_of(const Noise& n, const Piece* pieces, long long i, long long N, real x) {
  const long long at = n.per_neuron ? i : 0, row = n.per_neuron ? N : 1;
  const long long number = n.first_neuron + i;
  Process p = {x, n.process[at], n.process[row + at], n.process[2 * row + at],
               n.neurons ? n.neurons[i] : (unsigned)number,
               n.neurons ? n.neurons[N + i] : (unsigned)(number >> 32), pieces};
  if (n.begins) {
    const Words w = words_of(n, p, (unsigned)(n.step >> 2));
    p.x = n.first * deviate(p, word_of(w, n.step));
  }
  return p;
}

#else

struct Process {};

#endif
