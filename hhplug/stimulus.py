"""Currents over time.

A `Stimulus` is what a user writes: a sum of terms in ms and µA/cm² that knows no dt. A backend
sees one of two forms instead: a `SeparableCurrent` (gain × waveform) or an `ArrayCurrent`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import pi
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug import checks
from hhplug.checks import PerNeuron
from hhplug.errors import InvalidInput, NotEnoughMemory

Steps = NDArray[np.int64]
Waveform = NDArray[np.float64]

UNIT = "µA/cm²"
MEAN_STEPS = 2**16  # of a waveform held at a time while its mean is taken


class Term(Protocol):
    """One kind of current: I_ext(k) = Σ_j gains()[j] · waveforms(k, dt)[j]."""

    def gains(self) -> tuple[PerNeuron, ...]: ...  # µA/cm²
    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]: ...


@dataclass(frozen=True, eq=False)
class Constant:
    amplitude: PerNeuron

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:  # noqa: ARG002
        return (np.ones(len(step)),)


@dataclass(frozen=True, eq=False)
class Step:
    amplitude: PerNeuron
    start: float
    stop: float

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        return (_between(step, self.start, self.stop, dt),)


@dataclass(frozen=True, eq=False)
class PulseTrain:
    amplitude: PerNeuron
    start: float
    width: float
    period: float
    count: int

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        on = np.zeros(len(step))
        middle = np.floor(((step + 0.5) * dt - self.start) / self.period)
        for pulse in (middle - 1.0, middle, middle + 1.0):  # an edge may be at the middle of a step
            onset = self.start + pulse * self.period
            inside = (np.rint(onset / dt) <= step) & (step < np.rint((onset + self.width) / dt))
            on[inside & (0.0 <= pulse) & (pulse < self.count)] = 1.0
        return (on,)


@dataclass(frozen=True, eq=False)
class Ramp:
    first: PerNeuron
    last: PerNeuron
    start: float
    stop: float

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.first, self.last)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        on = _between(step, self.start, self.stop, dt)
        done = np.clip((step * dt - self.start) / (self.stop - self.start), 0.0, 1.0)
        return (on * (1.0 - done), on * done)


@dataclass(frozen=True, eq=False)
class Sine:
    amplitude: PerNeuron
    frequency: float  # Hz
    phase: float = 0.0  # rad
    offset: PerNeuron = 0.0

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude, self.offset) if self._is_offset else (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        cycles = self.frequency * 1e-3 * (step * dt)
        wave = np.sin(2.0 * pi * cycles + self.phase)
        return (wave, np.ones(len(step))) if self._is_offset else (wave,)

    @property
    def _is_offset(self) -> bool:
        return isinstance(self.offset, np.ndarray) or self.offset != 0.0


def _between(step: Steps, start: float, stop: float, dt: float) -> Waveform:
    """1 for the steps round(start/dt) ≤ k < round(stop/dt), else 0."""
    return ((np.rint(start / dt) <= step) & (step < np.rint(stop / dt))).astype(np.float64)


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
    """A current over time: a sum of terms. Make one with the class methods below, add with `+`.

    Amplitudes are in µA/cm², a number for all neurons or an (n,) array; times in ms. The current
    is held during each step, so a ramp or a sine is a staircase of width dt.
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
    def constant(cls, amplitude: ArrayLike) -> "Stimulus":
        """The same current all the time."""
        return cls((Constant(_amplitude("amplitude", amplitude)),))

    @classmethod
    def step(cls, amplitude: ArrayLike, start: float, stop: float) -> "Stimulus":
        """A current from start to stop (ms): the steps round(start/dt) ≤ k < round(stop/dt)."""
        start, stop = _interval(start, stop)
        return cls((Step(_amplitude("amplitude", amplitude), start, stop),))

    @classmethod
    def pulse_train(
        cls, amplitude: ArrayLike, start: float, width: float, period: float, count: int
    ) -> "Stimulus":
        """`count` pulses of `width` ms, the first at `start`, then one every `period` ms.

        Each covers the steps of its own `step`: none, if it is over before the middle of one.
        """
        start = checks.number("start", start, "ms")
        width = checks.positive("width", width, "ms")
        period = checks.positive("period", period, "ms")
        count = checks.whole("count", count, 1)
        if not width <= period:
            raise InvalidInput(
                f"width must be at most the period of {period} ms, or pulses overlap, got {width}"
            )
        return cls((PulseTrain(_amplitude("amplitude", amplitude), start, width, period, count),))

    @classmethod
    def ramp(cls, first: ArrayLike, last: ArrayLike, start: float, stop: float) -> "Stimulus":
        """A straight line from `first` at start to `last` at stop (ms), 0 before and after."""
        start, stop = _interval(start, stop)
        return cls((Ramp(_amplitude("first", first), _amplitude("last", last), start, stop),))

    @classmethod
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
            raise InvalidInput(
                f"a Stimulus adds to a Stimulus, not to {type(other).__name__}; for a number add "
                "Stimulus.constant(number), for an array pass array + stimulus.sample(dt, n_steps)"
            )
        return Stimulus(self.terms + other.terms)

    def __radd__(self, other: Any) -> "Stimulus":
        return self if isinstance(other, int) and other == 0 else self + other  # 0 begins sum()

    def __repr__(self) -> str:
        with np.printoptions(threshold=6, edgeitems=2, precision=6, linewidth=1000):
            return " + ".join(map(_term_repr, self.terms)) or "Stimulus()"

    def sample(self, dt: float, n_steps: int) -> NDArray[np.float64]:
        """The current during each of the first n_steps steps, µA/cm².

        Shape (n_steps,), or (n_steps, n) where an amplitude is per neuron.
        """
        dt = checks.positive("dt", dt, "ms")
        n_steps = checks.whole("n_steps", n_steps, 0)
        current = SeparableCurrent(self, dt)
        shape = n_steps, self.batch_size or 1
        try:
            sampled = np.empty(shape)
        except (MemoryError, ValueError) as error:  # ValueError: beyond any address
            raise NotEnoughMemory(f"no room for n_steps={n_steps}: {error}", "fewer") from error
        for row, I_ext in zip(sampled, current.rows(0, n_steps), strict=True):
            row[:] = I_ext
        return sampled[:, 0] if self.batch_size is None else sampled


