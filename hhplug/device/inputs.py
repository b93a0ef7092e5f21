"""What a session uploads before its first launch: constants, rows, gains, what a noise needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.current import SeparableCurrent
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

    rows: returns them when they are uploaded. Each has `width` elements.
    sources: the objects and values from which the rows follow, and nothing else; an array on the
    device that was made of the same needn't be uploaded again. Empty if that can't be said.
    """

    n_rows: int
    width: int
    dtype: np.dtype
    rows: Callable[[], Sequence[Source]]
    sources: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.n_rows * self.width


def inputs_of(
    problem: Problem,
    program: Program,
    constants: Sequence[float],
    held: Callable[[], NDArray[Any]] | None,
) -> dict[str, Input]:
    """The inputs of a run, by the names that `DeviceSession` explains.

    held: returns the current of every step, (1, J), if all steps have the same.
    """
    real, noise = np.dtype(problem.dtype), problem.current.noise
    parameters, n = problem.parameters, problem.n_neurons
    width = n if any(map(_is_per_neuron, parameters.values())) else 1
    gains = _gains(problem)
    gain_width = n if any(map(_is_per_neuron, (parameters["C_m"], *gains))) else 1
    computed_from = (parameters, problem.dt, problem.dtype, n)
    driven_by = (*computed_from, problem.stimulus)
    steps = problem.start_step, problem.n_steps
    some = problem.record_neurons is not None
    inputs = {
        "constants": Input(
            1, len(constants), real, lambda: [np.array(constants)], tuple(constants)
        ),
        "rows": Input(
            len(program.rows),
            width,
            real,
            lambda: _rows(problem, program, width),
            (*computed_from, program.digest),
        ),
        "gain": Input(
            max(1, len(gains)), gain_width, real, lambda: _gain_rows(problem, gain_width), driven_by
        ),
        "column": Input(1, n if some else 0, INT, lambda: [_column(problem)]),
        "held": Input(
            1 if held else 0,
            max(1, len(gains)),
            real,
            lambda: [held()] if held else [],
            (*driven_by, *steps),
        ),
    }
    return inputs | _of_noise(noise, problem, driven_by) if noise else inputs


def _of_noise(noise: Noise, problem: Problem, driven_by: tuple[Any, ...]) -> dict[str, Input]:
    """What a noise adds to the inputs."""
    process, words = _process(noise, problem), _words_of_neurons(noise)
    table = np.stack(quantiles(), axis=1)
    real = np.dtype(problem.dtype)
    return {
        "process": Input(len(process), process[0].size, real, lambda: process, driven_by),
        "quantiles": Input(len(table), 2, SINGLE, lambda: [table], ("quantiles",)),
        "neurons": Input(2, words.shape[1], INT, lambda: [words]),
    }


def _is_per_neuron(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size > 1


def separable_of(problem: Problem) -> SeparableCurrent | None:
    """The separable current, or that beside the noise."""
    current = problem.current
    return current.noise.separable if current.noise else current.separable


def _gains(problem: Problem) -> Sequence[Any]:
    separable = separable_of(problem)
    return separable.gains if separable else ()


def _column(problem: Problem) -> NDArray[np.int32]:
    """The column of each neuron, (N,), −1 for those that aren't recorded."""
    column = np.full(problem.n_neurons, -1, np.int32)
    column[problem.record_neurons] = np.arange(problem.n_recorded)
    return column


def _rows(problem: Problem, program: Program, width: int) -> list[Source]:
    """The program's rows: each (N,), or (1,) if no parameter is per neuron."""
    values: dict[str, Any] = {**problem.parameters, "dt": problem.dt}

    def of_part(row: Sum, part: slice) -> NDArray[Any]:
        return row.value(_part_of(values, part))

    return [Computed(width, partial(of_part, row)) for row in program.rows.values()]


def _part_of(values: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """The values of some of the neurons."""
    return {name: value[part] if _is_per_neuron(value) else value for name, value in values.items()}


def _gain_rows(problem: Problem, width: int) -> list[Source]:
    """The gains over C_m: each (N,) or (1,); a single zero where there is no waveform."""
    separable, C_m = separable_of(problem), problem.parameters["C_m"]
    if not separable or not separable.gains:
        return [np.zeros(width)]
    rows = range(len(separable.gains))
    return [Computed(width, partial(separable.gain_row_over, j, C_m)) for j in rows]


def _process(noise: Noise, problem: Problem) -> list[Source]:
    """Decay, kick and sigma over C_m of the noise: each (N,) or (1,)."""
    of = noise.recursion
    rows = of.decay, of.kick, np.atleast_1d(noise.sigma / problem.parameters["C_m"])
    return list(np.broadcast_arrays(*rows))


def _words_of_neurons(noise: Noise) -> NDArray[np.int32]:
    """Low and high words of the neurons' numbers, (2, N); (2, 0) if they are consecutive."""
    if (np.diff(noise.neurons) == 1).all():
        return np.empty((2, 0), np.int32)
    words = noise.neurons & 0xFFFFFFFF, noise.neurons >> 32
    return np.stack(words).astype(np.uint32).view(np.int32)
