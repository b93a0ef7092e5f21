"""A random process x of each neuron, with the bits that `hhplug.currents.noise` describes.

The element of neuron i in row r of a group's process p is p[i + r·stride]. The deviates of four
steps are drawn together, since they share a counter.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hhplug.checks import PerNeuron
from hhplug.currents.noise import OCTAVE_BITS, ROUNDS, quantiles, round_keys
from hhplug.currents.noisy import Noise
from hhplug_numba.compiler import HOT, INLINE
from hhplug_numba.intrinsics import (
    bits_of,
    float_of,
    kept_apart,
    looked_up,
    philox,
    put,
    widest_vectors,
)
from hhplug_numba.layout import Groups

Array = NDArray[Any]

# Rows of a process. STEADY is what I_EXT would be without noise, and the four rows from DEVIATES on
# are ξ of the steps that share a counter.
X, DECAY, KICK, SIGMA, STEADY, DEVIATES = range(6)
N_ROWS = DEVIATES + 4

MAGNITUDE, SIGN, ONE = np.uint32(0x7FFFFFFF), np.uint32(0x80000000), np.uint32(1)
TO_PIECE, FIRST_PIECE = np.uint32(23 - OCTAVE_BITS), np.uint32(127 << OCTAVE_BITS)


class NoiseArrays(NamedTuple):
    """What the compiled loops are given of a noise.

    Without noise, `process` and `neurons` have one group without elements.
    """

    process: Array  # (groups, elements of a group), rows as above
    neurons: Array  # (groups, 2, width) uint32: low and high words of the neurons' numbers
    key: Array  # (2·rounds + 1,) uint32: of each round, and the stream
    quantiles: Array  # (2, pieces) float32
    begins: bool  # whether x of the block's first step is first · ξ, instead of what it is
    first: Any  # of the run's dtype


def process_of(noise: Noise, C_m: PerNeuron, groups: Groups) -> Groups:
    """The rows of a process in a session's groups, but for its deviates; C_m is in µF/cm²."""
    process, recursion = groups.like(N_ROWS), noise.recursion
    process.put(X, 0.0 if noise.carried is None else noise.carried)
    process.put(DECAY, recursion.decay)
    process.put(KICK, recursion.kick)
    process.put(SIGMA, noise.sigma / C_m)
    return process


def noise_arrays(noise: Noise | None, process: Groups | None, groups: Groups) -> NoiseArrays:
    """The arrays of a session."""
    if noise is None or process is None:
        return NoiseArrays(
            np.empty((1, 0), groups.dtype),
            np.empty((1, 2, 0), np.uint32),
            np.empty(0, np.uint32),
            np.empty((2, 0), np.float32),
            False,
            groups.dtype.type(0.0),
        )
    words = groups.cut([noise.neurons & 0xFFFFFFFF, noise.neurons >> 32], np.uint32)
    return NoiseArrays(
        process.elements,
        np.ascontiguousarray(words.swapaxes(0, 1)),
        np.array([*round_keys(noise.seed), noise.stream], np.uint32),
        np.stack(quantiles()),
        noise.carried is None,
        groups.dtype.type(noise.recursion.first),
    )


@njit(**INLINE)
def deviate(word, A, B):
    """The normal deviate of a word, as `hhplug.currents.noise` describes it."""
    f = np.float32(np.int32((word & MAGNITUDE) | ONE))
    piece = np.uint64((bits_of(f) >> TO_PIECE) - FIRST_PIECE)
    x = looked_up(A, piece) + looked_up(B, piece) * f
    return float_of(np.uint32(bits_of(x) ^ (word & SIGN)))


@njit(**HOT)
def draw(p, stride, neurons, noise, step, width):
    """The deviates of the four steps that share a counter with this one.

    LLVM vectorises the loop because all that it reads is `looked_up`, and all that it writes `put`.
    """
    kept_apart()
    widest_vectors()
    key, row = noise.key, DEVIATES * stride
    A, B = noise.quantiles[0], noise.quantiles[1]
    low, high = neurons[0], neurons[1]
    four, stream = np.uint32(step >> 2), key[2 * ROUNDS]
    for i in range(width):
        w0, w1, w2, w3 = philox(four, looked_up(low, i), looked_up(high, i), stream, key)
        put(p, i + row, deviate(w0, A, B))
        put(p, i + row + stride, deviate(w1, A, B))
        put(p, i + row + 2 * stride, deviate(w2, A, B))
        put(p, i + row + 3 * stride, deviate(w3, A, B))


@njit(**INLINE)
def begin(p, stride, place, first, width):
    """x of a run's first step, which is the place-th of the four that are drawn."""
    row = (DEVIATES + place) * stride
    for i in range(width):
        p[i + X * stride] = first * p[i + row]


@njit(**INLINE)
def follow(p, stride, place, width):
    """x of the next step, which is the place-th of the four."""
    row = (DEVIATES + place) * stride
    for i in range(width):
        kick = p[i + KICK * stride] * p[i + row]
        p[i + X * stride] = p[i + DECAY * stride] * p[i + X * stride] + kick
