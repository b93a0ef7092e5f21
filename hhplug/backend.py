"""The contract between hhplug and its backends.

A plugin returns a `BackendSpec` for each of its backends from the hook `hhplug_backends`. A backend
is imported only when it is chosen. The core then makes these calls, in this order:

    backend = factory(device=None)              # raises BackendUnavailable if it cannot run here
    with backend.prepare(problem, max_steps) as session:
        block = session.advance(n_steps)        # repeatedly, with at most two blocks unread
        block.read(recorded)                    # once for each block, in order
        final = session.state()                 # after every block has been read

A block is the steps of one call of `advance`. The results of a neuron must be the same bit for bit
however a run is divided into blocks, whatever is recorded, and whatever index the neuron has.

A backend computes the squid membrane, whose states are V m h n and whose parameters are C_m, g_Na,
g_K, g_L, E_Na, E_K and E_L. One that declares `membranes="any"` computes every `problem.membrane`.
Its method is classic RK4; one that declares more `methods` computes by `problem.method`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.buffer_pool import BufferPool
from hhplug.crossings import crossing
from hhplug.errors import InvalidInput
from hhplug.features.sums import FeatureSums
from hhplug.problem import DTYPES, METHODS, DType, Method, Problem
from hhplug.state import State
from hhplug.validity import STABILITY_LIMITS
from hhplug.versions import mistake_in

FeaturesFrom = Literal["samples", "sums"]
"""What the features of a run come from: "samples", the blocks give every sample of V to
`Recorded.features`; "sums", the backend computes their running sums, and the carry of `state` has
them."""

API = "2.0"
"""Version of this contract. A plugin's must have the same major and no later minor number."""


@dataclass(frozen=True)
class Capabilities:
    """The features of a backend that not every backend has."""

    dtypes: tuple[DType, ...] = DTYPES
    membranes: Literal["squid", "any"] = "squid"  # the membranes that it computes
    methods: tuple[Method, ...] = ("rk4",)  # the methods of integration that it has
    noise: bool = False  # it computes currents of the form `noise`
    ordered_spikes: bool = False  # its sessions implement ordered_spikes
    device_index: bool = False  # the factory accepts device=0, 1, …, so that a run may use several
    device_arrays: bool = False  # its sessions implement device_samples
    features: FeaturesFrom | None = None  # what of the features it computes or gives, if anything
    fork: bool = False  # it also runs in a process forked after it was opened

    def __post_init__(self) -> None:
        if isinstance(self.dtypes, str):
            raise InvalidInput(f"dtypes must be a tuple, ({self.dtypes!r},), got a str")
        if not self.dtypes or not set(self.dtypes) <= set(DTYPES):
            raise InvalidInput(f"dtypes must be some of {DTYPES}, got {self.dtypes!r}")
        if self.membranes not in ("squid", "any"):
            raise InvalidInput(f"membranes must be 'squid' or 'any', got {self.membranes!r}")
        if (
            isinstance(self.methods, str)
            or not self.methods
            or not set(self.methods) <= set(METHODS)
        ):
            raise InvalidInput(f"methods must be a tuple, some of {METHODS}, got {self.methods!r}")
        if self.features not in (None, "samples", "sums"):
            raise InvalidInput(f"features must be None, 'samples' or 'sums', got {self.features!r}")


