"""A problem's current as backends see it: its rows, and the two forms that it has."""

from abc import ABC, abstractmethod
from collections.abc import Container, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug.checks import PerNeuron
from hhplug.currents.pieces import Steps, pieces
from hhplug.currents.terms import ROUNDING, Term

if TYPE_CHECKING:
    from hhplug.currents.noisy import Noise


class Current(ABC):
    """The current of every step of a run, µA/cm².

    Any backend can use `rows`. A backend that evaluates the current itself uses the form that isn't
    None: `separable`, `array`, or `noise` if it declares that capability.
    """

    @property
    def separable(self) -> "SeparableCurrent | None":
        """The form gain × waveform, or None."""
        return None

    @property
    def array(self) -> "RowCurrent | None":
        """The form of rows, as the user's own array has it, or None."""
        return None

    @property
    def noise(self) -> "Noise | None":
        """The form gain × waveform + sigma × process, or None."""
        return None

    @abstractmethod
    def rows(self, first: int, count: int) -> Iterator[NDArray[np.float64]]:
        """I_ext of each of the steps first ≤ k < first + count: (n,), or (1,) for all neurons."""

    @abstractmethod
    def at(self, steps: Steps, neurons: NDArray[np.int64]) -> NDArray[np.float64]:
        """I_ext of some steps and neurons: (steps, neurons), or (steps, 1) for all neurons."""

    @abstractmethod
    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        """The mean over the steps first ≤ k < first + count: (n,), or (1,) for all neurons."""

    @abstractmethod
    def constant_over(self, first: int, count: int) -> bool:
        """Whether I_ext is known to be the same in all steps first ≤ k < first + count."""

    @abstractmethod
    def bytes_per_step(self, itemsize: int) -> int:
        """Bytes of the values that describe one step's current, each of itemsize bytes or more."""

    @abstractmethod
    def gain_over(self, C_m: ArrayLike) -> NDArray[np.float64]:
        """Gain of each waveform over C_m (µF/cm²): (J, n) or (J, 1), with J = 0 for rows."""

    def carry(self, step: int, known: Container[str] = ()) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        """What a run that goes on at this step needs of this current, for `State.carry`.

        known: names of what need not be computed, because it is at hand.
        """
        return {}

    @abstractmethod
    def _flowing(self, parts: list[tuple[int, int]], direction: int) -> Iterator[int]:
        """Yield the steps of parts (first, count) in which any neuron has a current.

        direction: the order of the steps within a part, 1 (forwards) or −1 (backwards).
        """

    @abstractmethod
    def _width(self) -> int:
        """How many values describe the current of one step."""

    def active_steps(self, first: int, count: int) -> range:
        """From the first to the last step in which any neuron has a current; empty if none has."""
        parts = list(pieces(first, count, self._width()))
        begin = next(self._flowing(parts, 1), None)
        end = next(self._flowing(parts[::-1], -1), None)
        return range(0) if begin is None or end is None else range(begin, end + 1)


