"""Spikes in order: by neuron, then by time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SORTING_BYTES = 36  # memory of one spike while spikes are sorted, when it takes the most
KEY_BYTES = 8  # of these, the key by which it is sorted

Ordered = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Neuron and time (ms) of each spike."""


class SpikeSorter:
    """Gathers the spikes of one run in any order, and sorts them.

    n_neurons, start_step, n_steps and dt (ms) are those of the run.
    """

    def __init__(self, n_neurons: int, start_step: int, n_steps: int, dt: float):
        self._n_neurons, self._start_step, self._dt = n_neurons, start_step, dt
        # Sorting by (neuron << step_bits) + step sorts spikes by neuron, then by step.
        self._step_bits = (n_steps - 1).bit_length()
        self._found: list[tuple[NDArray[np.int64], NDArray[np.floating]]] = []

    def add(self, neuron: NDArray[Any], step: NDArray[Any], fraction: NDArray[Any]) -> None:
        """Take spikes, as `Recorded.add_spikes` has them."""
        key = neuron.astype(np.int64)
        key <<= self._step_bits
        key += step.astype(np.int64, copy=False)
        key -= self._start_step
        self._found.append((key, fraction))

    def in_order(self) -> Ordered:
        """Neuron and time of each spike, sorted. It can be called only once."""
        key = joined([key for key, _ in self._found] or [np.zeros(0, np.int64)])
        fraction = joined([f for _, f in self._found] or [np.zeros(0)])
        self._found.clear()
        fraction = fraction[_sort(key, self._n_neurons << self._step_bits)]
        neuron = key >> self._step_bits
        key &= (1 << self._step_bits) - 1
        key += self._start_step
        time = np.add(key, fraction, dtype=np.float64)
        time *= self._dt
        return neuron, time


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The arrays one after another; a single one isn't copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _sort(key: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """Sort keys, 0 ≤ key < end, in place, and return the index that each had before.

    Each key is combined with its index in one integer, since sorting those takes at most half the
    time of argsort.
    """
    bits = len(key).bit_length()
    if end << bits > 2**63:  # key and index don't fit into an int64
        order = np.argsort(key)
        key[:] = key[order]
        return order
    order = np.arange(len(key))
    key <<= bits
    key |= order
    key.sort()
    np.bitwise_and(key, (1 << bits) - 1, out=order)
    key >>= bits
    return order
