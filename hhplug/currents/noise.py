"""Noise: a random number for each neuron and step, and the processes that are made of them.

The random numbers are a function of (seed, stream, neuron, step) alone, so that a neuron's noise is
the same on every backend, in every block, part and order of the population, and in a resumed run.
Philox 4×32-10 (Salmon et al. 2011) turns the counter (step // 4, low word of the neuron's number,
high word, stream) into four words, under the key (low word of the seed, high word). Word step % 4
is that of the step. The noise repeats after 2³⁴ steps.

A word w becomes a normal deviate, a float32, by the quantile function of the normal distribution,
which is linear between knots. All roundings are to the nearest, so that every backend can repeat
them:

    f = float32((w & 0x7FFFFFFF) | 1)          rounds the integer to 24 bits
    i = (bits(f) >> 18) − (127 << 5)           the piece: octave of f, and 32nd part of the octave
    x = A[i] + B[i] · f                        in float32: the product is rounded, then the sum
    normal = ±x                                minus if the highest bit of w is set

A and B are float32. The distribution differs from the normal by 1.1e-5 at most (Kolmogorov's
distance), its variance is 1 and its fourth moment 3 to 1e-6, and its largest value is 6.23. A run
in float64 has the same deviates, converted to float64. What follows from them is computed in the
run's dtype, and products and sums are rounded one by one, never fused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug.checks import PerNeuron
from hhplug.currents.pieces import Steps, pieces

Words = NDArray[np.uint32]
Values = NDArray[Any]  # of the run's dtype

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57  # of Philox
WEYL = 0x9E3779B9, 0xBB67AE85  # what each round adds to the key
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)  # bits of a word

OCTAVES = 31  # of the integers from 1 to 2³¹
OCTAVE_BITS = 5  # the table has 2⁵ pieces for each octave
NODES = 8  # of Gauss and Legendre's rule, with which each piece is fitted
FEW = 8  # neurons; so many scalars cost as much as the call of NumPy for a row
TILE = 2**12  # counters that are computed at a time, so that their arrays fit the cache


def philox(counter: Sequence[Any], key: Sequence[int]) -> tuple[NDArray[np.uint64], ...]:
    """The four words of Philox 4×32-10, each a uint64 below 2³².

    counter: four arrays of integers below 2³², which are broadcast. key: two such numbers.
    """
    arrays = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    c0, c1, c2, c3 = (np.array(array) for array in arrays)
    keys = round_keys(key[0] + (key[1] << 32))
    for k0, k1 in zip(keys[::2], keys[1::2], strict=True):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0 = p1 >> HALF  # in place from here on, since new arrays cost more than the arithmetic
        c0 ^= c1
        c0 ^= np.uint64(k0)
        c2 = p0 >> HALF
        c2 ^= c3
        c2 ^= np.uint64(k1)
        p1 &= LOW
        p0 &= LOW
        c1, c3 = p1, p0
    return c0, c1, c2, c3


def round_keys(seed: int) -> tuple[int, ...]:
    """The two words of the key in each round of Philox, one round after another."""
    words = seed & 0xFFFFFFFF, seed >> 32
    return tuple(
        (word + rounds * weyl) & 0xFFFFFFFF
        for rounds in range(ROUNDS)
        for word, weyl in zip(words, WEYL, strict=True)
    )


@cache
def quantiles() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A and B of the pieces of the table: the quantile is −(A + B · f) for the tail f / 2³².

    Each piece has the mean and the variance of the normal distribution between its knots. The
    last one is for f = 2³¹ alone, where the quantile is 0.
    """
    from statistics import NormalDist  # with `random`, which a run without noise doesn't need

    octave, part = np.divmod(np.arange(OCTAVES << OCTAVE_BITS), 1 << OCTAVE_BITS)
    low = 2.0**octave * (1 + part / (1 << OCTAVE_BITS))
    width = 2.0**octave / (1 << OCTAVE_BITS)
    node, weight = np.polynomial.legendre.leggauss(NODES)
    weight = weight / 2.0
    f = low[:, np.newaxis] + width[:, np.newaxis] * (node + 1.0) / 2.0
    x = -np.vectorize(NormalDist().inv_cdf)(f / 2.0**32)
    mean_f, mean_x = f @ weight, x @ weight
    variance_f = (f - mean_f[:, np.newaxis]) ** 2 @ weight
    variance_x = (x - mean_x[:, np.newaxis]) ** 2 @ weight
    slope = -np.sqrt(variance_x / variance_f)
    offset = mean_x - slope * mean_f
    A = np.append(offset, -slope[-1] * 2.0**31).astype(np.float32)
    B = np.append(slope, slope[-1]).astype(np.float32)
    return A, B


