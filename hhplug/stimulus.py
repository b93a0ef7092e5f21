"""Currents over time.

A `Stimulus` is what a user writes: a sum of terms in ms and µA/cm² that knows no dt. A backend
sees one of two forms instead: a `SeparableCurrent` (gain × waveform) or an `ArrayCurrent`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from math import pi
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug import checks
from hhplug.checks import PerNeuron, known_arguments
from hhplug.clock import nearest_step
from hhplug.errors import InvalidInput, NotEnoughMemory

Steps = NDArray[np.int64]
Waveform = NDArray[np.float64]

UNIT = "µA/cm²"
PIECE = 2**16  # steps looked at in one piece while a current is summed or searched
PIECE_VALUES = 2**18  # of a waveform or of an array in one piece
ROUNDING = 1e-12  # of the terms of a sum: what they leave below it is taken for nothing


class Term(Protocol):
    """One kind of current: I_ext(k) = Σ_j gains()[j] · waveforms(k, dt)[j].

    The current of step k is that of its middle, (k + ½)·dt, held throughout.
    """

    amplitudes: ClassVar[tuple[str, ...]]  # names of the fields in µA/cm²

    def gains(self) -> tuple[PerNeuron, ...]: ...  # µA/cm²
    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]: ...

    def vanishes(self, dt: float) -> bool:  # noqa: ARG002
        """Whether it is too short for any step of dt."""
        return False


@dataclass(frozen=True, eq=False)
class Constant(Term):
    amplitudes: ClassVar[tuple[str, ...]] = ("amplitude",)

    amplitude: PerNeuron

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:  # noqa: ARG002
        return (np.ones(len(step)),)


@dataclass(frozen=True, eq=False)
class Step(Term):
    amplitudes: ClassVar[tuple[str, ...]] = ("amplitude",)

    amplitude: PerNeuron
    start: float
    stop: float

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        return (_between(step, self.start, self.stop, dt),)

    def vanishes(self, dt: float) -> bool:
        return nearest_step(self.start, dt) == nearest_step(self.stop, dt)


@dataclass(frozen=True, eq=False)
class PulseTrain(Term):
    amplitudes: ClassVar[tuple[str, ...]] = ("amplitude",)

    amplitude: PerNeuron
    start: float
    width: float
    period: float
    count: int

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        if self.width == self.period:  # there is nothing between the pulses
            return (_between(step, self.start, self.start + self.count * self.period, dt),)
        on = np.zeros(len(step))
        width = nearest_step(self.width, dt)  # once, so that all pulses are alike
        middle = np.floor(((step + 0.5) * dt - self.start) / self.period)
        for pulse in (middle - 1.0, middle, middle + 1.0):  # rounding may move one to its neighbour
            onset = nearest_step(self.start + pulse * self.period, dt)
            inside = (onset <= step) & (step < onset + width)
            on[inside & (0.0 <= pulse) & (pulse < self.count)] = 1.0
        return (on,)

    def vanishes(self, dt: float) -> bool:
        return self.width < self.period and nearest_step(self.width, dt) == 0


@dataclass(frozen=True, eq=False)
class Ramp(Term):
    amplitudes: ClassVar[tuple[str, ...]] = ("first", "last")

    first: PerNeuron
    last: PerNeuron
    start: float
    stop: float

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.first, self.last)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        on = _between(step, self.start, self.stop, dt)
        done = np.clip(((step + 0.5) * dt - self.start) / (self.stop - self.start), 0.0, 1.0)
        return (on * (1.0 - done), on * done)

    def vanishes(self, dt: float) -> bool:
        return nearest_step(self.start, dt) == nearest_step(self.stop, dt)


@dataclass(frozen=True, eq=False)
class Sine(Term):
    amplitudes: ClassVar[tuple[str, ...]] = ("amplitude", "offset")

    amplitude: PerNeuron
    frequency: float  # Hz
    phase: float = 0.0  # rad
    offset: PerNeuron = 0.0

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude, self.offset) if self._is_offset else (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        cycles = self.frequency * 1e-3 * ((step + 0.5) * dt)
        wave = np.sin(2.0 * pi * cycles + self.phase)
        return (wave, np.ones(len(step))) if self._is_offset else (wave,)

    @property
    def _is_offset(self) -> bool:
        return isinstance(self.offset, np.ndarray) or self.offset != 0.0


def _between(step: Steps, start: float, stop: float, dt: float) -> Waveform:
    """1 for the steps round(start/dt) ≤ k < round(stop/dt), else 0."""
    first, end = nearest_step(start, dt), nearest_step(stop, dt)
    return ((first <= step) & (step < end)).astype(np.float64)


KINDS: dict[str, type[Term]] = {
    "constant": Constant,
    "step": Step,
    "pulse_train": PulseTrain,
    "ramp": Ramp,
    "sine": Sine,
}


def kind_of(term: Term) -> str:
    """The name of the term's kind, a key of KINDS."""
    return next(name for name, kind in KINDS.items() if isinstance(term, kind))