def _term_repr(term: Term) -> str:
    first, *rest = fields(term)  # type: ignore[arg-type]
    arguments = [repr(getattr(term, first.name))]
    arguments += [f"{field.name}={getattr(term, field.name)!r}" for field in rest]
    return f"Stimulus.{kind_of(term)}({', '.join(arguments)})"


def _amplitude(name: str, value: ArrayLike) -> PerNeuron:
    return checks.per_neuron(name, value, UNIT)


def _interval(start: float, stop: float) -> tuple[float, float]:
    start, stop = checks.number("start", start, "ms"), checks.number("stop", stop, "ms")
    if not start < stop:
        raise InvalidInput(f"stop must be later than start={start} ms, got {stop}")
    return start, stop


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
        step = np.arange(first, first + count)
        columns = [w for term in self._terms for w in term.waveforms(step, self.dt)]
        return np.stack(columns, axis=1) if columns else np.zeros((count, 0))

    def rows(self, first: int, count: int) -> Iterator[NDArray[np.float64]]:
        """I_ext of each step, µA/cm²: (n,), or (1,) for all neurons."""
        for waveform in self.waveform(first, count):
            I_ext = np.zeros(self.gain.shape[1])
            for gain, w in zip(self.gain, waveform, strict=True):
                I_ext += gain * w
            yield I_ext

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        """The current's mean over steps, µA/cm²: (n,), or (1,) for all neurons."""
        end, total = first + count, np.zeros(len(self.gain))
        for step in range(first, end, MEAN_STEPS):
            total += self.waveform(step, min(MEAN_STEPS, end - step)).sum(axis=0)
        return total / count @ self.gain


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

    def mean(self, first: int, count: int) -> NDArray[np.float64]:
        """The current's mean over steps, µA/cm²: (n,), or (1,) for all neurons."""
        return np.atleast_1d(self.chunk(first, count).mean(axis=0, dtype=np.float64))


Current = SeparableCurrent | ArrayCurrent
