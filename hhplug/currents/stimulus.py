"""The Stimulus that users write: a sum of terms in ms and µA/cm², independent of dt."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug import checks
from hhplug.checks import PerNeuron, known_arguments
from hhplug.currents.current import SeparableCurrent
from hhplug.currents.terms import (
    KINDS,
    ROUNDING,
    UNIT,
    Constant,
    PulseTrain,
    Ramp,
    Sine,
    Step,
    Term,
    scaled,
    side_by_side,
    taken,
    written,
)
from hhplug.errors import InvalidInput, NotEnoughMemory


class Stimulus:
    """A current over time: a sum of terms. Make one with the class methods below.

    Amplitudes are in µA/cm², each a number for all neurons or an (n,) array. Times are in ms.
    Stimuli can be added and subtracted. A factor, a number or an (n,) array, scales every
    amplitude. The current is constant during each step, at its value in the step's middle, so a
    ramp or a sine is a staircase of width dt. An edge is moved to the nearest beginning of a step.

    The class methods and operators raise InvalidInput for an argument that isn't possible.
    """

    __array_ufunc__ = None  # so that array + Stimulus calls __radd__

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
        self.n_neurons: int | None = sizes.pop() if sizes else None

    @classmethod
    @known_arguments
    def constant(cls, amplitude: ArrayLike) -> "Stimulus":
        """A current that never changes."""
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

        Each begins at the step nearest to its time and lasts round(width/dt) steps. If width is
        the period, there are no gaps between the pulses.
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
        if self.n_neurons not in (None, *np.shape(factor)) and np.ndim(factor):
            raise InvalidInput(
                f"factor must have one value for each of the {self.n_neurons} neurons of the "
                f"stimulus, got {np.size(factor)}"
            )
        return Stimulus(tuple(scaled(term, factor) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> "Stimulus":
        if isinstance(divisor, Stimulus):
            raise InvalidInput("a Stimulus is divided by numbers, not by another Stimulus")
        with np.errstate(divide="ignore"):
            return self * (1.0 / np.asarray(checks.per_neuron("divisor", divisor, checks.PURE)))

    def _not_added_to(self, other: Any, instead: str) -> InvalidInput:
        """The error for a sum with `other`, which says what to write instead."""
        shape = checks.numpy_array("other", other, "an array").shape
        if shape:
            column = "[:, np.newaxis]"
            sampled = f"stimulus.sample(dt, n_steps={shape[0]})"
            instead = instead.format(
                array="array" + (column if len(shape) == 1 and self.n_neurons else ""),
                sampled=sampled + (column if len(shape) == 2 and not self.n_neurons else ""),
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
            return " + ".join(map(written, self.terms)) or "Stimulus()"

    def take(self, neurons: Any) -> "Stimulus":
        """The stimulus of some neurons; `neurons` is a slice or an array of indices."""
        return Stimulus(tuple(taken(term, neurons) for term in self.terms))

    @classmethod
    def together(
        cls, parts: Sequence["Stimulus"], together: Callable[[Sequence[Any]], Any]
    ) -> "Stimulus":
        """Join the stimuli of a population's parts, which have the same terms.

        together: joins the parts' values of one amplitude or one time.
        """
        terms = zip(*(part.terms for part in parts), strict=True)
        return cls(tuple(side_by_side(each, together) for each in terms))

    def current(self, dt: float) -> SeparableCurrent:
        """The stimulus in steps of dt (ms), as backends see it."""
        return SeparableCurrent(self.terms, dt)

    def vanishing(self, dt: float) -> list[str]:
        """The texts of the terms that are too short for any step of dt (ms)."""
        return [written(term) for term in self.terms if term.vanishes(dt)]

    @known_arguments
    def sample(self, dt: float, n_steps: int, start_step: int = 0) -> NDArray[np.float64]:
        """The current during each of n_steps steps from start_step on, µA/cm².

        Shape (n_steps,), or (n_steps, n) if an amplitude is per neuron. Raises InvalidInput for an
        argument that isn't possible, and NotEnoughMemory.
        """
        dt = checks.positive("dt", dt, "ms")
        n_steps = checks.whole("n_steps", n_steps, 0)
        start_step = checks.whole("start_step", start_step, 0)
        current = self.current(dt)
        shape = n_steps, self.n_neurons or 1
        try:
            sampled = np.empty(shape)
        except (MemoryError, ValueError) as error:  # ValueError: beyond any address
            raise NotEnoughMemory(f"no room for n_steps={n_steps}: {error}", "fewer") from error
        for row, I_ext in zip(sampled, current.rows(start_step, n_steps), strict=True):
            row[:] = I_ext
        return sampled[:, 0] if self.n_neurons is None else sampled


def _amplitude(name: str, value: ArrayLike) -> PerNeuron:
    return checks.per_neuron(name, value, UNIT)
