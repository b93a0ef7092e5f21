"""The Problem: all inputs of a run, checked and in one form.

Units: mV, ms, µA/cm², mS/cm², µF/cm². Every `Problem` is valid, so that backends check nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hhplug import checks
from hhplug.arguments import DTYPES as DTYPES
from hhplug.arguments import METHODS as METHODS
from hhplug.arguments import SPIKE_MODES as SPIKE_MODES
from hhplug.arguments import DType as DType
from hhplug.arguments import Method as Method
from hhplug.arguments import SpikeMode as SpikeMode
from hhplug.arguments import (
    agreed,
    agreed_population,
    checked_dtype,
    checked_membrane,
    checked_method,
    checked_record,
    sizes_of,
)
from hhplug.clock import MOST_STEPS, checked_start, resumed_step, whole_steps
from hhplug.currents.checked import checked_stimulus
from hhplug.currents.current import Current
from hhplug.currents.given import GivenStimulus
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import InvalidInput
from hhplug.features.asked import check_begins_in_run, checked_features, checked_window
from hhplug.initial_state import checked_state, warn_of_nonfinite_start
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.parameters import Given, ParameterValues, checked_parameters
from hhplug.resuming import Resumable as Resumable
from hhplug.resuming import check_resume, same_features
from hhplug.state import State
from hhplug.threads import in_float64
from hhplug.validity import NONE_INVALID, Invalid

SUMS = "features"  # the name in a State's carry of the features' sums, (sums, n)


@dataclass(frozen=True, init=False, eq=False)
class Problem:
    """A population of neurons, its current, and what to record.

    The arguments are those of `Simulator.run` and `Simulator`. Raises InvalidInput, which names the
    argument, for anything that cannot be simulated. Warns of neurons that start with a state that
    isn't finite.

    >>> from hhplug import Problem
    >>> problem = Problem(T=20.0, dt=0.05, parameters={"g_Na": [90.0, 120.0, 150.0]})
    >>> problem.n_neurons, problem.n_steps
    (3, 400)
    """

    n_neurons: int
    n_steps: int
    start_step: int
    dt: float  # ms
    dtype: DType | None  # None until a backend is chosen
    method: Method  # of integration
    membrane: Membrane
    parameters: ParameterValues  # each a float or an (n_neurons,) float64 array, by name
    initial: State  # float64
    invalid: Invalid  # neurons that became invalid in the runs that this one continues
    given_stimulus: GivenStimulus
    record: tuple[str, ...]  # of membrane.states
    record_every: int
    record_neurons: NDArray[np.int64] | None  # indices in the user's order; None: all
    spikes: SpikeMode
    spike_threshold: float  # mV
    device_arrays: bool  # leave what is recorded on the device
    features: tuple[str, ...]  # names of hhplug.features.definitions.FEATURES
    window: tuple[float, float] | None  # ms; of the features
    window_steps: tuple[int, int]  # the same in steps: first ≤ k < end
    # These are None unless the problem is a part of a population.
    _ids: NDArray[np.int64] | range | None  # see neuron_ids
    _ranks: NDArray[np.int64] | None  # see record_ranks
    # What the backend does that is given the problem.
    ordered_spikes: bool  # it returns spikes at the run's end, by Session.ordered_spikes
    _noise: bool  # it computes noise

    @checks.known_arguments
    def __init__(
        self,
        T: float,
        dt: float = 0.01,
        batch_size: int | None = None,
        stimulus: "Stimulus | ArrayLike | None" = None,
        parameters: Given = None,
        dtype: "DTypeLike | None" = None,
        record: Sequence[str] = ("V",),
        record_all: bool = False,
        record_every: int = 1,
        record_neurons: "ArrayLike | None" = None,
        spikes: SpikeMode = "times",
        spike_threshold: float = 0.0,
        initial_state: 'ArrayLike | Literal["rest"] | None' = None,
        start_step: int | None = None,
        device_arrays: bool = False,
        resume: Resumable | None = None,
        membrane: Membrane | None = None,
        method: Method = "rk4",
        features: Sequence[str] = (),
        window: tuple[float, float] | None = None,
    ):
        dt = checks.positive("dt", dt, "ms")
        n_steps = whole_steps(checks.positive("T", T, "ms"), dt)
        membrane = checked_membrane(membrane)
        if resume is not None:
            check_resume(resume, initial_state, start_step, membrane)
            start_step = resumed_step(resume.next_step, resume.problem.dt, dt, n_steps)
        start_step = checked_start(0 if start_step is None else start_step, n_steps)
        values = checked_parameters(parameters, membrane)
        sizes = sizes_of(batch_size, values)
        carry, invalid = {}, NONE_INVALID
        if resume is not None:
            state = in_float64(resume.final.variables)
            carry, invalid = resume.final.carry, resume.invalid.in_steps(resume.problem.dt / dt)
            sizes["resume"] = state.shape[1]
        else:
            agreed(sizes)  # before parameters of different lengths meet in an equation
            state = checked_state(initial_state, membrane, values)
            if state.shape[1] != 1:
                sizes["initial_state"] = state.shape[1]
        given = checked_stimulus(stimulus, n_steps, dt, next(iter(sizes.values()), None))
        n_neurons = agreed_population(sizes, given)
        warn_of_nonfinite_start(state, n_neurons)
        threshold = checks.number("spike_threshold", spike_threshold, "mV")
        features = checked_features(features)
        window, window_steps = checked_window(window, features, dt)
        before = None if resume is None else resume.problem
        if (
            before is not None
            and SUMS in carry
            and same_features(before, features, window_steps, dt, threshold)
        ):
            window_steps = before.window_steps
        else:
            carry = {name: array for name, array in carry.items() if name != SUMS}
            if window_steps is None:
                window_steps = (start_step if features else 0, MOST_STEPS)
            else:
                check_begins_in_run(window_steps, start_step, n_steps, dt)
        self.__dict__.update(
            n_neurons=n_neurons,
            n_steps=n_steps,
            start_step=start_step,
            dt=dt,
            dtype=checked_dtype(dtype),
            method=checked_method(method),
            membrane=membrane,
            parameters=values,
            initial=State(np.broadcast_to(state, (len(state), n_neurons)), carry),
            invalid=invalid,
            given_stimulus=given,
            record=membrane.states if record_all else checked_record(record, membrane),
            # A longer interval also records step 0 only, and may not fit an int64.
            record_every=min(checks.whole("record_every", record_every, 1), MOST_STEPS),
            record_neurons=None
            if record_neurons is None
            else checks.neuron_indices("record_neurons", record_neurons, n_neurons),
            spikes=checks.choice("spikes mode", spikes, SPIKE_MODES),
            spike_threshold=threshold,
            device_arrays=bool(device_arrays),
            features=features,
            window=window,
            window_steps=window_steps,
            _ids=None if before is None else before._ids,
            _ranks=None,
            ordered_spikes=False,
            _noise=False,
        )

    @cached_property
    def current(self) -> Current:
        """The stimulus as backends see it."""
        return self.given_stimulus.current(
            self.dt,
            neurons=self.neuron_ids if self.given_stimulus.seeds else None,
            dtype=self.dtype or "float64",
            start_step=self.start_step,
            carried=self.initial.carry,
            noise=self._noise,
            n_neurons=self.n_neurons,
        )

    @property
    def stimulus(self) -> Stimulus | NDArray[Any]:
        """The stimulus as it was given, a Stimulus or an array in µA/cm²."""
        return self.given_stimulus.as_given

    @property
    def initial_state(self) -> NDArray[np.float64]:
        """The states in which the neurons begin, (n_states, n_neurons), as `membrane.states`."""
        return self.initial.variables

    @property
    def T(self) -> float:
        """Duration of this run, ms."""
        return self.n_steps * self.dt

    @property
    def end_step(self) -> int:
        """The step after the last one. It begins with the final state."""
        return self.start_step + self.n_steps

    @property
    def window_done(self) -> tuple[float, float]:
        """The begin and the end of the steps done of which there are features, ms.

        They are equal if the run ends before the window begins, as one that is interrupted may.
        """
        first, end = self.window_steps
        return first * self.dt, max(first, min(end, self.end_step)) * self.dt

    @cached_property
    def neurons(self) -> NDArray[np.int64]:
        """Indices of the recorded neurons, in the order of the recorded columns."""
        if self.record_neurons is not None:
            return self.record_neurons
        every = np.arange(self.n_neurons)
        every.flags.writeable = False
        return every

    @cached_property
    def neuron_ids(self) -> NDArray[np.int64]:
        """The number of each neuron in the whole population: (n_neurons,).

        A neuron keeps its number in the problems that `take` returns.
        """
        ids = range(self.n_neurons) if self._ids is None else self._ids
        return np.arange(ids.start, ids.stop, ids.step) if isinstance(ids, range) else ids

    @property
    def record_ranks(self) -> NDArray[np.int64] | None:
        """Position of each recorded column among the recorded columns of the whole population.

        Shape (n_recorded,). None if all neurons are recorded, or if the problem isn't a part.
        """
        return self._ranks

    @property
    def n_recorded(self) -> int:
        """How many neurons are recorded."""
        return self.n_neurons if self.record_neurons is None else len(self.record_neurons)

    def sample_steps(self, first: int, count: int) -> range:
        """The steps first ≤ k < first + count that are recorded: the multiples of record_every."""
        every = self.record_every
        return range(-(-first // every) * every, first + count, every)

    def take(self, neurons: "slice | ArrayLike") -> "Problem":
        """The problem of some of the neurons. `Result.join` joins the results of such parts.

        neurons: a slice, or indices in the order that the new problem will have. For a slice, the
        arrays of the new problem are views. An array stimulus isn't copied for indices either. The
        new problem records those of its neurons that this one records, in the same order.

        Raises InvalidInput if neurons is empty or has an index that no neuron has.

        >>> problem = Problem(T=20.0, parameters={"g_Na": [90.0, 120.0, 150.0]})
        >>> problem.take(slice(1, 3)).parameters["g_Na"]
        array([120., 150.])
        """
        if isinstance(neurons, slice):
            index: Any = neurons
            n_chosen = len(range(self.n_neurons)[neurons])
        else:
            index = checks.neuron_indices("neurons", neurons, self.n_neurons)
            n_chosen = len(index)
        if not n_chosen:
            raise InvalidInput("neurons must name at least one neuron, got none")
        changes: dict[str, Any] = {}
        if self.invalid.neuron.size:
            changes["invalid"] = self.invalid.take(self._places(self.invalid.neuron, index))
        if self.record_neurons is not None:
            place = self._places(self.record_neurons, index)
            kept = np.flatnonzero(place >= 0)
            changes["record_neurons"] = place[kept]
            changes["_ranks"] = kept if self._ranks is None else self._ranks[kept]
        ids: Any = range(self.n_neurons) if self._ids is None else self._ids
        if not isinstance(index, slice):
            ids = self.neuron_ids
        return self._with(
            n_neurons=n_chosen,
            parameters=self.parameters.take(index),
            initial=self.initial.take(index),
            given_stimulus=self.given_stimulus.take(index),
            _ids=ids[index],
            **changes,
        )

    def _places(
        self, neurons: NDArray[np.int64], index: "slice | NDArray[np.int64]"
    ) -> NDArray[np.int64]:
        """The number of each of these neurons in an index, negative if it isn't there."""
        if not isinstance(index, slice):
            places = np.full(self.n_neurons, -1)
            places[index] = np.arange(len(index))
            return places[neurons]
        chosen = range(self.n_neurons)[index]  # an array of all neurons would take far longer
        place, rest = np.divmod(neurons - chosen.start, chosen.step)
        return np.where((rest == 0) & (place < len(chosen)), place, -1)

    def arguments(self) -> dict[str, Any]:
        """The arguments with which `Problem` makes the same problem again.

        They don't say of which population it is a part. `device_arrays` is left out. Of a resumed
        run, the initial state may be one that `Problem` refuses, and is only a part of what it
        continues: see `continuing`.
        """
        state = self.initial_state
        return {
            "T": self.T,
            "dt": self.dt,
            "method": self.method,
            "batch_size": self.n_neurons,
            "stimulus": self.given_stimulus.as_argument,
            "membrane": self.membrane,
            "parameters": self.parameters,
            "dtype": self.dtype,
            "record": self.record,
            "record_every": self.record_every,
            "record_neurons": self.record_neurons,
            "spikes": self.spikes,
            "spike_threshold": self.spike_threshold,
            "initial_state": state[:, :1] if state.strides[1] == 0 else state,  # one for all
            "start_step": self.start_step,
        } | ({"features": self.features, "window": self.window} if self.features else {})

    def with_dtype(self, dtype: DType) -> "Problem":
        """The same problem with another dtype."""
        return self._with(dtype=dtype)

    def continuing(self, state: State, invalid: Invalid = NONE_INVALID) -> "Problem":
        """The same problem from another state, which is not checked.

        state: its variables are (n_states, n) or (n_states, 1).
        invalid: neurons that became invalid before.
        """
        variables = state.variables.astype(np.float64)
        variables = np.broadcast_to(variables, (len(variables), self.n_neurons))
        return self._with(initial=State(variables, state.carry), invalid=invalid)

    def for_backend(self, noise: bool, ordered_spikes: bool = False) -> "Problem":
        """The same problem as a backend is given it.

        noise: whether the backend computes noise. Its current then has the form `noise` if it can.
        ordered_spikes: whether the backend returns the spikes, if there are any, at the run's end.
        """
        ordered = ordered_spikes and self.spikes != "off"
        return self._with(_noise=noise, ordered_spikes=ordered)

    def with_features(
        self,
        features: Sequence[str],
        window: tuple[float, float] | None,
        window_steps: tuple[int, int],
    ) -> "Problem":
        """The same problem with other features, whose window isn't compared with the run."""
        return self._with(
            features=tuple(features),
            window=None if window is None else tuple(window),
            window_steps=tuple(window_steps),
        )

    def recording(self, record: tuple[str, ...]) -> "Problem":
        """The same problem, which records every step of these states of all neurons."""
        return self._with(record=record, record_every=1, record_neurons=None, _ranks=None)

    def with_equal(self, parameters: ParameterValues, stimulus: GivenStimulus) -> "Problem":
        """The same problem with other objects of the same values."""
        return self._with(parameters=parameters, given_stimulus=stimulus)

    def with_spikes(self, spikes: SpikeMode) -> "Problem":
        """The same problem with another value of spikes."""
        return self._with(spikes=spikes)

    def with_device_arrays(self, device_arrays: bool) -> "Problem":
        """The same problem with another value of device_arrays."""
        return self._with(device_arrays=device_arrays)

    def shortened(self, n_steps: int) -> "Problem":
        """The first n_steps of the same problem. An array stimulus becomes a view of its rows."""
        return self.with_steps(n_steps, self.given_stimulus.between(0, n_steps))

    def between(self, first: int, end: int) -> "Problem":
        """The steps first ≤ k < end of the same problem, in the state with which that begins.

        An array stimulus becomes a view of its rows. `continuing` sets the right state.
        """
        stimulus = self.given_stimulus.between(first - self.start_step, end - self.start_step)
        return self._with(start_step=first, n_steps=end - first, given_stimulus=stimulus)

    def with_steps(self, n_steps: int, stimulus: GivenStimulus) -> "Problem":
        """The same problem for n_steps of a stimulus, which is not compared with the run."""
        return self._with(n_steps=n_steps, given_stimulus=stimulus)

    def as_part(
        self, neuron_ids: NDArray[np.int64] | None, record_ranks: NDArray[np.int64] | None
    ) -> "Problem":
        """The same problem, whose neurons have these numbers in a whole population."""
        return self._with(_ids=neuron_ids, _ranks=record_ranks)

    def joined(self, **changes: Any) -> "Problem":
        """The whole problem of which this is a part. changes: fields that differ, not checked."""
        return self._with(**changes, _ids=None, _ranks=None)

    def _with(self, **changes: Any) -> "Problem":
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name in ("current", "neurons", "neuron_ids"):  # cached properties of the old values
            other.__dict__.pop(name, None)
        other.__dict__.update(changes)
        return other