@dataclass(frozen=True)
class BackendSpec:
    """The description of a backend, from which hhplug lists, checks and imports it."""

    name: str
    factory: str  # "module:attribute", called with device=
    api: str  # version of the contract that it implements
    summary: str  # one line for the list of backends
    requires: tuple[str, ...] = ()  # as in pyproject.toml: "torch>=2.6"
    probe: str | None = None  # "module:attribute", called in a child process (plugins/probes.py)
    priority: int = 0  # "auto" chooses the available backend of highest priority
    capabilities: Capabilities = field(default_factory=Capabilities)
    install_hint: str = ""  # the command that installs what `requires` names
    source: str | None = None  # "module:attribute", called with a membrane and a dtype: its code

    def __post_init__(self) -> None:
        for field_ in ("name", "factory", "api", "summary", "install_hint"):
            value = getattr(self, field_)
            if not isinstance(value, str):
                raise InvalidInput(f"a backend's {field_} must be a str, got {value!r}")
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", self.name) or self.name == "auto":
            raise InvalidInput(
                "a backend's name must begin with a letter, be of a-z, 0-9, - and _, "
                f"and not be 'auto', got {self.name!r}"
            )
        for reference in (self.factory, self.probe or "a:b", self.source or "a:b"):
            if not re.fullmatch(r"[\w.]+:\w+", reference):
                raise InvalidInput(f"expected 'module:attribute', got {reference!r}")
        if not self.summary.isprintable():  # a terminal would obey it
            raise InvalidInput(
                f"a backend's summary must be one line of text, got {self.summary!r}"
            )
        if isinstance(self.requires, str) or not all(isinstance(r, str) for r in self.requires):
            raise InvalidInput(
                f"requires must be a tuple of requirements, ('numpy>=2.0',), got {self.requires!r}"
            )
        if not isinstance(self.priority, int):
            raise InvalidInput(f"a backend's priority must be an int, got {self.priority!r}")
        if not isinstance(self.capabilities, Capabilities):
            raise InvalidInput(f"expected Capabilities, got {self.capabilities!r}")
        for requirement in self.requires:
            if mistake := mistake_in(requirement):
                raise InvalidInput(f"not a requirement: {requirement!r} ({mistake})")


class OrderedSpikes(NamedTuple):
    """The spikes of all blocks of a run."""

    counts: NDArray[np.int64]
    """Spikes of each neuron, (n_neurons,)."""

    times: tuple[NDArray[np.int64], NDArray[np.float64]] | None
    """Neuron and time (ms) of each spike, sorted by neuron, then time; None for counts alone.

    The time is (step + fraction) · dt, in float64.
    """


TimeArrays = Callable[[int], tuple[NDArray[np.int64], NDArray[np.float64]]]
"""Returns, for a number of spikes, the arrays for their neurons and their times."""