def normal(words: Words) -> NDArray[np.float32]:
    """A normal deviate for each word, as the module describes it."""
    A, B = quantiles()
    f = ((words & np.uint32(0x7FFFFFFF)) | np.uint32(1)).astype(np.float32)
    piece = (f.view(np.uint32) >> np.uint32(23 - OCTAVE_BITS)) - np.uint32(127 << OCTAVE_BITS)
    f *= B[piece]
    f += A[piece]
    return (f.view(np.uint32) ^ (words & np.uint32(0x80000000))).view(np.float32)


@dataclass(frozen=True, eq=False)
class Draws:
    """Independent normal deviates for some neurons and every step.

    stream: tells noises of the same seed in one stimulus apart.
    neurons: numbers of the neurons in the whole population, (n,).
    """

    seed: int
    stream: int
    neurons: NDArray[np.int64]

    def at(self, steps: Steps) -> NDArray[np.float32]:
        """The deviates of the steps, in any order: (steps, n)."""
        drawn = np.empty((len(steps), len(self.neurons)), np.float32)
        fours, which = np.unique(steps >> 2, return_inverse=True)  # a counter is for four steps
        for columns in tiles(len(self.neurons)):
            neurons = self.neurons[columns]
            rows = TILE // len(neurons)
            for first in range(0, len(fours), rows):
                words = self._words(fours[first : first + rows], neurons)
                inside = np.flatnonzero((first <= which) & (which < first + rows))
                chosen = words[which[inside] - first, steps[inside] & 3]
                drawn[inside, columns] = normal(chosen)
        return drawn

    def of(self, columns: slice) -> "Draws":
        """The deviates of some of the neurons."""
        return replace(self, neurons=self.neurons[columns])

    def _words(self, fours: Steps, neurons: NDArray[np.int64]) -> Words:
        """The words of the steps 4q, 4q + 1, 4q + 2, 4q + 3 of each q: (fours, 4, neurons)."""
        counter = (
            fours[:, np.newaxis] & 0xFFFFFFFF,
            neurons & 0xFFFFFFFF,
            neurons >> 32,
            self.stream,
        )
        words = philox(counter, (self.seed & 0xFFFFFFFF, self.seed >> 32))
        return np.stack(words, axis=1, dtype=np.uint32, casting="unsafe")


def tiles(count: int) -> Iterator[slice]:
    """Slices of at most TILE of so many neurons."""
    return (slice(first, min(first + TILE, count)) for first in range(0, count, TILE))


@dataclass(frozen=True)
class Recursion:
    """The numbers of a process: x[k+1] = decay x[k] + kick ξ[k+1] from x[start] = first ξ[start].

    ξ[k] is the deviate of step k. The numbers are of the run's dtype; decay and kick are (1,) for
    all neurons, or (n,).
    """

    first: Values  # ()
    decay: Values
    kick: Values


class Process(Protocol):
    """A random waveform for each neuron of a run, of mean 0."""

    @property
    def recursion(self) -> Recursion:
        """The recursion that gives its values."""
        ...

    def at(self, steps: Steps) -> Values:
        """Its values in the steps, in any order, none of them before the run: (steps, n)."""
        ...


