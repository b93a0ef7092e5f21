"""A current without a separable form, whose rows are computed when they are asked for."""

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug.currents.current import RowCurrent
from hhplug.currents.noise import Draws, Process
from hhplug.currents.pieces import Steps, pieces
from hhplug.currents.terms import ROUNDING, Term, Waveform, taken


class ComputedCurrent(RowCurrent):
    """I_ext[k, i] = Σ_j gain[j, i] · waveform[k, j, i] + Σ_l sigma[l, i] · process[k, l, i].

    The terms' waveforms come first, then their processes, in the order of the terms. A process is
    of the run's dtype; all else is float64. Two noises of one seed have different streams: the
    first such term has stream 0, the second stream 1.

    dt: ms. neurons: the numbers of the neurons in the whole population, (n,).
    dtype: the run's. start_step: its first step, at which processes begin.
    carried: the `State.carry` with which the run begins.
    """

    def __init__(
        self,
        terms: tuple[Term, ...],
        dt: float,
        neurons: NDArray[np.int64],
        dtype: DTypeLike,
        start_step: int,
        carried: Mapping[str, NDArray[Any]],
    ):
        self._terms, self._dt, self._neurons = terms, dt, neurons
        self._dtype, self._start_step, self._carried = dtype, start_step, carried
        self._gains = [gain for term in terms for gain in term.gains()]
        self._noises = [noise for term in terms if (noise := term.noise)]
        self._processes: list[Process] = []
        self._with_memory: dict[str, Process] = {}  # by the name under which each is carried
        for place, term in enumerate(self._noises):
            stream = sum(other.seed == term.seed for other in self._noises[:place])
            draws, name = Draws(term.seed, stream, neurons), f"noise_{len(self._with_memory)}"
            begin = carried.get(name) if term.has_memory else None
            process = term.process(draws, dt, dtype, start_step, begin)
            self._processes.append(process)
            if term.has_memory:
                self._with_memory[name] = process

    @property
    def row_length(self) -> int:
        return len(self._neurons)

    def chunk(self, first: int, count: int) -> NDArray[np.float64]:
        return self._values(np.arange(first, first + count))

    def at(self, steps: Steps, neurons: NDArray[np.int64]) -> NDArray[np.float64]:
        if np.array_equal(neurons, np.arange(self.row_length)):
            return self._values(steps)
        some = ComputedCurrent(
            tuple(taken(term, neurons) for term in self._terms),
            self._dt,
            self._neurons[neurons],
            self._dtype,
            self._start_step,
            {name: values[..., neurons] for name, values in self._carried.items()},
        )
        return some._values(steps)

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        """The mean of the waveforms, since every process has the mean 0: (n,)."""
        total: list[Any] = [0.0] * len(self._gains)
        size: list[Any] = [0.0] * len(self._gains)
        for step, steps in pieces(first, count, self.row_length):
            for j, waveform in enumerate(self._waveforms(np.arange(step, step + steps))):
                total[j] = total[j] + waveform.sum(axis=0)
                size[j] = size[j] + np.abs(waveform).sum(axis=0)
        mean = np.zeros(self.row_length)
        for gain, one, largest in zip(self._gains, total, size, strict=True):
            mean += gain * np.where(np.abs(one) < ROUNDING * largest, 0.0, one) / count
        return mean

    def bytes_per_step(self, itemsize: int) -> int:
        return self.row_length * max(np.dtype(np.float64).itemsize, itemsize)

    def carry(self, step: int, known: Container[str] = ()) -> dict[str, NDArray[Any]]:
        wanted = {name: each for name, each in self._with_memory.items() if name not in known}
        return {name: process.at(np.array([step]))[0] for name, process in wanted.items()}

    def active_steps(self, first: int, count: int) -> range:
        begins, ends = zip(*(term.span() for term in self._terms), strict=True)
        # A span's ends may be rounded to the next step.
        begin = int(max(first, min(begins) / self._dt - 1.0))
        end = int(min(first + count, max(ends) / self._dt + 2.0))
        return super().active_steps(begin, end - begin) if begin < end else range(0)

    def _waveforms(self, steps: Steps) -> Iterator[Waveform]:
        """Yield the waveforms of all terms: (steps, n) or (steps, 1) each."""
        for term in self._terms:
            yield from term.waveforms(steps[:, np.newaxis], self._dt)

    def _values(self, steps: Steps) -> NDArray[np.float64]:
        """I_ext of some steps and all neurons: (steps, n)."""
        total = np.zeros((len(steps), self.row_length))
        parts = [
            slice(first, first + count) for first, count in pieces(0, len(steps), self.row_length)
        ]
        for part in parts:
            for gain, waveform in zip(self._gains, self._waveforms(steps[part]), strict=True):
                total[part] += gain * waveform
        for term, process in zip(self._noises, self._processes, strict=True):
            values = process.at(steps)
            for part in parts:
                total[part] += term.sigma * values[part]
        return total

    def _width(self) -> int:
        return self.row_length

    def _flowing(self, parts: list[tuple[int, int]], direction: int) -> Iterator[int]:
        noisy = any(np.any(term.sigma) for term in self._noises)
        for first, count in parts:
            left, size = np.zeros((2, count, self.row_length))
            for gain, waveform in zip(
                self._gains, self._waveforms(np.arange(first, first + count)), strict=True
            ):
                left += gain * waveform
                size += np.abs(gain * waveform)
            on = noisy | (np.abs(left) > ROUNDING * size).any(axis=1)
            for k in np.flatnonzero(on)[::direction]:
                yield first + int(k)
