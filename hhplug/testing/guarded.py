"""A recorder whose arrays have guard rows, so that writing outside them is noticed."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import OrderedSpikes, Recorded
from hhplug.problem import Problem
from hhplug.results.outcome import Outcome
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.state import State

GUARD = -7531.0  # no voltage and no gate of a test


class GuardedRecorder:
    """Gives each block arrays of its own, with a guard row before and after.

    `collect` raises AssertionError if a block wrote to a guard row, or left a row unwritten.
    """

    def __init__(self, problem: Problem):
        self._problem = problem
        self._inner = MemoryRecorder(problem)
        self._unread: deque[tuple[Recorded, dict[str, NDArray], NDArray]] = deque()
        self._blocks = 0

    def block(self, first: int, count: int) -> Recorded:
        inner = self._inner.block(first, count)
        guarded = {
            name: np.full((len(samples) + 2, samples.shape[1]), GUARD, samples.dtype)
            for name, samples in inner.samples.items()
        }
        counts = np.zeros(self._problem.n_neurons + 2, np.int64)
        counts[[0, -1]] = GUARD
        self._unread.append((inner, guarded, counts))
        samples = {name: array[1:-1] for name, array in guarded.items()}
        return Recorded(self._problem, samples, counts[1:-1])

    def collect(self, block: Recorded) -> None:
        inner, guarded, counts = self._unread.popleft()
        self._blocks += 1
        for name, array in guarded.items():
            where = f"{name} of block {self._blocks}"
            assert (array[0] == GUARD).all(), f"{where} is written before its first row"
            assert (array[-1] == GUARD).all(), f"{where} is written past its last row"
            unwritten = np.flatnonzero((array[1:-1] == GUARD).any(axis=1))
            assert not unwritten.size, f"{where} has rows that aren't written, first {unwritten[0]}"
            inner.samples[name][:] = array[1:-1]
        where = f"spike_count of block {self._blocks}"
        assert counts[0] == counts[-1] == GUARD, f"{where} is written outside the population"
        inner.spike_count += counts[1:-1]
        inner.spikes.extend(block.spikes)
        inner.invalid.extend(block.invalid)
        self._inner.collect(inner)

    def take_spikes(self, spikes: OrderedSpikes) -> None:
        self._inner.take_spikes(spikes)

    def finish(self, n_steps: int, final: State) -> Outcome:
        return self._inner.finish(n_steps, final)
