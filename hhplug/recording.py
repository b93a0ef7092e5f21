"""The arrays that a run fills: samples, spike counts, spike times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Recorded
from hhplug.errors import ContractViolation, NotEnoughMemory
from hhplug.machine import free_memory
from hhplug.problem import Problem

MEMORY_SHARE = 0.95  # of the free memory, that a recording may take
SPIKE_BYTES = 36  # a spike time at its dearest: logged, keyed, ordered and in the result


@dataclass(frozen=True, eq=False, repr=False)
class Spikes:
    """Upward crossings of the threshold, sorted by neuron, then time."""

    neuron: NDArray[np.int64]
    time: NDArray[np.float64]  # ms

    def __len__(self) -> int:
        return len(self.neuron)

    def __repr__(self) -> str:
        return f"Spikes({len(self):,} of {len(np.unique(self.neuron)):,} neurons)"


class Recording:
    """The final arrays of one run, handed to the backend piece by piece.

    Raises NotEnoughMemory, before anything is allocated, if the samples don't fit.
    """

    def __init__(self, problem: Problem):
        self._problem = problem
        self.steps = problem.sample_steps(problem.start_step, problem.n_steps)
        shape = (len(self.steps), len(problem.neurons))
        _refuse_too_large(problem, shape)
        try:
            self.samples = {name: np.empty(shape, problem.dtype) for name in problem.record}
        except MemoryError as error:
            raise NotEnoughMemory(
                f"{_described(problem)} does not fit in memory: {error}"
            ) from error
        self.spike_count = np.zeros(problem.n_neurons, np.int64)
        self._spikes: list[tuple[NDArray[np.int64], NDArray[np.floating]]] = []
        self._n_spikes = 0

    def block(self, first: int, count: int) -> Recorded:
        """Where the samples and spikes of steps first ≤ k < first + count go."""
        steps = self._problem.sample_steps(first, count)
        row = (steps.start - self.steps.start) // self.steps.step
        rows = slice(row, row + len(steps))
        samples = {name: array[rows] for name, array in self.samples.items()}
        return Recorded(samples, self.spike_count, [])

    def collect(self, block: Recorded) -> None:
        """Take over the spikes that a backend added to a block."""
        if not block.spikes:
            return
        neuron, step, fraction = map(np.concatenate, zip(*block.spikes, strict=True))
        block.spikes.clear()
        # One integer orders spikes by neuron, then step.
        key = neuron.astype(np.int64) * self._problem.n_steps + (step - self._problem.start_step)
        self._spikes.append((key, fraction))
        self._n_spikes += len(key)
        if self._n_spikes * SPIKE_BYTES > 2**28 and self._n_spikes * SPIKE_BYTES > free_memory():
            raise NotEnoughMemory(
                f"{self._n_spikes:,} spike times so far, and {_gigabytes(free_memory())} is free; "
                "use spikes='counts', or shorter runs joined by initial_state and start_step"
            )

    def spikes(self) -> Spikes:
        """All spikes, sorted. The log is used up."""
        counted = int(self.spike_count.sum())
        if counted != self._n_spikes:
            raise ContractViolation(
                f"the backend counted {counted} spikes but gave the times of {self._n_spikes}"
            )
        key = np.concatenate([key for key, _ in self._spikes] or [np.zeros(0, np.int64)])
        fraction = np.concatenate([f for _, f in self._spikes] or [np.zeros(0)])
        self._spikes.clear()
        order = np.argsort(key)
        key, fraction = key[order], fraction[order]
        del order
        neuron, step = np.divmod(key, self._problem.n_steps)
        time = (step + self._problem.start_step + fraction.astype(np.float64)) * self._problem.dt
        return Spikes(neuron, time)


def _refuse_too_large(problem: Problem, shape: tuple[int, int]) -> None:
    """Compare what the samples need with what is free, and look for what would fit."""
    sample = np.dtype(problem.dtype).itemsize * len(problem.record) * shape[1]
    needed = sample * shape[0]
    free = free_memory()
    if not needed > free * MEMORY_SHARE:
        return
    advice = []
    every = _round_up(problem.record_every * needed / (free * MEMORY_SHARE)) if free else 0
    if 0 < every <= problem.n_steps:
        fits = sample * len(problem.sample_steps(problem.start_step, problem.n_steps)[::every])
        fits = sample * -(-problem.n_steps // every)
        advice.append(f"record_every={every} ({_gigabytes(fits)})")
    advice.append("record=() for spikes alone")
    raise NotEnoughMemory(
        f"{_described(problem)} needs {_gigabytes(needed)}, and {_gigabytes(free)} is free; "
        f"use {', record_neurons for some of them, or '.join(advice)}"
    )


def _described(problem: Problem) -> str:
    every = "every step" if problem.record_every == 1 else f"every {problem.record_every} steps"
    return (
        f"recording {_listed(problem.record)} {every} of {len(problem.neurons):,} neurons "
        f"for {problem.n_steps:,} steps"
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _round_up(ratio: float) -> int:
    """The least of 1, 2, 5, 10, 20, 50, … that is not below ratio."""
    scale = 1
    while True:
        for digit in (1, 2, 5):
            if digit * scale >= ratio:
                return digit * scale
        scale *= 10


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
