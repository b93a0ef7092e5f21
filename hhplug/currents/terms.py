"""The terms that a Stimulus adds up: one class for each kind of current."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf, pi
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug import checks
from hhplug.checks import PerNeuron
from hhplug.clock import nearest_step
from hhplug.currents.noise import Draws, OrnsteinUhlenbeckProcess, Process, WhiteProcess
from hhplug.currents.pieces import Steps
from hhplug.errors import InvalidInput
from hhplug.quantities import PURE, WHITE

Waveform = NDArray[np.float64]
Units = Mapping[str, str]  # of fields by name

UNIT = "µA/cm²"
ROUNDING = 1e-12  # relative to its terms; a smaller sum is a rounding error and counts as 0
STEP = {"start": "ms", "stop": "ms"}


class Term(Protocol):
    """One kind of current: I_ext(k) = Σ_j gains()[j] · waveforms(k, dt)[j].

    The current of step k is constant, at its value in the middle of the step, (k + ½)·dt.
    """

    amplitudes: ClassVar[Units] = {"amplitude": UNIT}  # the fields by which a factor multiplies
    times: ClassVar[Units] = {}  # the other fields that may have one value per neuron

    @property
    def is_separable(self) -> bool:
        """Whether its waveforms are the same for all neurons."""
        return not any(np.ndim(getattr(self, name)) for name in self.times)

    @property
    def is_constant(self) -> bool:
        """Whether its waveforms never change."""
        return False

    @property
    def noise(self) -> "NoiseTerm | None":
        """The term itself if it adds a random process, else None."""
        return None

    def gains(self) -> tuple[PerNeuron, ...]:
        """The gain of each waveform; gain times waveform is in µA/cm²."""
        return tuple(getattr(self, name) for name in self.amplitudes)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        """The waveforms during the steps, counted from time zero. dt is in ms.

        Each is (steps,), or (steps, 1) or (steps, n) if step is (steps, 1). It must be that if a
        time is per neuron.
        """
        ...

    def span(self) -> tuple[float, float]:
        """Start and end (ms) of the time outside of which the current is 0 in all neurons."""
        return -inf, inf

    def vanishes(self, dt: float) -> bool | NDArray[np.bool_]:  # noqa: ARG002
        """Whether the term is too short for any step of dt (ms), in all neurons or in each."""
        return False

    def labels(self) -> dict[str, str]:
        """The fields that tell neurons and runs apart, and their units."""
        return {
            **self.amplitudes,
            **{name: unit for name, unit in self.times.items() if np.ndim(getattr(self, name))},
        }


class NoiseTerm(Term):
    """A current that adds sigma times a random process to its waveforms."""

    has_memory: ClassVar[bool]  # whether a run that goes on needs the process's value
    sigma: PerNeuron
    seed: int

    @property
    def is_separable(self) -> bool:
        return False

    @property
    def is_constant(self) -> bool:
        return True

    @property
    def noise(self) -> "NoiseTerm":
        return self

    def process(
        self, draws: Draws, dt: float, dtype: DTypeLike, start_step: int, begin: Any
    ) -> Process:
        """The process in a run from start_step on, in steps of dt (ms).

        begin: the value of its first step, (n,), that the run before has carried, or None.
        """
        raise NotImplementedError

    def labels(self) -> dict[str, str]:
        return super().labels() | {"seed": PURE}


@dataclass(frozen=True, eq=False)
class Constant(Term):
    amplitude: PerNeuron

    @property
    def is_constant(self) -> bool:
        return True

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:  # noqa: ARG002
        return (np.ones(step.shape),)


@dataclass(frozen=True, eq=False)
class Step(Term):
    times: ClassVar[Units] = STEP

    amplitude: PerNeuron
    start: PerNeuron
    stop: PerNeuron

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        return (_between(step, self.start, self.stop, dt),)

    def span(self) -> tuple[float, float]:
        return float(np.min(self.start)), float(np.max(self.stop))

    def vanishes(self, dt: float) -> bool | NDArray[np.bool_]:
        return nearest_step(self.start, dt) == nearest_step(self.stop, dt)


@dataclass(frozen=True, eq=False)
class PulseTrain(Term):
    times: ClassVar[Units] = {"start": "ms", "width": "ms", "period": "ms"}

    amplitude: PerNeuron
    start: PerNeuron
    width: PerNeuron
    period: PerNeuron
    count: int

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        width = nearest_step(self.width, dt)  # rounded once, so that all pulses are equally long
        middle = np.floor(((step + 0.5) * dt - self.start) / self.period)
        on = np.False_
        for pulse in (middle - 1.0, middle, middle + 1.0):  # rounding may move one to its neighbour
            onset = nearest_step(self.start + pulse * self.period, dt)
            inside = (onset <= step) & (step < onset + width)
            on = on | (inside & (0.0 <= pulse) & (pulse < self.count))
        no_gaps = self.width == self.period
        if np.any(no_gaps):
            whole = _between(step, self.start, self.start + self.count * self.period, dt)
            on = np.where(no_gaps, whole, on)
        return (np.asarray(on, np.float64),)

    def span(self) -> tuple[float, float]:
        last = self.start + self.count * self.period
        return float(np.min(self.start)), float(np.max(last))

    def vanishes(self, dt: float) -> bool | NDArray[np.bool_]:
        return (self.width < self.period) & (nearest_step(self.width, dt) == 0)


@dataclass(frozen=True, eq=False)
class Ramp(Term):
    amplitudes: ClassVar[Units] = {"first": UNIT, "last": UNIT}
    times: ClassVar[Units] = STEP

    first: PerNeuron
    last: PerNeuron
    start: PerNeuron
    stop: PerNeuron

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        on = _between(step, self.start, self.stop, dt)
        done = np.clip(((step + 0.5) * dt - self.start) / (self.stop - self.start), 0.0, 1.0)
        return (on * (1.0 - done), on * done)

    def span(self) -> tuple[float, float]:
        return float(np.min(self.start)), float(np.max(self.stop))

    def vanishes(self, dt: float) -> bool | NDArray[np.bool_]:
        return nearest_step(self.start, dt) == nearest_step(self.stop, dt)


@dataclass(frozen=True, eq=False)
class Sine(Term):
    amplitudes: ClassVar[Units] = {"amplitude": UNIT, "offset": UNIT}
    times: ClassVar[Units] = {"frequency": "Hz", "phase": "rad"}

    amplitude: PerNeuron
    frequency: PerNeuron
    phase: PerNeuron = 0.0
    offset: PerNeuron = 0.0

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.amplitude, self.offset) if self._is_offset else (self.amplitude,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        cycles = self.frequency * 1e-3 * ((step + 0.5) * dt)
        wave = np.sin(2.0 * pi * cycles + self.phase)
        return (wave, np.ones(step.shape)) if self._is_offset else (wave,)

    @property
    def _is_offset(self) -> bool:
        return isinstance(self.offset, np.ndarray) or self.offset != 0.0


@dataclass(frozen=True, eq=False)
class Recorded(Term):
    amplitudes: ClassVar[Units] = {"gain": PURE}

    current: NDArray[np.float64]  # µA/cm², (samples,)
    dt: float  # ms between the samples
    gain: PerNeuron = 1.0

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:
        place = (step + 0.5) * dt / self.dt
        before = np.clip(np.floor(place), 0, len(self.current) - 1).astype(np.int64)
        after = np.minimum(before + 1, len(self.current) - 1)
        part = place - before
        line = (1.0 - part) * self.current[before] + part * self.current[after]
        return (np.where((0.0 <= place) & (place < len(self.current)), line, 0.0),)

    def span(self) -> tuple[float, float]:
        return 0.0, len(self.current) * self.dt


@dataclass(frozen=True, eq=False)
class WhiteNoise(NoiseTerm):
    has_memory: ClassVar[bool] = False
    amplitudes: ClassVar[Units] = {"sigma": WHITE}

    sigma: PerNeuron
    seed: int

    def gains(self) -> tuple[PerNeuron, ...]:
        return ()

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:  # noqa: ARG002
        return ()

    def process(
        self, draws: Draws, dt: float, dtype: DTypeLike, start_step: int, begin: Any
    ) -> Process:
        del start_step, begin
        return WhiteProcess(draws, dt, dtype)


@dataclass(frozen=True, eq=False)
class OrnsteinUhlenbeck(NoiseTerm):
    has_memory: ClassVar[bool] = True
    amplitudes: ClassVar[Units] = {"mean": UNIT, "sigma": UNIT}
    times: ClassVar[Units] = {"tau": "ms"}

    mean: PerNeuron
    sigma: PerNeuron
    tau: PerNeuron
    seed: int

    def gains(self) -> tuple[PerNeuron, ...]:
        return (self.mean,)

    def waveforms(self, step: Steps, dt: float) -> tuple[Waveform, ...]:  # noqa: ARG002
        return (np.ones(step.shape),)

    def process(
        self, draws: Draws, dt: float, dtype: DTypeLike, start_step: int, begin: Any
    ) -> Process:
        return OrnsteinUhlenbeckProcess(draws, dt, dtype, self.tau, start_step, begin)


AnyTerm = TypeVar("AnyTerm", bound=Term)


def _between(step: Steps, start: PerNeuron, stop: PerNeuron, dt: float) -> Waveform:
    """1 for the steps round(start/dt) ≤ k < round(stop/dt), else 0."""
    first, end = nearest_step(start, dt), nearest_step(stop, dt)
    return ((first <= step) & (step < end)).astype(np.float64)


KINDS: dict[str, type[Term]] = {
    "constant": Constant,
    "step": Step,
    "pulse_train": PulseTrain,
    "ramp": Ramp,
    "sine": Sine,
    "recorded": Recorded,
    "white_noise": WhiteNoise,
    "ornstein_uhlenbeck": OrnsteinUhlenbeck,
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


def arrays(term: Term) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The name and the values of each field that has one value per neuron."""
    for name in (*term.amplitudes, *term.times):
        if np.ndim(value := getattr(term, name)):
            yield name, value


