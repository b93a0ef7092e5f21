"""What a session uploads before its first launch: constants, rows, gains, what a noise needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.noise import quantiles
from hhplug.currents.noisy import Noise
from hhplug.device.transfers import Computed, Source
from hhplug.lowering.canonical import Sum
from hhplug.lowering.program import Program
from hhplug.problem import Problem

INT, SINGLE = np.dtype(np.int32), np.dtype(np.float32)


@dataclass(frozen=True)
class Input:
    """An array for the device: its rows, one after another, and the type that they have there.

    sources: the objects and values from which the rows follow, and nothing else; an array on the
    device that was made of the same needn't be uploaded again. Empty if that can't be said.
    """

    rows: Sequence[Source]
    dtype: np.dtype
    sources: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return sum(row.size for row in self.rows)

    @property
    def width(self) -> int:
        """Elements of each row: N, or 1 for all neurons."""
        return self.rows[0].size if self.rows else 1


def inputs_of(problem: Problem, program: Program, constants: Sequence[float]) -> dict[str, Input]:
    """The inputs of a run, by the names that `DeviceSession` explains."""
    real, noise = np.dtype(problem.dtype), problem.current.noise
    parameters, stimulus = problem.parameters, problem.stimulus
    computed_from = (parameters, problem.dt, problem.dtype, problem.n_neurons)
    column = np.empty(0, np.int32)
    if problem.record_neurons is not None:
        column = np.full(problem.n_neurons, -1, np.int32)
        column[problem.record_neurons] = np.arange(problem.n_recorded)
    table = np.stack(quantiles(), axis=1).reshape(-1) if noise else np.empty(0, np.float32)
    return {
        "constants": Input([np.array(constants)], real, tuple(constants)),
        "rows": Input(_rows(problem, program), real, (*computed_from, program.digest)),
        "gain": Input(_gains(problem), real, (*computed_from, stimulus)),
        "process": Input(_process(problem), real, (*computed_from, stimulus)),
        "quantiles": Input([table], SINGLE, ("quantiles",)),
        "neurons": Input([_words_of_neurons(noise).reshape(-1)], INT),
        "column": Input([column], INT),
    }


def _rows(problem: Problem, program: Program) -> list[Source]:
    """The program's rows: each (N,), or (1,) if no parameter is per neuron."""
    values: dict[str, Any] = {**problem.parameters, "dt": problem.dt}
    per_neuron = any(np.size(value) > 1 for value in values.values())
    width = problem.n_neurons if per_neuron else 1

    def of_part(row: Sum, part: slice) -> NDArray[Any]:
        return row.value(_part_of(values, part))

    rows = program.rows.values()
    return [Computed(width, partial(of_part, row)) for row in rows]


def _part_of(values: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """The values of some of the neurons."""
    return {
        name: value[part] if isinstance(value, np.ndarray) and value.size > 1 else value
        for name, value in values.items()
    }


def _gains(problem: Problem) -> list[Source]:
    """The gains over C_m: each (N,) or (1,); a single zero where there is no waveform."""
    current, C_m = problem.current, problem.parameters["C_m"]
    separable = current.noise.separable if current.noise else current.separable
    if not separable or not separable.gains:
        return [np.zeros(1)]
    width = max(np.size(value) for value in (C_m, *separable.gains))
    if width == 1:
        return list(separable.gain_over(C_m))
    rows = range(len(separable.gains))
    return [Computed(width, partial(separable.gain_row_over, j, C_m)) for j in rows]


def _process(problem: Problem) -> list[Source]:
    """Decay, kick and sigma over C_m of the noise: each (N,) or (1,); nothing without one."""
    noise = problem.current.noise
    if not noise:
        return []
    of = noise.recursion
    rows = of.decay, of.kick, np.atleast_1d(noise.sigma / problem.parameters["C_m"])
    return list(np.broadcast_arrays(*rows))


def _words_of_neurons(noise: Noise | None) -> NDArray[np.int32]:
    """Low and high words of the neurons' numbers, (2, N); empty if they are consecutive."""
    if not noise or (np.diff(noise.neurons) == 1).all():
        return np.empty((2, 0), np.int32)
    words = noise.neurons & 0xFFFFFFFF, noise.neurons >> 32
    return np.stack(words).astype(np.uint32).view(np.int32)