def new_time_arrays(
    memory: BufferPool, n_spikes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Uninitialized arrays for the neurons and the times of spikes."""
    return memory.empty((n_spikes,), np.int64), memory.empty((n_spikes,), np.float64)


class EndArrays(NamedTuple):
    """A session's part of the arrays for the end of a run on several devices."""

    variables: NDArray[Any]
    """For the state's variables, (n_states, n_neurons). It is the session's columns of the array
    for all neurons, so its rows lie apart."""

    counts: NDArray[np.int64] | None = None
    """For the spikes of each neuron, (n_neurons,). None unless problem.ordered_spikes is true."""

    times: TimeArrays | None = None
    """Called with the number of spikes, which the blocks have told as `n_kept_spikes`, for arrays
    for their neurons and times. None unless problem.spikes is "times" too."""

    first_neuron: int = 0
    """Index in the whole run of the session's first neuron. It is added to those of the spikes."""


@dataclass
class Recorded:
    """The arrays that a block writes its samples and spikes to. They become the user's Result.

    A backend that computes on the host calls `step` for every step. Any other fills the arrays, and
    adds spikes and invalid neurons.
    """

    problem: Problem

    samples: Mapping[str, NDArray[Any]]
    """An array (samples, recorded neurons) for each variable that the user asked to record.

    It has a row for each step of `problem.sample_steps(first, count)`. The mapping is empty if
    problem.device_arrays is true. The arrays are C-contiguous, but in a run on several devices the
    rows of one may lie apart, since it is a part of the columns of a larger array.
    """

    spike_count: NDArray[np.int64]
    """Spikes of each neuron, (n_neurons,). A block adds its own, unless problem.spikes is "off".

    Nor does it if problem.ordered_spikes is true.
    """

    spikes: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = field(default_factory=list)
    """The arguments of each call of `add_spikes`."""

    invalid: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)
    """The arguments of each call of `add_invalid`."""

    features: FeatureSums | None = None
    """The running sums of the run's features, or None if the core doesn't ask for them.

    A backend whose capability `features` is "samples" gives them V at the start of every step,
    which `step` does. Their spikes are those of `add_spikes`.
    """

    n_kept_spikes: int = 0
    """Spikes of the block whose times are kept for `Session.ordered_spikes`. The block sets it."""

    _row: int = field(default=0, init=False, repr=False)  # row of the next sample
    _valid: NDArray[np.bool_] | None = field(default=None, init=False, repr=False)

    def step(
        self,
        k: int,
        before: NDArray[Any],
        after: NDArray[Any],
        slopes: Sequence[NDArray[Any]],
        conductance: NDArray[Any] | float,
    ) -> None:
        """Record the sample of step k, the spikes during it, and the neurons invalid from it on.

        before, after: the states of all neurons at the step's start and end, (n_states, n_neurons),
            in the order of problem.membrane.states.
        slopes: dV/dt in the stages of the step, mV/ms, (n_neurons,) each. The first is that at the
            step's start, and the last that at its end, both with the current of this step, which
            give V within the step.
        conductance: of all open channels at the step's start, mS/cm²: (n_neurons,).

        Call this method once for every step of the block, in order.
        """
        problem = self.problem
        if k % problem.record_every == 0:
            states = problem.membrane.states
            for name, samples in self.samples.items():
                samples[self._row] = before[states.index(name)][problem.neurons]
            self._row += 1
        if self.features is not None:
            self.features.samples(k, before[:1])
        self._find_invalid(k, before, conductance)
        if problem.spikes == "off":
            return
        V, V_next, threshold = before[0], after[0], problem.spike_threshold
        neuron = np.flatnonzero((V < threshold) & (threshold <= V_next))
        if not neuron.size:
            return
        self.spike_count[neuron] += 1
        if problem.spikes == "times":
            V = V[neuron]
            begin, end = (slope[neuron] * problem.dt for slope in (slopes[0], slopes[-1]))
            fraction = crossing(threshold - V, V_next[neuron] - V, begin, end)
            self.add_spikes(neuron, np.full(len(neuron), k), fraction)

    def _find_invalid(
        self, k: int, before: NDArray[Any], conductance: NDArray[Any] | float
    ) -> None:
        problem = self.problem
        limit = STABILITY_LIMITS[problem.method] / problem.dt * problem.parameters["C_m"]
        # The comparison is false for NaN.
        valid = np.asarray(conductance <= limit) & np.isfinite(before).all(axis=0)
        if self._valid is not None:
            valid |= ~self._valid  # was found at an earlier step
        if not valid.all():
            self.add_invalid(neuron := np.flatnonzero(~valid), np.full(len(neuron), k))
            self._valid = np.ones(len(valid), bool) if self._valid is None else self._valid
            self._valid[neuron] = False

    def add_spikes(self, neuron: NDArray[Any], step: NDArray[Any], fraction: NDArray[Any]) -> None:
        """Add spikes, the crossings V[k] < θ ≤ V[k+1], in any order, if problem.spikes is "times".

        neuron: index of the neuron of each spike.
        step: k, counted from time zero.
        fraction: of the step, from 0 to 1; `hhplug.crossings.crossing` has the formula.

        The arrays aren't copied, so the backend must not change them afterwards.
        """
        self.spikes.append((neuron, step, fraction))

    def add_invalid(self, neuron: NDArray[Any], step: NDArray[Any]) -> None:
        """Add neurons that are invalid from a step of this block on, in any order.

        neuron: index of each.
        step: the first step of the block, counted from time zero, at whose start the neuron's state
            isn't finite, or its open conductance times dt over C_m exceeds the method's of
            STABILITY_LIMITS of `hhplug.validity`.

        A neuron that was invalid in an earlier block may be added again or be left out. The arrays
        aren't copied.
        """
        self.invalid.append((neuron, step))