class Stimulus:
    """A current over time: a sum of terms. Make one with the class methods below.

    Amplitudes are in µA/cm², a number for all neurons or an (n,) array; times in ms. Stimuli are
    added and subtracted; `2 * stimulus` scales every amplitude, and so does an (n,) array, neuron
    by neuron. The current is held during each step at its value in the step's middle, so a ramp
    or a sine is a staircase of width dt. An edge falls on the nearest beginning of a step.
    """

    __array_ufunc__ = None  # array + Stimulus comes to __radd__, not to NumPy's broadcasting

    def __init__(self, terms: tuple[Term, ...] = ()):
        kinds = tuple(KINDS.values())
        if not (isinstance(terms, tuple) and all(isinstance(term, kinds) for term in terms)):
            raise InvalidInput(
                "make a Stimulus with Stimulus.constant(amplitude), step, pulse_train, ramp or "
                f"sine, and add them with +; Stimulus(...) got {type(terms).__name__}"
            )
        self.terms = terms
        self.gains: tuple[PerNeuron, ...] = tuple(g for term in terms for g in term.gains())
        sizes = {len(gain) for gain in self.gains if isinstance(gain, np.ndarray)}
        if len(sizes) > 1:
            raise InvalidInput(
                f"the amplitudes of a stimulus must be for equally many neurons, "
                f"got {' and '.join(map(str, sorted(sizes)))}"
            )
        self.batch_size: int | None = sizes.pop() if sizes else None

    @classmethod
    @known_arguments
    def constant(cls, amplitude: ArrayLike) -> "Stimulus":
        """The same current all the time."""
        return cls((Constant(_amplitude("amplitude", amplitude)),))

    @classmethod
    @known_arguments
    def step(cls, amplitude: ArrayLike, start: float, stop: float) -> "Stimulus":
        """A current from start to stop (ms): the steps round(start/dt) ≤ k < round(stop/dt)."""
        start, stop = checks.interval(start, stop)
        return cls((Step(_amplitude("amplitude", amplitude), start, stop),))

    @classmethod
    @known_arguments
    def pulse_train(
        cls, amplitude: ArrayLike, start: float, width: float, period: float, count: int
    ) -> "Stimulus":
        """`count` pulses of `width` ms, the first at `start`, then one every `period` ms.

        All are round(width/dt) steps wide and begin at the step nearest to their time; if width
        is the period, they are one pulse.
        """
        start = checks.number("start", start, "ms")
        width = checks.positive("width", width, "ms")
        period = checks.positive("period", period, "ms")
        count = checks.whole("count", count, 1)
        if abs(width - period) <= ROUNDING * period:
            width = period
        if not width <= period:
            raise InvalidInput(
                f"width must be at most the period of {period} ms, or pulses overlap, got {width}"
            )
        return cls((PulseTrain(_amplitude("amplitude", amplitude), start, width, period, count),))

    @classmethod
    @known_arguments
    def ramp(cls, first: ArrayLike, last: ArrayLike, start: float, stop: float) -> "Stimulus":
        """A straight line from `first` at start to `last` at stop (ms), 0 before and after."""
        start, stop = checks.interval(start, stop)
        return cls((Ramp(_amplitude("first", first), _amplitude("last", last), start, stop),))

    @classmethod
    @known_arguments
    def sine(
        cls, amplitude: ArrayLike, frequency: float, phase: float = 0.0, offset: ArrayLike = 0.0
    ) -> "Stimulus":
        """offset + amplitude · sin(2π · frequency · t + phase); frequency in Hz, phase in rad."""
        return cls(
            (
                Sine(
                    _amplitude("amplitude", amplitude),
                    checks.positive("frequency", frequency, "Hz"),
                    checks.number("phase", phase, "rad"),
                    _amplitude("offset", offset),
                ),
            )
        )

    def __add__(self, other: Any) -> "Stimulus":
        if not isinstance(other, Stimulus):
            raise self._not_added_to(other, "{array} + {sampled}")
        return Stimulus(self.terms + other.terms)

    def __radd__(self, other: Any) -> "Stimulus":
        return self if isinstance(other, int) and other == 0 else self + other  # 0 begins sum()

    def __sub__(self, other: Any) -> "Stimulus":
        if not isinstance(other, Stimulus):
            raise self._not_added_to(other, "{sampled} - {array}")
        return self + -other

    def __rsub__(self, other: Any) -> "Stimulus":
        raise self._not_added_to(other, "{array} - {sampled}")

    def __neg__(self) -> "Stimulus":
        return self * -1.0

    def __mul__(self, factor: Any) -> "Stimulus":
        if isinstance(factor, Stimulus):
            raise InvalidInput("a Stimulus is multiplied by numbers, not by another Stimulus")
        factor = checks.per_neuron("factor", factor, checks.PURE)
        if self.batch_size not in (None, *np.shape(factor)) and np.ndim(factor):
            raise InvalidInput(
                f"factor must have one value for each of the {self.batch_size} neurons of the "
                f"stimulus, got {np.size(factor)}"
            )
        return Stimulus(tuple(_scaled(term, factor) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> "Stimulus":
        if isinstance(divisor, Stimulus):
            raise InvalidInput("a Stimulus is divided by numbers, not by another Stimulus")
        with np.errstate(divide="ignore"):
            return self * (1.0 / np.asarray(checks.per_neuron("divisor", divisor, checks.PURE)))

    def _not_added_to(self, other: Any, instead: str) -> InvalidInput:
        """The error that says what to write instead, of shapes that NumPy can add."""
        shape = checks.numpy_array("other", other, "an array").shape
        if shape:
            column = "[:, np.newaxis]"
            sampled = f"stimulus.sample(dt, n_steps={shape[0]})"
            instead = instead.format(
                array="array" + (column if len(shape) == 1 and self.batch_size else ""),
                sampled=sampled + (column if len(shape) == 2 and not self.batch_size else ""),
            )
            instead = (
                f"pass {instead}, an array of each step's current "
                "(with start_step= where the run begins later)"
            )
        else:
            instead = "for a number use Stimulus.constant(number)"
        kind = type(other).__name__
        return InvalidInput(f"a Stimulus is added to a Stimulus, not to a {kind}; {instead}")

    def __repr__(self) -> str:
        with np.printoptions(threshold=6, edgeitems=2, precision=6, linewidth=1000):
            return " + ".join(map(_term_repr, self.terms)) or "Stimulus()"

    def vanishing(self, dt: float) -> list[str]:
        """The terms that are too short for any step of dt (ms), as they are written."""
        return [_term_repr(term) for term in self.terms if term.vanishes(dt)]

    @known_arguments
    def sample(self, dt: float, n_steps: int, start_step: int = 0) -> NDArray[np.float64]:
        """The current during each of n_steps steps from start_step on, µA/cm².

        Shape (n_steps,), or (n_steps, n) where an amplitude is per neuron.
        """
        dt = checks.positive("dt", dt, "ms")
        n_steps = checks.whole("n_steps", n_steps, 0)
        start_step = checks.whole("start_step", start_step, 0)
        current = SeparableCurrent(self, dt)
        shape = n_steps, self.batch_size or 1
        try:
            sampled = np.empty(shape)
        except (MemoryError, ValueError) as error:  # ValueError: beyond any address
            raise NotEnoughMemory(f"no room for n_steps={n_steps}: {error}", "fewer") from error
        for row, I_ext in zip(sampled, current.rows(start_step, n_steps), strict=True):
            row[:] = I_ext
        return sampled[:, 0] if self.batch_size is None else sampled


def _term_repr(term: Term) -> str:
    first, *rest = fields(term)  # type: ignore[arg-type]
    arguments = [repr(getattr(term, first.name))]
    arguments += [f"{field.name}={getattr(term, field.name)!r}" for field in rest]
    return f"Stimulus.{kind_of(term)}({', '.join(arguments)})"


def _scaled(term: Term, factor: PerNeuron) -> Term:
    """The term with its amplitudes times the factor."""
    changes = {}
    for name in term.amplitudes:
        amplitude = getattr(term, name)
        # None stays none, for all neurons; the first amplitude says how many neurons there are.
        if np.ndim(amplitude) or amplitude != 0.0 or name == term.amplitudes[0]:
            changes[name] = _amplitude(name, amplitude * factor + 0.0)
    return replace(term, **changes)  # type: ignore[type-var]


def _amplitude(name: str, value: ArrayLike) -> PerNeuron:
    return checks.per_neuron(name, value, UNIT)


class SeparableCurrent:
    """I_ext[k, i] = Σ_j gain[j, i] · waveform[k, j], summed in the order of j.

    gain: (J, n), or (J, 1) where no amplitude is per neuron; µA/cm².
    """

    def __init__(self, stimulus: Stimulus, dt: float):
        self.dt = dt
        self._terms = stimulus.terms
        width = stimulus.batch_size or 1
        self.gain = np.zeros((len(stimulus.gains), width))
        for row, gain in zip(self.gain, stimulus.gains, strict=True):
            row[:] = gain
        self.gain.flags.writeable = False

    @property
    def is_constant(self) -> bool:
        """Whether every row of the waveform is the same."""
        return all(isinstance(term, Constant) for term in self._terms)

    def waveform(self, first: int, count: int) -> NDArray[np.float64]:
        """Steps first ≤ k < first + count, counted from time zero: (count, J)."""
        return self._waveform_at(np.arange(first, first + count))

    def _waveform_at(self, step: Steps) -> NDArray[np.float64]:
        columns = [w for term in self._terms for w in term.waveforms(step, self.dt)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(step), 0))

    def rows(self, first: int, count: int) -> Iterator[NDArray[np.float64]]:
        """I_ext of each step, µA/cm²: (n,), or (1,) for all neurons."""
        for waveform in self.waveform(first, count):
            yield _summed(self.gain, waveform)

    def at(self, steps: Steps, neurons: NDArray[np.int64]) -> NDArray[np.float64]:
        """I_ext of some steps and neurons, µA/cm²: (steps, neurons), or (steps, 1) for all."""
        gain = self.gain[:, neurons] if self.gain.shape[1] > 1 else self.gain
        return _summed(gain[:, np.newaxis], self._waveform_at(steps).T[..., np.newaxis])

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        """The current's mean over steps, µA/cm²: (n,), or (1,) for all neurons."""
        total, size = np.zeros((2, len(self.gain)))
        for step, steps in self._pieces(first, count):
            waveform = self.waveform(step, steps)
            total += waveform.sum(axis=0)
            size += np.abs(waveform).sum(axis=0)
        total[np.abs(total) < ROUNDING * size] = 0.0  # a sine over whole periods
        return _summed(self.gain, total / count)

    def active_steps(self, first: int, count: int) -> range:
        """From the first to the last step in which any neuron has a current; empty if none has."""
        pieces = list(self._pieces(first, count))
        begin = next(self._flowing(pieces, 1), None)
        end = next(self._flowing(pieces[::-1], -1), None)
        return range(0) if begin is None or end is None else range(begin, end + 1)

    def _flowing(self, pieces: list[tuple[int, int]], direction: int) -> Iterator[int]:
        for first, count in pieces:
            waveform = self.waveform(first, count)
            nothing = np.zeros(waveform.shape[1])  # the last waveform whose currents cancel out
            for k in np.flatnonzero(waveform.any(axis=1))[::direction]:
                if np.array_equal(waveform[k], nothing):
                    continue
                left = np.abs(_summed(self.gain, waveform[k]))
                size = _summed(np.abs(self.gain), np.abs(waveform[k]))
                if (left > ROUNDING * size).any():
                    yield first + int(k)
                nothing = waveform[k]

    def _pieces(self, first: int, count: int) -> Iterator[tuple[int, int]]:
        return _pieces(first, count, len(self.gain))


def _summed(gain: NDArray[np.float64], waveform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_j gain[j] · waveform[j], in the order of j."""
    # By element and never as a matrix product, whose rounding depends on the shape.
    I_ext = np.zeros(np.broadcast_shapes(gain.shape[1:], waveform.shape[1:]))
    for one_gain, one_waveform in zip(gain, waveform, strict=True):
        I_ext += one_gain * one_waveform
    return I_ext


def _pieces(first: int, count: int, width: int) -> Iterator[tuple[int, int]]:
    """(first, count) of pieces of the steps, each of PIECE_VALUES numbers at most."""
    longest = max(1, min(PIECE, PIECE_VALUES // max(width, 1)))
    for step in range(first, first + count, longest):
        yield step, min(longest, first + count - step)


class ArrayCurrent:
    """The user's own array, µA/cm²: (n_steps,) or (n_steps, n), its first row at start_step."""

    def __init__(self, array: NDArray[Any], start_step: int):
        self.array = array
        self._start_step = start_step

    def chunk(self, first: int, count: int) -> NDArray[Any]:
        """A view of the rows of steps first ≤ k < first + count, in the user's dtype."""
        row = first - self._start_step
        return self.array[row : row + count]

    def rows(self, first: int, count: int) -> Iterator[NDArray[np.float64]]:
        """I_ext of each step, µA/cm²: (n,), or (1,) for all neurons."""
        for row in self.chunk(first, count):
            yield np.atleast_1d(row).astype(np.float64)

    def at(self, steps: Steps, neurons: NDArray[np.int64]) -> NDArray[np.float64]:
        """I_ext of some steps and neurons, µA/cm²: (steps, neurons), or (steps, 1) for all."""
        rows = steps - self._start_step
        if self.array.ndim == 1:
            return self.array[rows, np.newaxis].astype(np.float64)
        return self.array[np.ix_(rows, neurons)].astype(np.float64)  # copies nothing else

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        """The current's mean over steps, µA/cm²: (n,), or (1,) for all neurons."""
        chunk = self.chunk(first, count)
        mean = np.atleast_1d(chunk.mean(axis=0, dtype=np.float64))
        largest = max(abs(float(chunk.max())), abs(float(chunk.min())))
        return np.where(np.abs(mean) < ROUNDING * largest, 0.0, mean)

    def active_steps(self, first: int, count: int) -> range:
        """From the first to the last step in which any neuron has a current; empty if none has."""
        pieces = list(_pieces(first, count, self.array[0].size))
        begin = next(self._flowing(pieces, 0), None)
        end = next(self._flowing(pieces[::-1], -1), None)
        return range(0) if begin is None or end is None else range(begin, end + 1)

    def _flowing(self, pieces: list[tuple[int, int]], which: int) -> Iterator[int]:
        for first, count in pieces:
            chunk = self.chunk(first, count)
            on = np.flatnonzero((chunk.reshape(count, -1) != 0).any(axis=1))
            if on.size:
                yield first + int(on[which])


Current = SeparableCurrent | ArrayCurrent
