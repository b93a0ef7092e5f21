"""A recorder that keeps what a run records in memory: samples, spike counts, spike times."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Recorded
from hhplug.errors import ContractViolation, NotEnoughMemory
from hhplug.problem import Problem
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Arrays, Spikes
from hhplug.running.buffer_pool import BufferPool
from hhplug.running.memory_check import free_for, refuse_too_large, size_text
from hhplug.state import State
from hhplug.validity import Invalid, earliest, nonfinite_neurons

SPIKE_BYTES = 36  # memory of one spike while the spikes are sorted, when it takes the most


class MemoryRecorder:
    """The arrays of one run's result, which the backend fills block by block.

    It is a `Recorder`. The memory of the samples comes from the pool. Raises NotEnoughMemory,
    before anything is allocated, if the samples don't fit. checked: that was asked before.
    """

    def __init__(self, problem: Problem, pool: BufferPool | None = None, checked: bool = False):
        self._problem = problem
        self._pool = pool or BufferPool()
        self.steps = problem.sample_steps(problem.start_step, problem.n_steps)
        shape = (len(self.steps), problem.n_recorded)
        if not checked:
            refuse_too_large(problem, shape, self._pool)
        try:
            names = () if problem.device_arrays else problem.record
            self.samples = {
                name: self._pool.empty(shape, np.dtype(problem.dtype)) for name in names
            }
            self.spike_count = np.zeros(problem.n_neurons, np.int64)
        except (MemoryError, ValueError) as error:  # ValueError: larger than the address space
            raise NotEnoughMemory(
                f"no room for {shape[0]:,} samples of {problem.n_neurons:,} neurons: {error}"
            ) from error
        # Sorting by (neuron << step_bits) + step sorts spikes by neuron, then by step.
        self._step_bits = (problem.n_steps - 1).bit_length()
        self._spikes: list[tuple[NDArray[np.int64], NDArray[np.floating]]] = []
        self._n_spikes = 0
        self._invalid = problem.invalid

    def block(self, first: int, count: int) -> Recorded:
        """Views of the arrays for the samples and spikes of steps first ≤ k < first + count."""
        steps = self._problem.sample_steps(first, count)
        row = (steps.start - self.steps.start) // self.steps.step
        rows = slice(row, row + len(steps))
        samples = {name: array[rows] for name, array in self.samples.items()}
        return Recorded(self._problem, samples, self.spike_count)

    def collect(self, block: Recorded) -> None:
        """Keep the spikes and the invalid neurons that a backend added to a block.

        Raises NotEnoughMemory if all spikes of the run so far don't fit.
        """
        if block.invalid:
            self._invalid = earliest([self._invalid, *block.invalid])
        if not block.spikes:
            return
        neurons, steps, fractions = zip(*block.spikes, strict=True)
        neuron, step, fraction = _joined(neurons), _joined(steps), np.concatenate(fractions)
        key = neuron.astype(np.int64)
        key <<= self._step_bits
        key += step.astype(np.int64, copy=False)
        key -= self._problem.start_step
        self._spikes.append((key, fraction))
        self._n_spikes += len(key)
        needed = self._n_spikes * (
            SPIKE_BYTES - key.itemsize - fraction.itemsize
        )  # bytes, for sorting
        if needed > 2**28 and needed > (free := free_for(needed, self._pool)):
            raise NotEnoughMemory(
                f"{self._n_spikes:,} spike times so far, and {size_text(free)} is free",
                "spikes='counts', or shorter runs, each with resume=result of the one before",
            )

    def finish(self, n_steps: int, final: State) -> Outcome:
        """What n_steps steps recorded; final: the state after them.

        The spikes are sorted when they are first read. Raises ContractViolation if the backend
        counted more or fewer spikes than it timed.
        """
        problem, invalid = self._problem, self._invalid
        rows = len(problem.sample_steps(problem.start_step, n_steps))
        nonfinite = nonfinite_neurons(final.variables)
        if nonfinite.size:
            end = np.full(nonfinite.size, problem.start_step + n_steps)
            invalid = earliest([invalid, (nonfinite, end)])
        return Outcome(
            samples={name: array[:rows] for name, array in self.samples.items()},
            spikes=self._timed_spikes(invalid) if problem.spikes == "times" else None,
            spike_count=None if problem.spikes == "off" else self.spike_count,
            invalid=invalid,
        )

    def _timed_spikes(self, invalid: Invalid) -> Spikes:
        counted = int(self.spike_count.sum())
        if counted != self._n_spikes:
            raise ContractViolation(
                f"the backend counted {counted} spikes but gave the times of {self._n_spikes}"
            )
        return Spikes.unsorted(self._in_order, invalid.valid(self._problem.n_neurons))

    def _in_order(self) -> Arrays:
        """Neuron and time (ms) of each spike, sorted. It can be called only once."""
        key = _joined([key for key, _ in self._spikes] or [np.zeros(0, np.int64)])
        fraction = _joined([f for _, f in self._spikes] or [np.zeros(0)])
        self._spikes.clear()
        fraction = fraction[_sort(key, self._problem.n_neurons << self._step_bits)]
        neuron = key >> self._step_bits
        key &= (1 << self._step_bits) - 1
        key += self._problem.start_step
        time = np.add(key, fraction, dtype=np.float64)
        time *= self._problem.dt
        return neuron, time


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
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
