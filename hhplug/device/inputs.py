"""What a session uploads before its first launch: rows, gains, and what a noise needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.noisy import Noise
from hhplug.problem import Problem

ALIGNMENT = 64  # elements; each input begins at a multiple of it


def concatenated(
    inputs: Mapping[str, Sequence[NDArray[Any]]],
) -> tuple[list[NDArray[Any]], dict[str, slice]]:
    """Return all arrays with padding between, to be copied as one, and name → its elements."""
    rows, slices, end = [], {}, 0
    for name, arrays in inputs.items():
        size = sum(array.size for array in arrays)
        slices[name] = slice(end, end + size)
        rows += [*arrays, np.zeros(-size % ALIGNMENT)]
        end += size + rows[-1].size
    return rows, slices


def gain_over_C_m(problem: Problem) -> NDArray[Any]:
    """Return the gain over C_m, (J, N) or (J, 1); zeros, (1, 1), where there is no current."""
    gain = problem.current.gain_over(problem.parameters["C_m"])
    return gain if len(gain) else np.zeros((1, 1))


def process(problem: Problem) -> NDArray[np.float64]:
    """Return decay, kick and sigma over C_m of the noise, (3, N) or (3, 1); (0, 1) without one."""
    noise = problem.current.noise
    if not noise:
        return np.empty((0, 1))
    of = noise.recursion
    rows = of.decay, of.kick, np.atleast_1d(noise.sigma / problem.parameters["C_m"])
    return np.stack(np.broadcast_arrays(*rows))


def words_of_neurons(noise: Noise | None) -> NDArray[np.int32]:
    """Return low and high words of the neurons' numbers, (2, N); empty if they are consecutive."""
    if not noise or (np.diff(noise.neurons) == 1).all():
        return np.empty((2, 0), np.int32)
    words = noise.neurons & 0xFFFFFFFF, noise.neurons >> 32
    return np.stack(words).astype(np.uint32).view(np.int32)