class WhiteProcess(Process):
    """Gaussian white noise of intensity 1, in 1/√ms: a deviate over √dt in each step.

    Its integral over a time T has the standard deviation √T, whatever dt is.
    """

    def __init__(self, draws: Draws, dt: float, dtype: DTypeLike):
        self._draws = draws
        self._scale = np.asarray(1.0 / np.sqrt(dt), dtype)

    @property
    def recursion(self) -> Recursion:
        scale = np.atleast_1d(self._scale)
        return Recursion(self._scale, np.zeros_like(scale), scale)

    def at(self, steps: Steps) -> Values:
        return self._draws.at(steps) * self._scale


class OrnsteinUhlenbeckProcess(Process):
    """The stationary Ornstein-Uhlenbeck process of variance 1 in the middle of each step.

    x[k+1] = a x[k] + b ξ[k+1] with a = e^(−dt/τ) and b = √(1 − a²) is exact for any dt. b follows
    from a as it is rounded to the run's dtype, so that the variance stays 1 also where a is near 1;
    then the rounding makes the time constant off by up to 3e-8 τ/dt of itself in float32. The first
    value of a run is ξ[start_step], or what the run before has carried. Steps are computed in
    order, so a step before the last one asked for is computed from the run's start again.

    tau: ms. begin: the first value of each neuron, or None.
    """

    def __init__(
        self,
        draws: Draws,
        dt: float,
        dtype: DTypeLike,
        tau: PerNeuron,
        start_step: int,
        begin: Values | None,
    ):
        self._draws, self._dtype = draws, np.dtype(dtype)
        self._a = np.exp(-dt / np.atleast_1d(tau)).astype(dtype)
        a = self._a.astype(np.float64)
        self._b = np.sqrt((1.0 - a) * (1.0 + a)).astype(dtype)
        self._start_step, self._given = start_step, begin
        # A step and its value. Threads may share the process: each replaces the pair as a whole.
        self._reached: tuple[int, Values] | None = None

    @property
    def recursion(self) -> Recursion:
        return Recursion(np.ones((), self._dtype), self._a, self._b)

    @cached_property
    def _begin(self) -> tuple[int, Values]:
        """The first step and its value."""
        first = self._given
        if first is None:
            first = self._draws.at(np.array([self._start_step]))[0]
        return self._start_step, first.astype(self._dtype)

    def at(self, steps: Steps) -> Values:
        values = np.empty((len(steps), len(self._draws.neurons)), self._dtype)
        if not values.size:
            return values
        reached = self._reached
        step, x = reached if reached and reached[0] <= steps.min() else self._begin
        x, end = x.copy(), int(steps.max()) + 1
        for columns in tiles(len(x)):
            self._follow(range(step, end), x, columns, steps, values)
        self._reached = end, x
        return values

    def _follow(self, path: range, x: Values, columns: slice, steps: Steps, values: Values) -> None:
        """Bring x of some neurons from the path's start to its stop, and note values on the way."""
        draws = self._draws.of(columns)
        a, b = (c if c.size == 1 else c[columns] for c in (self._a, self._b))
        now = x[columns]
        for first, count in pieces(path.start, len(path), len(now)):
            passed = np.empty((count + 1, len(now)), self._dtype)
            passed[0] = now
            passed[1:] = b * draws.at(np.arange(first + 1, first + count + 1))
            _recur(passed, a)
            now[:] = passed[-1]
            inside = np.flatnonzero((first <= steps) & (steps < first + count))
            values[inside, columns] = passed[steps[inside] - first]


def _recur(x: Values, a: Values) -> None:
    """Turn kicks into x[k + 1] = a · x[k] + kick[k + 1], in place: (steps, n).

    a: (1,) or (n,). Each product and each sum is rounded.
    """
    if x.shape[1] < FEW:
        for column, decay in zip(x.T, np.broadcast_to(a, x.shape[1]), strict=True):
            now, *kicks = column  # scalars of NumPy, which round as its arrays do
            column[1:] = [now := decay * now + kick for kick in kicks]
        return
    product = np.empty_like(x[0])
    for before, row in pairwise(x):
        np.multiply(before, a, product)
        np.add(product, row, row)
