"""The terms that a Stimulus adds up: one class for each kind of current."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from math import pi
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.checks import PerNeuron
from hhplug.clock import nearest_step

Steps = NDArray[np.int64]
Waveform = NDArray[np.float64]

UNIT = "µA/cm²"
ROUNDING = 1e-12  # relative to its terms; a smaller sum is a rounding error and counts as 0


class Term(Protocol):
    """One kind of current: I_ext(k) = Σ_j gains()[j] · waveforms(k, dt)[j].

    The current of step k is constant, at its value in the middle of the step, (k + ½)·dt.
    """

    amplitudes: ClassVar[tuple[str, ...]] = ("amplitude",)  # names of the fields in µA/cm²

    def gains(self) -> tuple[PerNeuron, ...]:
        """The gain of each waveform, µA/cm²."""
        return tuple(getattr(self, name) for name in self.amplitudes)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        """The waveforms during the steps, counted from time zero, (steps,) each. dt is in ms."""
        ...

    def vanishes(self, dt: float) -> bool:  # noqa: ARG002
        """Whether the term is too short for any step of dt (ms)."""
        return False


@dataclass(frozen=True, eq=False)
class Constant(Term):
    amplitude: PerNeuron

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:  # noqa: ARG002
        return (np.ones(len(step)),)


@dataclass(frozen=True, eq=False)
class Step(Term):
    amplitude: PerNeuron
    start: float
    stop: float

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        return (_between(step, self.start, self.stop, dt),)

    def vanishes(self, dt: float) -> bool:
        return nearest_step(self.start, dt) == nearest_step(self.stop, dt)


@dataclass(frozen=True, eq=False)
class PulseTrain(Term):
    amplitude: PerNeuron
    start: float
    width: float
    period: float
    count: int

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        if self.width == self.period:  # no gaps between the pulses
            return (_between(step, self.start, self.start + self.count * self.period, dt),)
        on = np.zeros(len(step))
        width = nearest_step(self.width, dt)  # rounded once, so that all pulses are equally long
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


def written(term: Term) -> str:
    """The call of Stimulus that makes the term."""
    first, *rest = fields(term)  # type: ignore[arg-type]
    arguments = [repr(getattr(term, first.name))]
    arguments += [f"{field.name}={getattr(term, field.name)!r}" for field in rest]
    return f"Stimulus.{kind_of(term)}({', '.join(arguments)})"


def side_by_side(terms: Sequence[Term], together: Callable[[Sequence[Any]], Any]) -> Term:
    """One term for the neurons of several, which are of the same kind."""
    names = [field.name for field in fields(terms[0])]  # type: ignore[arg-type]
    values = {name: together([getattr(term, name) for term in terms]) for name in names}
    return replace(terms[0], **values)  # type: ignore[type-var]


def taken(term: Term, neurons: Any) -> Term:
    """The term for some of the neurons, an index of NumPy."""
    per_neuron = {name: getattr(term, name) for name in term.amplitudes}
    changes = {name: gain[neurons] for name, gain in per_neuron.items() if np.ndim(gain)}
    return replace(term, **changes)  # type: ignore[type-var]


def scaled(term: Term, factor: PerNeuron) -> Term:
    """The term with its amplitudes times the factor."""
    changes = {}
    for name in term.amplitudes:
        amplitude = getattr(term, name)
        # A 0 for all neurons stays one number, except that of the first amplitude, whose array
        # tells the number of neurons.
        if np.ndim(amplitude) or amplitude != 0.0 or name == term.amplitudes[0]:
            changes[name] = checks.per_neuron(name, amplitude * factor + 0.0, UNIT)
    return replace(term, **changes)  # type: ignore[type-var]
