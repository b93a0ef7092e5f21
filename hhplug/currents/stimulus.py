"""The Stimulus that users write: a sum of terms in ms and µA/cm², independent of dt."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hhplug import checks
from hhplug.checks import PerNeuron, known_arguments
from hhplug.currents.array_stimulus import refuse_other_steps
from hhplug.currents.computed import ComputedCurrent
from hhplug.currents.current import Current, SeparableCurrent
from hhplug.currents.noisy import NoisyCurrent
from hhplug.currents.term_arguments import (
    checked_amplitude,
    checked_interval,
    checked_number,
    checked_positive,
    checked_pulses,
    checked_seed,
)
from hhplug.currents.terms import (
    KINDS,
    UNIT,
    Constant,
    OrnsteinUhlenbeck,
    PulseTrain,
    Ramp,
    Recorded,
    Sine,
    Step,
    Term,
    WhiteNoise,
    arrays,
    reseeded,
    scaled,
    side_by_side,
    taken,
    written,
)
from hhplug.errors import InvalidInput, NotEnoughMemory
from hhplug.quantities import WHITE


class Stimulus:
    """A current over time: a sum of terms. Make one with the class methods below.

    Amplitudes are in µA/cm² and times in ms, each a number for all neurons or an (n,) array.
    Stimuli can be added and subtracted. A factor, a number or an (n,) array, scales every
    amplitude. The current is constant during each step, at its value in the step's middle, so a
    ramp or a sine is a staircase of width dt. An edge is moved to the nearest beginning of a step.

    Noise is a function of its seed, the neuron's number in the whole population, and the step: it
    is the same on every backend, in every part of a population and in a resumed run. Noises of one
    seed in one sum are independent. A resumed run with a longer dt needs another seed, or it draws
    the numbers of some steps again.

    The class methods and operators raise InvalidInput for an argument that isn't possible.

    >>> import numpy as np
    >>> from hhplug import Stimulus
    >>> step = Stimulus.step(10.0, start=0.1, stop=0.3)  # µA/cm², ms
    >>> ([1.0, 2.0] * step - Stimulus.constant(1.0)).sample(dt=0.1, n_steps=4)
    array([[-1., -1.],
           [ 9., 19.],
           [ 9., 19.],
           [-1., -1.]])
    """

    __array_ufunc__ = None  # so that array + Stimulus calls __radd__

    def __init__(self, terms: tuple[Term, ...] = ()):
        kinds, names = tuple(KINDS.values()), [*KINDS][1:]
        if not (isinstance(terms, tuple) and all(isinstance(term, kinds) for term in terms)):
            raise InvalidInput(
                f"make a Stimulus with Stimulus.constant(amplitude), {', '.join(names[:-1])} or "
                f"{names[-1]}, and add them with +; Stimulus(...) got {type(terms).__name__}"
            )
        self.terms = terms
        self.gains: tuple[PerNeuron, ...] = tuple(g for term in terms for g in term.gains())
        self.is_separable = all(term.is_separable for term in terms)
        """Whether the current is a sum of waveforms that are the same for all neurons."""
        self.seeds = tuple(noise.seed for term in terms if (noise := term.noise))
        """The seed of each noise, in the order of the terms."""
        sizes = {len(values) for term in terms for _, values in arrays(term)}
        if len(sizes) > 1:
            raise InvalidInput(
                f"the amplitudes and times of a stimulus must be for equally many neurons, "
                f"got {' and '.join(map(str, sorted(sizes)))}"
            )
        self.n_neurons: int | None = sizes.pop() if sizes else None

    @classmethod
    @known_arguments
    def constant(cls, amplitude: "ArrayLike") -> "Stimulus":
        """A current that never changes.

        >>> Stimulus.constant([5.0, 10.0]).sample(dt=0.1, n_steps=2)
        array([[ 5., 10.],
               [ 5., 10.]])
        """
        return cls((Constant(checked_amplitude("amplitude", amplitude)),))

    @classmethod
    @known_arguments
    def step(cls, amplitude: "ArrayLike", start: "ArrayLike", stop: "ArrayLike") -> "Stimulus":
        """A current from start to stop (ms): the steps round(start/dt) ≤ k < round(stop/dt).

        >>> Stimulus.step(10.0, start=0.2, stop=0.4).sample(dt=0.1, n_steps=6)
        array([ 0.,  0., 10., 10.,  0.,  0.])
        """
        start, stop = checked_interval(start, stop)
        return cls((Step(checked_amplitude("amplitude", amplitude), start, stop),))

    @classmethod
    @known_arguments
    def pulse_train(
        cls,
        amplitude: "ArrayLike",
        start: "ArrayLike",
        width: "ArrayLike",
        period: "ArrayLike",
        count: int,
    ) -> "Stimulus":
        """`count` pulses of `width` ms, the first at `start`, then one every `period` ms.

        Each begins at the step nearest to its time and lasts round(width/dt) steps. If width is
        the period, there are no gaps between the pulses.

        >>> pulses = Stimulus.pulse_train(20.0, start=0.1, width=0.1, period=0.3, count=2)
        >>> pulses.sample(dt=0.1, n_steps=6)
        array([ 0., 20.,  0.,  0., 20.,  0.])
        """
        start = checked_number("start", start, "ms")
        width, period = checked_pulses(width, period)
        count = checks.whole("count", count, 1)
        return cls(
            (PulseTrain(checked_amplitude("amplitude", amplitude), start, width, period, count),)
        )

    @classmethod
    @known_arguments
    def ramp(
        cls, first: "ArrayLike", last: "ArrayLike", start: "ArrayLike", stop: "ArrayLike"
    ) -> "Stimulus":
        """A straight line from `first` at start to `last` at stop (ms), 0 before and after.

        >>> Stimulus.ramp(0.0, 4.0, start=0.0, stop=0.4).sample(dt=0.1, n_steps=5)
        array([0.5, 1.5, 2.5, 3.5, 0. ])
        """
        start, stop = checked_interval(start, stop)
        return cls(
            (Ramp(checked_amplitude("first", first), checked_amplitude("last", last), start, stop),)
        )

    @classmethod
    @known_arguments
    def sine(
        cls,
        amplitude: "ArrayLike",
        frequency: "ArrayLike",
        phase: "ArrayLike" = 0.0,
        offset: "ArrayLike" = 0.0,
    ) -> "Stimulus":
        """offset + amplitude · sin(2π · frequency · t + phase); frequency in Hz, phase in rad.

        >>> Stimulus.sine(2.0, frequency=250.0, offset=1.0).sample(dt=1.0, n_steps=4).round(2)
        array([ 2.41,  2.41, -0.41, -0.41])
        """
        return cls(
            (
                Sine(
                    checked_amplitude("amplitude", amplitude),
                    checked_positive("frequency", frequency, "Hz"),
                    checked_number("phase", phase, "rad"),
                    checked_amplitude("offset", offset),
                ),
            )
        )

    @classmethod
    @known_arguments
    def recorded(cls, current: "ArrayLike", dt: float, gain: "ArrayLike" = 1.0) -> "Stimulus":
        """A waveform of samples (µA/cm²), dt ms apart from time zero on, times the gain.

        It is linear between the samples. The last one is held for dt, and the current is 0 then. If
        the samples know their times, as those of xarray and Neo do, they must be dt apart.

        In a run of the same dt a step has the mean of two samples, so that a sampled white noise
        loses half of its variance; give such samples as an array instead.

        >>> Stimulus.recorded([0.0, 2.0, 4.0], dt=0.2).sample(dt=0.1, n_steps=7)
        array([0.5, 1.5, 2.5, 3.5, 4. , 4. , 0. ])
        """
        dt = checks.positive("dt", dt, "ms")
        refuse_other_steps("current", current, dt, "dt is the time between the samples")
        samples = checks.series("current", current, UNIT)
        return cls((Recorded(samples, dt, checks.per_neuron("gain", gain, checks.PURE)),))

    @classmethod
    @known_arguments
    def white_noise(cls, sigma: "ArrayLike", seed: int) -> "Stimulus":
        """Gaussian white noise of mean 0. sigma is in µA/cm²·√ms.

        The current in a step is sigma/√dt times a normal deviate, so that its integral over a time
        T has the standard deviation sigma·√T for any dt.

        >>> noise = Stimulus.white_noise(sigma=1.0, seed=1)
        >>> round(noise.sample(dt=0.01, n_steps=10_000).std())  # sigma/√dt, µA/cm²
        10
        """
        return cls((WhiteNoise(checks.per_neuron("sigma", sigma, WHITE), checked_seed(seed)),))

    @classmethod
    @known_arguments
    def ornstein_uhlenbeck(
        cls, mean: "ArrayLike", sigma: "ArrayLike", tau: "ArrayLike", seed: int
    ) -> "Stimulus":
        """An Ornstein-Uhlenbeck process: noise whose autocorrelation is sigma²·e^(−|t|/tau).

        mean, sigma: µA/cm². tau: ms. The current in a step is the process in the step's middle,
        exactly for any dt: its standard deviation is sigma. The process begins in its stationary
        distribution, and goes on in a run that resumes another.

        >>> noise = Stimulus.ornstein_uhlenbeck(mean=5.0, sigma=2.0, tau=1.0, seed=1)
        >>> current = noise.sample(dt=0.1, n_steps=20_000)
        >>> round(current.mean()), round(current.std())
        (5, 2)
        """
        return cls(
            (
                OrnsteinUhlenbeck(
                    checked_amplitude("mean", mean),
                    checked_amplitude("sigma", sigma),
                    checked_positive("tau", tau, "ms"),
                    checked_seed(seed),
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
        divisor = np.asarray(checks.per_neuron("divisor", divisor, checks.PURE))
        if not divisor.all():
            raise InvalidInput("a Stimulus is divided by numbers other than 0")
        return self * (1.0 / divisor)

    def _not_added_to(self, other: Any, instead: str) -> InvalidInput:
        """The error for a sum with `other`, which says what to write instead."""
        shape = checks.numpy_array("other", other, "an array").shape
        if shape:
            array, column = "array", "[:, np.newaxis]"
            sampled = f"stimulus.sample(dt, n_steps={shape[0]})"
            if self.seeds and not self.n_neurons:  # each neuron has noise of its own
                n = shape[1] if len(shape) == 2 else "n"
                sampled = sampled[:-1] + f", batch_size={n})"
            elif len(shape) == 2 and not self.n_neurons:
                sampled += column
            if len(shape) == 1 and (self.seeds or self.n_neurons):
                array += column
            instead = instead.format(array=array, sampled=sampled)
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

    @property
    def as_given(self) -> "Stimulus":
        return self

    @property
    def as_argument(self) -> "Stimulus":
        return self

    def between(self, first: int, end: int) -> "Stimulus":  # noqa: ARG002
        return self

    def take(self, neurons: Any) -> "Stimulus":
        """The stimulus of some neurons; `neurons` is a slice or an array of indices."""
        return Stimulus(tuple(taken(term, neurons) for term in self.terms))

    @classmethod
    def together(
        cls, parts: Sequence[tuple[Term, ...]], together: Callable[[Sequence[Any]], Any]
    ) -> "Stimulus":
        """Join the terms of a population's parts, which have the same kinds of term.

        together: joins the parts' values of one amplitude or one time.
        """
        return cls(tuple(side_by_side(each, together) for each in zip(*parts, strict=True)))

    def with_seeds(self, new: Callable[[int], int]) -> "Stimulus":
        """The stimulus with a new seed in place of each. new: returns the one that follows one."""
        return Stimulus(tuple(reseeded(term, new) for term in self.terms))

    def current(
        self,
        dt: float,
        neurons: NDArray[np.int64] | None = None,
        dtype: "DTypeLike" = np.float64,
        start_step: int = 0,
        carried: Mapping[str, NDArray[Any]] | None = None,
        noise: bool = False,
        n_neurons: int | None = None,
    ) -> Current:
        if self.is_separable:
            return SeparableCurrent(self.terms, dt)
        if neurons is None:
            neurons = np.arange(n_neurons or self.n_neurons or 1)
        apart = noise and len(self.seeds) == 1
        apart = apart and all(term.is_separable or term.noise for term in self.terms)
        kind = NoisyCurrent if apart else ComputedCurrent
        return kind(self.terms, dt, neurons, dtype, start_step, carried or {})

    @known_arguments
    def sample(
        self, dt: float, n_steps: int, start_step: int = 0, batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """The current during each of n_steps steps from start_step on, µA/cm².

        batch_size: number of neurons n, for noise whose amplitudes are the same for all neurons.
        Shape (n_steps,), or (n_steps, n) if an amplitude or a time is per neuron or batch_size is
        given. Noise is that of a run in float64 which begins at start_step. Raises InvalidInput for
        an argument that isn't possible, and NotEnoughMemory.

        >>> Stimulus.sine(1.0, frequency=[50.0, 100.0]).sample(dt=0.5, n_steps=10).shape
        (10, 2)
        """
        dt = checks.positive("dt", dt, "ms")
        n_steps = checks.whole("n_steps", n_steps, 0)
        start_step = checks.whole("start_step", start_step, 0)
        n_neurons = self.n_neurons
        if batch_size is not None:
            batch_size = checks.whole("batch_size", batch_size, 1)
            if n_neurons not in (None, batch_size):
                raise InvalidInput(
                    f"batch_size must be {n_neurons}, the number of neurons of the stimulus, "
                    f"got {batch_size}"
                )
            n_neurons = batch_size
        try:
            sampled = np.empty((n_steps, n_neurons or 1))
            current = self.current(dt, start_step=start_step, n_neurons=n_neurons)
        except (MemoryError, ValueError) as error:  # ValueError: beyond any address
            raise NotEnoughMemory(f"no room for n_steps={n_steps}: {error}", "fewer") from error
        for row, I_ext in zip(sampled, current.rows(start_step, n_steps), strict=True):
            row[:] = I_ext
        return sampled[:, 0] if n_neurons is None else sampled