class Block(ABC):
    """The steps of one call of `advance`."""

    @abstractmethod
    def read(self, out: Recorded) -> None:
        """Wait for this block but for no later one, then write its samples and spikes to `out`.

        A backend on the CPU may compute the block here and write directly to the arrays.
        """


class Session(ABC):
    """One run of one problem, a context manager. It counts the steps that are done."""

    @abstractmethod
    def advance(self, n_steps: int) -> Block:
        """Enqueue n_steps steps, max_steps at most. No checks, no allocation, no wait."""

    @abstractmethod
    def state(self) -> State:
        """Wait for all steps, then return the state that the next one would begin with.

        Its variables, (n_states, n_neurons), are in the order of problem.membrane.states, which is
        V m h n for the squid membrane. The arrays are copies on the host, in the run's dtype.

        If the backend computes the sums of features and the problem has any, the carry has them as
        problem.SUMS: (sums, n_neurons) in float64, in the order of `features.definitions.sums_of`.
        """

    def begin_state(self, variables: NDArray[Any]) -> None:  # noqa: B027 (nothing needs it)
        """Begin to bring home the variables of the state after all steps that are enqueued.

        It is called in a run on several devices before the run's last block is read, with the
        `variables` that `end_into` gets afterwards, and must not wait. By default it does nothing.
        """

    def end_into(self, arrays: EndArrays) -> Callable[[], State]:
        """Begin to fill these arrays with what `state` and `ordered_spikes` return.

        It is called instead of these two in a run on several devices, and must not wait for long,
        so that all devices begin. The function that is returned waits until the arrays are filled;
        it returns the state, whose variables are arrays.variables. Any thread may call it.

        By default nothing is begun, and the function copies what `state` and `ordered_spikes`
        return. A backend can save that copy.
        """
        return partial(self._end_into, arrays)

    def _end_into(self, arrays: EndArrays) -> State:
        state = self.state()
        arrays.variables[:] = state.variables
        if arrays.counts is not None:
            counts, times = self.ordered_spikes()
            arrays.counts[:] = counts
            if times and arrays.times:
                neuron, time = arrays.times(len(times[0]))
                np.add(times[0], arrays.first_neuron, out=neuron)
                time[:] = times[1]
        return replace(state, variables=arrays.variables)

    def device_samples(self) -> Mapping[str, Any]:
        """Return the run's recorded variables on the device: (samples, recorded neurons) each.

        Only a backend with the capability device_arrays implements it. It is called once, after
        state(), if problem.device_arrays is true; blocks then have no samples. Each array has a
        shape, a dtype, a protocol by which other libraries share its memory (for example
        `__cuda_array_interface__`), and a method that copies it to the host: cpu() if it is a
        tensor, else get(). The arrays must outlive the session.
        """
        raise NotImplementedError

    def ordered_spikes(self) -> OrderedSpikes:
        """Return the spikes of all blocks, in order.

        Only a backend with the capability ordered_spikes implements it. It is called once, after
        state(), if problem.ordered_spikes is true; blocks then have no spikes.
        """
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 (many backends have nothing to free)
        """Free what the session holds. It may be called twice."""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Backend(ABC):
    """An opened backend, which a spec's factory returns."""

    device: str
    """Name of the device that runs the simulation, for example "NVIDIA H100 80GB HBM3"."""

    n_devices = 1
    """How many devices compute parts of a run. Each has the samples of that part of a block."""

    @property
    def kind(self) -> str:
        """Name of the kind of device, on all of which a run gives the same bits."""
        return self.device

    @abstractmethod
    def prepare(self, problem: Problem, max_steps: int) -> Session:
        """Do everything slow: compile, allocate for blocks of max_steps, upload.

        problem.dtype is one of the dtypes in the spec's capabilities.
        """

    @cached_property
    def result_memory(self) -> BufferPool:
        """The memory of deleted results, from which arrays for the next ones come.

        A backend may take from it the large arrays that it returns.
        """
        return BufferPool()

    def release_memory(self) -> None:  # noqa: B027 (many backends keep nothing)
        """Free the memory that is kept for the next session, if there is any.

        The core releases `result_memory`.
        """