def side_by_side(terms: Sequence[Term], together: Callable[[Sequence[Any]], Any]) -> Term:
    """One term for the neurons of several, which are of the same kind.

    Raises InvalidInput if they differ in a field that is the same for all neurons.
    """
    values = {}
    for field in fields(terms[0]):  # type: ignore[arg-type]
        each = [getattr(term, field.name) for term in terms]
        if field.name in {*terms[0].amplitudes, *terms[0].times}:
            values[field.name] = together(each)
        elif not all(np.array_equal(each[0], other) for other in each):
            raise InvalidInput(
                f"results must have the same {field.name} of {kind_of(terms[0])} to be joined"
            )
    return replace(terms[0], **values)  # type: ignore[type-var]


def taken(term: AnyTerm, neurons: Any) -> AnyTerm:
    """The term for some of the neurons, an index of NumPy."""
    changes = {name: values[neurons] for name, values in arrays(term)}
    return replace(term, **changes)  # type: ignore[type-var]


def reseeded(term: Term, new: Callable[[int], int]) -> Term:
    """The term with another seed, if it is a noise. new: returns the seed that follows one."""
    noise = term.noise
    return replace(noise, seed=new(noise.seed)) if noise else term  # type: ignore[type-var]


def scaled(term: Term, factor: PerNeuron) -> Term:
    """The term with its amplitudes times the factor."""
    changes = {}
    for place, (name, unit) in enumerate(term.amplitudes.items()):
        amplitude = getattr(term, name)
        # A 0 for all neurons stays one number, except that of the first amplitude, whose array
        # tells the number of neurons.
        if np.ndim(amplitude) or amplitude != 0.0 or not place:
            changes[name] = checks.per_neuron(name, amplitude * factor + 0.0, unit)
    return replace(term, **changes)  # type: ignore[type-var]
