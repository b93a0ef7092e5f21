"""A recorder that keeps what a run records in memory: samples, spike counts, spike times."""

import numpy as np

from hhplug.backend import OrderedSpikes, Recorded
from hhplug.buffer_pool import BufferPool
from hhplug.errors import ContractViolation, NotEnoughMemory
from hhplug.problem import Problem
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Spikes
from hhplug.running.memory_check import free_for, refuse_too_large, size_text
from hhplug.running.preparing import SAMPLE_BYTES
from hhplug.spike_order import KEY_BYTES, SORTING_BYTES, SpikeSorter, joined
from hhplug.state import State
from hhplug.validity import Invalid, earliest, nonfinite_neurons

ORDERED_BYTES = 16  # memory of one spike's neuron and time


class MemoryRecorder:
    """The arrays of one run's result, which the backend fills block by block.

    It is a `Recorder`. The memory of the samples comes from the pool. Raises NotEnoughMemory,
    before anything is allocated, if the samples don't fit. checked: that was asked before.
    """

    sample_bytes = SAMPLE_BYTES
    ordered_spikes = True

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
        self._sorter = SpikeSorter(
            problem.n_neurons, problem.start_step, problem.n_steps, problem.dt
        )
        self._ordered: OrderedSpikes | None = None
        self._n_spikes = self._spike_bytes = 0
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
        if block.spikes:
            neurons, steps, fractions = zip(*block.spikes, strict=True)
            neuron, fraction = joined(neurons), np.concatenate(fractions)
            self._sorter.add(neuron, joined(steps), fraction)
            self._n_spikes += len(neuron)
            # What sorting needs beside the key and the fraction that are kept already.
            self._spike_bytes += len(neuron) * (SORTING_BYTES - KEY_BYTES - fraction.itemsize)
        self._n_spikes += block.n_kept_spikes
        self._spike_bytes += block.n_kept_spikes * ORDERED_BYTES
        needed = self._spike_bytes
        if needed > 2**28 and needed > (free := free_for(needed, self._pool)):
            raise NotEnoughMemory(
                f"{self._n_spikes:,} spike times so far, and {size_text(free)} is free",
                "spikes='counts', or shorter runs, each with resume=result of the one before",
            )

    def take_spikes(self, spikes: OrderedSpikes) -> None:
        """Keep the spikes of all blocks, which the backend has put in order."""
        self._ordered, self.spike_count = spikes, spikes.counts

    def finish(self, n_steps: int, final: State) -> Outcome:
        """What n_steps steps recorded; final: the state after them.

        The spikes are sorted when they are first read. Raises ContractViolation if the backend
        counted more or fewer spikes than it timed.
        """
        problem, invalid = self._problem, self._invalid
        rows = len(problem.sample_steps(problem.start_step, n_steps))
        if not final.known_finite:
            nonfinite = nonfinite_neurons(final.variables)
            end = np.full(nonfinite.size, problem.start_step + n_steps)
            invalid = earliest([invalid, (nonfinite, end)])
        return Outcome(
            samples={name: array[:rows] for name, array in self.samples.items()},
            spikes=self._timed_spikes(invalid) if problem.spikes == "times" else None,
            spike_count=None if problem.spikes == "off" else self.spike_count,
            invalid=invalid,
        )

    def _timed_spikes(self, invalid: Invalid) -> Spikes:
        n = self._problem.n_neurons
        # Writing a new array takes 1.6 ms for 16 million neurons, and rarely any is invalid.
        valid = invalid.valid(n) if invalid.neuron.size else np.broadcast_to(True, n)
        if self._ordered and self._ordered.times:
            return Spikes(*self._ordered.times, valid)
        counted = int(self.spike_count.sum())
        if counted != self._n_spikes:
            raise ContractViolation(
                f"the backend counted {counted} spikes but gave the times of {self._n_spikes}"
            )
        return Spikes.unsorted(self._sorter.in_order, valid)