class SeparableCurrent(Current):
    """I_ext[k, i] = Σ_j gain[j, i] · waveform[k, j], summed in the order of j."""

    gains: tuple[PerNeuron, ...]
    """The gain of each waveform, a number or (n,), µA/cm²."""

    def __init__(self, terms: tuple[Term, ...], dt: float):
        self.dt = dt
        self._terms = terms
        self.gains = tuple(gain for term in terms for gain in term.gains())

    @cached_property
    def gain(self) -> NDArray[np.float64]:
        """The gains, (J, n), or (J, 1) where none is per neuron; µA/cm²."""
        width = max((np.size(gain) for gain in self.gains), default=1)
        rows = np.zeros((len(self.gains), width))
        for row, gain in zip(rows, self.gains, strict=True):
            row[:] = gain
        rows.flags.writeable = False
        return rows

    @property
    def separable(self) -> "SeparableCurrent":
        return self

    def waveform(self, first: int, count: int) -> NDArray[np.float64]:
        """Steps first ≤ k < first + count, counted from time zero: (count, J)."""
        return self._waveform_at(np.arange(first, first + count))

    def _waveform_at(self, step: Steps) -> NDArray[np.float64]:
        columns = [w for term in self._terms for w in term.waveforms(step, self.dt)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(step), 0))

    def rows(self, first: int, count: int) -> Iterator[NDArray[np.float64]]:
        for waveform in self.waveform(first, count):
            yield summed(self.gain, waveform)

    def at(self, steps: Steps, neurons: NDArray[np.int64]) -> NDArray[np.float64]:
        gain = self.gain[:, neurons] if self.gain.shape[1] > 1 else self.gain
        return summed(gain[:, np.newaxis], self._waveform_at(steps).T[..., np.newaxis])

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        total, size = np.zeros((2, self._width()))
        for step, steps in pieces(first, count, self._width()):
            waveform = self.waveform(step, steps)
            total += waveform.sum(axis=0)
            size += np.abs(waveform).sum(axis=0)
        total[np.abs(total) < ROUNDING * size] = 0.0  # for example a sine over whole periods
        return summed(self.gain, total / count)

    def constant_over(self, first: int, count: int) -> bool:
        if all(term.is_constant for term in self._terms):
            return True
        same = self.waveform(first, 1)
        some = np.array([first + count // 2, first + count - 1])  # they tell of most that change
        if not (self._waveform_at(some) == same).all():
            return False
        parts = pieces(first, count, self._width())
        return all((self.waveform(step, steps) == same).all() for step, steps in parts)

    def bytes_per_step(self, itemsize: int) -> int:
        return self._width() * max(np.dtype(np.float64).itemsize, itemsize)

    def gain_over(self, C_m: ArrayLike) -> NDArray[np.float64]:
        return self.gain / np.asarray(C_m)

    def gain_row_over(self, j: int, C_m: PerNeuron, part: slice) -> NDArray[np.float64]:
        """Row j of `gain_over` for some of the neurons: (neurons,), or (1,) for all."""
        gain, capacitance = np.atleast_1d(self.gains[j]), np.atleast_1d(C_m)
        of_part = [each[part] if each.size > 1 else each for each in (gain, capacitance)]
        return of_part[0] / of_part[1]

    def _width(self) -> int:
        return len(self.gains)

    def _flowing(self, parts: list[tuple[int, int]], direction: int) -> Iterator[int]:
        for first, count in parts:
            waveform = self.waveform(first, count)
            nothing = np.zeros(waveform.shape[1])  # the last waveform whose currents cancel out
            for k in np.flatnonzero(waveform.any(axis=1))[::direction]:
                if np.array_equal(waveform[k], nothing):
                    continue
                left = np.abs(summed(self.gain, waveform[k]))
                size = summed(np.abs(self.gain), np.abs(waveform[k]))
                if (left > ROUNDING * size).any():
                    yield first + int(k)
                nothing = waveform[k]


class RowCurrent(Current):
    """A current that is read in rows: a value for each neuron, or one for all, in each step."""

    @property
    def array(self) -> "RowCurrent | None":
        return self

    @property
    @abstractmethod
    def row_length(self) -> int:
        """Numbers in a step's current: n, or 1 for all neurons."""

    @abstractmethod
    def chunk(self, first: int, count: int) -> NDArray[Any]:
        """The rows of steps first ≤ k < first + count: (count, n), or (count,) for all neurons.

        They may have any real dtype.
        """

    def rows(self, first: int, count: int) -> Iterator[NDArray[np.float64]]:
        for row in self.chunk(first, count):
            yield np.atleast_1d(row).astype(np.float64)

    def constant_over(self, first: int, count: int) -> bool:  # noqa: ARG002
        return False  # to find out, all rows would have to be read

    def gain_over(self, C_m: ArrayLike) -> NDArray[np.float64]:  # noqa: ARG002
        return np.empty((0, 1))


class ArrayCurrent(RowCurrent):
    """The user's own array, which is never copied or cast whole.

    values: (n_steps,) for all neurons or (n_steps, …), the first row for step start_step.
    columns: the column of each neuron; None if neuron i has column i.
    """

    def __init__(
        self, values: NDArray[Any], start_step: int, columns: NDArray[np.int64] | None = None
    ):
        self.values, self._columns = values, columns
        self._start_step = start_step

    def chunk(self, first: int, count: int) -> NDArray[Any]:
        """The rows in the user's dtype. They are a view, or a copy if `columns` was given."""
        row = first - self._start_step
        rows = self.values[row : row + count]
        return rows if self._columns is None else rows[:, self._columns]

    @property
    def row_length(self) -> int:
        return self.values[0].size if self._columns is None else len(self._columns)

    def at(self, steps: Steps, neurons: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = steps - self._start_step
        if self.values.ndim == 1:
            return self.values[rows, np.newaxis].astype(np.float64)
        columns = neurons if self._columns is None else self._columns[neurons]
        return self.values[np.ix_(rows, columns)].astype(np.float64)  # copies nothing else

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        row = first - self._start_step
        rows = self.values[row : row + count]
        mean = np.atleast_1d(rows.mean(axis=0, dtype=np.float64))
        largest = max(abs(float(rows.max())), abs(float(rows.min())))
        if self._columns is not None:
            mean = mean[self._columns]
        return np.where(np.abs(mean) < ROUNDING * largest, 0.0, mean)

    def bytes_per_step(self, itemsize: int) -> int:
        return self.row_length * max(self.values.itemsize, itemsize)

    def _width(self) -> int:
        return self.values[0].size  # whole rows are read, whichever columns are used

    def _flowing(self, parts: list[tuple[int, int]], direction: int) -> Iterator[int]:
        for first, count in parts:
            chunk = self.chunk(first, count)
            on = np.flatnonzero((chunk.reshape(count, -1) != 0).any(axis=1))
            for k in on[::direction]:
                yield first + int(k)


def summed(gain: NDArray[np.float64], waveform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_j gain[j] · waveform[j], in the order of j."""
    # The rounding of a matrix product would depend on the shape.
    I_ext = np.zeros(np.broadcast_shapes(gain.shape[1:], waveform.shape[1:]))
    for one_gain, one_waveform in zip(gain, waveform, strict=True):
        I_ext += one_gain * one_waveform
    return I_ext
