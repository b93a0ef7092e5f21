"""What to simulate: every input, checked and in one form.

Units: mV, ms, µA/cm², mS/cm², µF/cm². A `Problem` that exists is valid: backends check nothing.
"""

import copy
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import gcd
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hhplug import checks
from hhplug.currents.current import ArrayCurrent, Current
from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import UNIT
from hhplug.errors import InvalidInput, warn
from hhplug.model import (
    PARAMETER_UNITS,
    V_REST,
    VARIABLES,
    HHParameters,
    nonfinite_neurons,
    settled_gates,
)
from hhplug.quantities import PURE, in_unit, is_labelled
from hhplug.rest import resting_state

DType = Literal["float32", "float64"]
SpikeMode = Literal["times", "counts", "off"]

DTYPES: tuple[DType, ...] = ("float32", "float64")
SPIKE_MODES: tuple[SpikeMode, ...] = ("times", "counts", "off")

WHOLE_STEPS_TOLERANCE = 1e-6  # of a step, by which T may miss a whole number of steps
QUOTIENT_ERROR = 1.5 * 2.0**-52  # of T/dt, relative: T, dt and the quotient are rounded
GATE_TOLERANCE = 1e-6  # by which float32 rounding may put a gate of a final state outside [0, 1]
MOST_STEPS = 2**53  # above, time = step·dt no longer tells steps apart
MOST_NEURONS = 2**58 - 1  # above, the bytes of their state, (4, n) float64, exceed an int64
STEP_TOLERANCE = 0.01  # by which the time between two values of a stimulus may miss dt, relative
SCAN_BYTES = 2**24  # of an array current looked through for NaN at a time


@runtime_checkable
class Resumable(Protocol):
    """What a run can go on from; a `Result` is one."""

    @property
    def problem(self) -> "Problem": ...
    @property
    def final_state(self) -> NDArray[Any]: ...  # (4, n): V m h n
    @property
    def next_step(self) -> int: ...  # at which the final state stands


@dataclass(frozen=True, init=False, eq=False)
class Problem:
    """A population, its current and what to keep of it.

    The arguments are those of `Simulator.run` and `Simulator`; raises InvalidInput, naming the
    argument, for anything that cannot be simulated, and warns of neurons that start with a state
    that isn't finite.
    """

    n_neurons: int
    n_steps: int
    start_step: int
    dt: float  # ms
    dtype: DType | None  # None until a backend is chosen
    parameters: HHParameters  # each a float or an (n_neurons,) float64 array
    initial_state: NDArray[np.float64]  # (4, n_neurons): V m h n
    stimulus: Stimulus | NDArray[Any]  # as given
    current: Current  # the same as backends see it
    record: tuple[str, ...]  # of V m h n
    record_every: int
    record_neurons: NDArray[np.int64] | None  # indices in the user's order; None: all
    spikes: SpikeMode
    spike_threshold: float  # mV
    device_arrays: bool  # leave what is recorded on the device
    # Of a part of a population, and None for the whole:
    _ids: NDArray[np.int64] | None  # the neurons' numbers
    _ranks: NDArray[np.int64] | None  # of recorded columns among those of the whole
    _columns: NDArray[np.int64] | None  # of the neurons in an array stimulus

    @checks.known_arguments
    def __init__(
        self,
        T: float,
        dt: float = 0.01,
        batch_size: int | None = None,
        stimulus: Stimulus | ArrayLike | None = None,
        parameters: HHParameters | None = None,
        dtype: DTypeLike | None = None,
        record: Sequence[str] = ("V",),
        record_all: bool = False,
        record_every: int = 1,
        record_neurons: ArrayLike | None = None,
        spikes: SpikeMode = "times",
        spike_threshold: float = 0.0,
        initial_state: ArrayLike | Literal["rest"] | None = None,
        start_step: int | None = None,
        device_arrays: bool = False,
        resume: Resumable | None = None,
    ):
        dt = checks.positive("dt", dt, "ms")
        n_steps = _whole_steps(checks.positive("T", T, "ms"), dt)
        if resume is not None:
            _check_resume(resume, initial_state, start_step)
            start_step = _resumed_step(resume, dt, n_steps)
        start_step = _checked_start(0 if start_step is None else start_step, n_steps)
        checked_parameters = _checked_parameters(parameters)
        said = _neurons_said(batch_size, checked_parameters)
        if resume is not None:
            state = np.array(resume.final_state, np.float64)
            said["resume"] = state.shape[1]
        else:
            state = _checked_state(initial_state, checked_parameters)
            if state.shape[1] != 1:
                said["initial_state"] = state.shape[1]
        checked_stimulus = _checked_stimulus(stimulus, n_steps, dt, said)
        n_neurons = _population(said, checked_stimulus)
        _warn_of_nonfinite_start(state, n_neurons)
        values: dict[str, Any] = {
            "n_neurons": n_neurons,
            "n_steps": n_steps,
            "start_step": start_step,
            "dt": dt,
            "dtype": checked_dtype(dtype),
            "parameters": checked_parameters,
            "initial_state": np.broadcast_to(state, (4, n_neurons)),
            "stimulus": checked_stimulus,
            "current": _current(checked_stimulus, dt, start_step, n_neurons),
            "record": VARIABLES if record_all else _checked_record(record),
            # A longer one keeps step 0 alone too, and may not fit an int64.
            "record_every": min(checks.whole("record_every", record_every, 1), MOST_STEPS),
            "record_neurons": None
            if record_neurons is None
            else checked_neurons("record_neurons", record_neurons, n_neurons),
            "spikes": checks.choice("spikes mode", spikes, SPIKE_MODES),
            "spike_threshold": checks.number("spike_threshold", spike_threshold, "mV"),
            "device_arrays": bool(device_arrays),
        }
        values |= {
            "_ids": resume.problem._ids if resume else None,
            "_ranks": None,
            "_columns": None,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def T(self) -> float:
        """Duration of this run, ms."""
        return self.n_steps * self.dt

    @property
    def end_step(self) -> int:
        """The step at which the final state stands, and at which the next run goes on."""
        return self.start_step + self.n_steps

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

        A neuron keeps it where `take` has made the problem of one of its parts.
        """
        return np.arange(self.n_neurons) if self._ids is None else self._ids

    @property
    def record_ranks(self) -> NDArray[np.int64] | None:
        """Place of each recorded column among those of the whole population; None: by number."""
        return self._ranks

    @property
    def n_recorded(self) -> int:
        """How many neurons are recorded."""
        return self.n_neurons if self.record_neurons is None else len(self.record_neurons)

    def sample_steps(self, first: int, count: int) -> range:
        """The steps first ≤ k < first + count that are recorded: those record_every divides."""
        every = self.record_every
        return range(-(-first // every) * every, first + count, every)

    def take(self, neurons: slice | ArrayLike) -> "Problem":
        """The problem of some of the neurons, as they stand in the whole.

        neurons: a slice, or indices in the order wanted. Arrays are views for a slice. An array
        stimulus is never copied: of indices, its columns are read block by block. Of the neurons
        that are recorded, those taken are kept, in the same order. `Result.join` puts the results
        of the parts together.

        Raises InvalidInput for indices that are no neurons, and for none at all.
        """
        if isinstance(neurons, slice):
            index: Any = neurons
        else:
            index = checked_neurons("neurons", neurons, self.n_neurons)
        chosen = np.arange(self.n_neurons)[index]
        if not chosen.size:
            raise InvalidInput("neurons must name at least one neuron, got none")
        stimulus, columns = self.stimulus, self._columns
        if isinstance(stimulus, Stimulus):
            stimulus = stimulus.take(index)
        elif stimulus.ndim == 2 and stimulus.shape[1] > 1:
            if columns is not None or not isinstance(index, slice):
                columns = chosen if columns is None else columns[index]
            else:
                stimulus = stimulus[:, index]
        parameters = {
            name: value[index] if np.ndim(value) else value
            for name, value in vars(self.parameters).items()
        }
        place = np.full(self.n_neurons, -1)
        place[chosen] = np.arange(len(chosen))
        kept = np.flatnonzero(place[self.neurons] >= 0)
        ranks = None
        if self.record_neurons is not None:
            ranks = kept if self._ranks is None else self._ranks[kept]
        return self._with(
            n_neurons=len(chosen),
            parameters=HHParameters(**parameters),
            initial_state=self.initial_state[:, index],
            stimulus=stimulus,
            current=_current(stimulus, self.dt, self.start_step, len(chosen), columns),
            record_neurons=None if self.record_neurons is None else place[self.neurons[kept]],
            _ids=self.neuron_ids[index],
            _ranks=ranks,
            _columns=columns,
        )

    def with_dtype(self, dtype: DType) -> "Problem":
        """The same problem, to be computed in dtype."""
        return self._with(dtype=dtype)

    def with_initial_state(self, state: NDArray[Any]) -> "Problem":
        """The same problem from another state, (4, n) or (4, 1), which is not checked."""
        state = np.broadcast_to(state.astype(np.float64), (4, self.n_neurons))
        return self._with(initial_state=state)

    def with_device_arrays(self, device_arrays: bool) -> "Problem":
        """The same problem, what is recorded to be left on the device or not."""
        return self._with(device_arrays=device_arrays)

    def shortened(self, n_steps: int) -> "Problem":
        """The first n_steps of the same problem; of an array stimulus, a view of their rows."""
        stimulus = self.stimulus
        return self.with_steps(
            n_steps, stimulus if isinstance(stimulus, Stimulus) else stimulus[:n_steps]
        )

    def with_steps(self, n_steps: int, stimulus: Stimulus | NDArray[Any]) -> "Problem":
        """The same problem for n_steps of a stimulus, which is not checked."""
        current = _current(stimulus, self.dt, self.start_step, self.n_neurons, self._columns)
        return self._with(n_steps=n_steps, stimulus=stimulus, current=current)

    def as_part(
        self, neuron_ids: NDArray[np.int64] | None, record_ranks: NDArray[np.int64] | None
    ) -> "Problem":
        """The same problem, whose neurons have these numbers in a whole population."""
        return self._with(_ids=neuron_ids, _ranks=record_ranks)

    def joined(self, **changes: Any) -> "Problem":
        """A whole problem, of which this is a part: with what the parts differ in. Not checked."""
        stimulus = changes["stimulus"]
        current = _current(stimulus, self.dt, self.start_step, changes["n_neurons"])
        return self._with(**changes, current=current, _ids=None, _ranks=None, _columns=None)

    def _with(self, **changes: Any) -> "Problem":
        other = copy.copy(self)
        for name in ("neurons", "neuron_ids"):  # which were derived from what may change
            other.__dict__.pop(name, None)
        for name, value in changes.items():
            object.__setattr__(other, name, value)
        return other


def _is_whole(steps: float) -> bool:
    """Whether a quotient of two times is a whole number of steps, but for rounding."""
    return abs(steps - round(steps)) <= max(WHOLE_STEPS_TOLERANCE, QUOTIENT_ERROR * steps)


def _digits(steps: float) -> int:
    """How many digits show a time of this many steps so that it can be given back."""
    return 15 if steps < 1e8 else 17


def _whole_steps(T: float, dt: float) -> int:
    steps = T / dt
    if not steps < MOST_STEPS:
        raise InvalidInput(
            f"T={T:g} ms is {steps:g} steps of dt={dt!r} ms, more than can be counted"
        )
    n_steps = round(steps)
    if n_steps < 1 or not _is_whole(steps):
        below, digits = max(1, int(steps)), _digits(steps)
        raise InvalidInput(
            f"T must be a whole number of steps of dt={dt!r} ms, got {T:.{digits}g} ms "
            f"({steps:.{digits}g} steps); the nearest that would do are "
            f"{below * dt:.{digits}g} and {(below + 1) * dt:.{digits}g} ms"
        )
    return n_steps


def _check_resume(
    resume: Resumable, initial_state: ArrayLike | None, start_step: int | None
) -> None:
    if not isinstance(resume, Resumable):
        raise InvalidInput(
            f"resume must be a Result, got {type(resume).__name__}; "
            "hhplug.load_result(path) reads a saved one"
        )
    for name, value in {"initial_state": initial_state, "start_step": start_step}.items():
        if value is not None:
            raise InvalidInput(
                f"{name} must be left out beside resume, which carries the state and the time; "
                "for another time use initial_state=result.final_state and start_step instead"
            )


def _resumed_step(resume: Resumable, dt: float, n_steps: int) -> int:
    """The step of dt ms that begins where `resume` ended."""
    before = resume.problem.dt
    if dt == before:
        return resume.next_step
    time = resume.next_step * before
    steps = time / dt
    if not steps < MOST_STEPS:
        raise InvalidInput(
            f"dt={dt!r} ms makes the time of resume {steps:g} steps, more than can be counted"
        )
    if _is_whole(steps) and steps > 0.5:
        return round(steps)
    # A dt that divides both the time and T, if the dt before divides T, else the time alone.
    more = n_steps * dt / before
    unit = before * gcd(resume.next_step, round(more)) if _is_whole(more) else time
    most = max(1, int(unit / dt))
    near = [f"{unit / parts:.{_digits(steps)}g}" for parts in (most + 1, most)]
    raise InvalidInput(
        f"dt must divide the time of resume, {time:.{_digits(steps)}g} ms, into whole steps, or "
        f"time would move; got {dt!r} ms ({steps:.15g} steps), and the nearest that would do are "
        f"{near[0]} and {near[1]} ms"
    )


def _checked_start(start_step: int, n_steps: int) -> int:
    start_step = checks.whole("start_step", start_step, 0)
    if start_step + n_steps > MOST_STEPS:
        raise InvalidInput(
            f"start_step must be at most {MOST_STEPS - n_steps} for a run of {n_steps} steps, "
            f"got {start_step}: later steps can't be counted"
        )
    return start_step


def _checked_parameters(parameters: HHParameters | None) -> HHParameters:
    if parameters is None:
        parameters = HHParameters()
    if not isinstance(parameters, HHParameters):
        raise InvalidInput(
            f"parameters must be an HHParameters, got {type(parameters).__name__}; "
            "for example HHParameters(g_Na=100.0)"
        )
    checked = {}
    for name, unit in PARAMETER_UNITS.items():
        value = checks.per_neuron(name, getattr(parameters, name), unit)
        if name == "C_m":
            checks.within(name, value, f"a positive number of {unit}", least=sys.float_info.min)
        if name.startswith("g_"):
            checks.within(name, value, f"zero or more {unit}", least=0.0)
        checked[name] = value
    return replace(parameters, **checked)


def _checked_stimulus(
    stimulus: Stimulus | ArrayLike | None, n_steps: int, dt: float, said: dict[str, int]
) -> Stimulus | NDArray[Any]:
    if stimulus is None:
        return Stimulus()
    if isinstance(stimulus, Stimulus):
        for term in stimulus.vanishing(dt):
            warn(f"{term} is shorter than half a step of dt={dt:g} ms and never comes on")
        return stimulus
    labelled = is_labelled(stimulus)
    if labelled:
        stimulus = _in_order(stimulus, dt)
    if not labelled and (times := getattr(stimulus, "times", None)) is not None:  # Neo
        _refuse_other_steps(in_unit("the stimulus's times", times, "ms"), dt)
    array = checks.real_array("stimulus", stimulus, UNIT)
    if array.ndim == 0:
        raise InvalidInput(
            f"stimulus must be a Stimulus or an array over time, got the number {array}; "
            f"for a constant current use Stimulus.constant({array})"
        )
    n_neurons = next(iter(said.values()), None)
    if array.ndim > 2 or len(array) != n_steps or array.size == 0:
        raise InvalidInput(
            f"stimulus must have shape (n_steps,) = ({n_steps},) or (n_steps, n) = "
            f"({n_steps}, n), got {array.shape}{_advice(array, n_steps, n_neurons)}"
        )
    if not labelled and n_steps > 1:
        if array.ndim == 1 and n_steps == n_neurons:
            raise InvalidInput(
                f"stimulus of shape ({n_steps},) may mean a current over the {n_steps} steps or an "
                f"amplitude for each of the {n_steps} neurons; for the first give "
                "np.reshape(stimulus, (-1, 1)), for the second Stimulus.constant(stimulus)"
            )
        if array.ndim == 2 and array.shape[0] == array.shape[1]:
            warn(
                f"stimulus of shape {array.shape} is taken as (n_steps, n): a row for each step, "
                "a column for each neuron; "
                "xarray.DataArray(stimulus, dims=('time', 'neuron')) says so without a warning"
            )
    _refuse_nonfinite_current(array)
    return array


def _current(
    stimulus: Stimulus | NDArray[Any],
    dt: float,
    start_step: int,
    n_neurons: int,
    columns: NDArray[np.int64] | None = None,
) -> Current:
    """The stimulus as backends see it; one column of an array serves all neurons."""
    if isinstance(stimulus, Stimulus):
        return stimulus.current(dt)
    if columns is not None:
        return ArrayCurrent(stimulus, start_step, columns)
    one_for_all = stimulus.ndim == 2 and stimulus.shape[1] == 1 < n_neurons
    return ArrayCurrent(stimulus[:, 0] if one_for_all else stimulus, start_step)


def _advice(array: NDArray[Any], n_steps: int, n_neurons: int | None) -> str:
    """What a stimulus of the wrong shape may have been meant as."""
    if array.ndim == 1 and n_neurons in (None, len(array)):
        return "; for an amplitude per neuron use Stimulus.constant(amplitude)"
    if array.ndim == 2 and array.shape[1] == n_steps:
        return "; its steps are along the second axis, so pass np.transpose(stimulus)"
    return ""


def _in_order(stimulus: Any, dt: float) -> Any:
    """The DataArray with its dimensions, and what they are labelled with, as a run has them."""
    if not {"time"} <= set(stimulus.dims) <= {"time", "neuron"}:
        one_each = set(stimulus.dims) == {"neuron"}
        instead = "; for an amplitude per neuron use Stimulus.constant(amplitude)"
        raise InvalidInput(
            "stimulus must have the dimensions 'time' and 'neuron', or 'time' alone, "
            f"got {stimulus.dims}{instead if one_each else ''}"
        )
    if "time" in getattr(stimulus, "coords", {}):
        _refuse_other_steps(in_unit("the stimulus's time", stimulus["time"], "ms"), dt)
    checks.neurons_in_order("stimulus", stimulus)
    return stimulus.transpose("time", ...)


def _refuse_other_steps(times: Any, dt: float) -> None:
    """Raise InvalidInput unless times (ms) are dt apart."""
    steps = np.diff(np.asarray(times, np.float64))
    if not (np.abs(steps - dt) <= STEP_TOLERANCE * dt).all():
        first = steps[~(np.abs(steps - dt) <= STEP_TOLERANCE * dt)][0]
        raise InvalidInput(
            f"stimulus has values {first:g} ms apart, but dt is {dt:g} ms; "
            "resample it, or run with the dt of the stimulus"
        )


def _refuse_nonfinite_current(array: NDArray[Any]) -> None:
    """Look through the array piece by piece, so that a memory-mapped file is never loaded whole."""
    if array.dtype.kind != "f":
        return
    rows = max(1, SCAN_BYTES // array[0].nbytes)
    for first in range(0, len(array), rows):
        piece = array[first : first + rows]
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(piece.sum())  # reads once, allocates nothing
        if suspicious and not np.isfinite(piece).all():
            step, *neuron = (int(i) for i in np.argwhere(~np.isfinite(piece))[0])
            where = f"row {first + step}" + (f", neuron {neuron[0]}" if neuron else "")
            value = piece[(step, *neuron)]
            raise InvalidInput(f"stimulus must be finite ({UNIT}), got {value} at {where}")


def _checked_state(initial_state: Any, parameters: HHParameters) -> NDArray[np.float64]:
    """The state as (4, n) or (4, 1) float64; neurons that aren't finite are left as they are."""
    if initial_state is None:
        return np.array([V_REST, *settled_gates(V_REST)])[:, np.newaxis]
    if isinstance(initial_state, str):
        if initial_state != "rest":
            raise InvalidInput(
                f"initial_state must be an array of V, m, h, n or 'rest', got {initial_state!r}"
            )
        return resting_state(parameters)
    if is_labelled(initial_state):
        initial_state = _state_in_order(initial_state)
    state = checks.real_array("initial_state", initial_state, PURE)
    if state.ndim not in (1, 2) or len(state) != 4 or state.size == 0:
        raise InvalidInput(
            "initial_state must hold V, m, h, n in shape (4,), (4, 1) or (4, n), "
            f"got shape {state.shape}"
        )
    state = state.reshape(4, -1).astype(np.float64)
    gates = state[1:]
    # One pass over all three gates is enough if they are right. It is false for NaN.
    if not (-GATE_TOLERANCE <= gates.min() and gates.max() <= 1.0 + GATE_TOLERANCE):
        _refuse_gates_of_finite_neurons(state)
    return state


def _refuse_gates_of_finite_neurons(state: NDArray[np.float64]) -> None:
    """Raise InvalidInput for a gate that isn't between 0 and 1, of a neuron that is finite."""
    finite = state.copy()
    finite[:, nonfinite_neurons(state)] = 0.0
    near = GATE_TOLERANCE
    for name, values in zip(VARIABLES[1:], finite[1:], strict=True):
        label = f"{name} of initial_state"
        try:
            checks.within(label, values, "between 0 and 1", least=-near, most=1.0 + near)
        except InvalidInput as error:
            raise InvalidInput(
                f"{error}; to go on from a result use resume=result, which takes any state as it is"
            ) from None


def _state_in_order(labelled: Any) -> Any:
    """A state of xarray's with its neurons along the last axis, and V, m, h, n along the first."""
    variables = [dim for dim in labelled.dims if dim != "neuron"]
    if len(variables) != 1 or "time" in variables:
        raise InvalidInput(
            "initial_state must have one dimension for V, m, h, n and perhaps 'neuron', "
            f"got {labelled.dims}"
        )
    checks.neurons_in_order("initial_state", labelled)
    labels = getattr(labelled, "coords", {}).get(variables[0])
    if labels is not None and labels.dtype.kind in "UO" and list(labels.values) != list(VARIABLES):
        raise InvalidInput(
            f"initial_state must be labelled V, m, h, n in this order along {variables[0]!r}, "
            f"got {', '.join(map(str, labels.values))}"
        )
    return labelled.transpose(variables[0], ...)


def _warn_of_nonfinite_start(state: NDArray[np.float64], n_neurons: int) -> None:
    nonfinite = nonfinite_neurons(state)
    if nonfinite.size:
        count = nonfinite.size if state.shape[1] > 1 else n_neurons
        warn(
            f"{count} of {n_neurons} neurons start with a state that is NaN or infinite, the first "
            f"neuron {nonfinite[0]}; they stay lost, and the others are computed as always"
        )


def _neurons_said(batch_size: int | None, parameters: HHParameters) -> dict[str, int]:
    """Argument → the number of neurons that it says, without states and the stimulus."""
    said: dict[str, int] = {}
    if batch_size is not None:
        said["batch_size"] = checks.whole("batch_size", batch_size, 1)
        if said["batch_size"] > MOST_NEURONS:
            raise InvalidInput(
                f"batch_size must be at most {MOST_NEURONS}, got {batch_size}: "
                "the state of more neurons can't be addressed"
            )
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if np.ndim(value):
            said[field.name] = len(value)
    return said


def _population(said: dict[str, int], stimulus: Stimulus | NDArray[Any]) -> int:
    """The number of neurons on which all arguments agree; 1 where none says."""
    if isinstance(stimulus, Stimulus):
        if stimulus.n_neurons is not None:
            said = said | {"stimulus": stimulus.n_neurons}
    elif stimulus.ndim == 2 and stimulus.shape[1] != 1:
        said = said | {"stimulus": stimulus.shape[1]}
    (first, n_neurons), *others = said.items() or [("", 1)]
    for name, count in others:
        if count != n_neurons:
            raise InvalidInput(
                f"{first} says {n_neurons} neurons, but {name} has {count}; "
                "every array must have one value per neuron"
            )
    return n_neurons


def checked_dtype(dtype: DTypeLike | None) -> DType | None:
    """The name of a precision; None where the backend is to choose."""
    if dtype is None:
        return None
    try:
        name = np.dtype(dtype).name
    except (TypeError, ValueError, SyntaxError):
        name = dtype
    shown = dtype if isinstance(dtype, str) and name not in DTYPES else name
    return cast(DType, checks.choice("dtype", shown, DTYPES))


def _checked_record(record: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(record, Iterable):
        raise InvalidInput(
            f"record must be names of {', '.join(VARIABLES)}, got {record!r}; "
            "to keep none use record=()"
        )
    names = (record,) if isinstance(record, str) else tuple(record)
    for name in names:
        checks.choice("variable in record", name, VARIABLES)
    if len(set(names)) < len(names):
        raise InvalidInput(f"record must name each variable once, got {names}")
    return names


def checked_neurons(name: str, neurons: ArrayLike, n_neurons: int) -> NDArray[np.int64]:
    """Indices of neurons, each named once; raises InvalidInput, beginning with name."""
    indices = in_unit(name, neurons, PURE)
    chosen = checks.numpy_array(name, indices, "a list of neuron indices")
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise InvalidInput(
            f"{name} must be a list of neuron indices, "
            f"got dtype {chosen.dtype} and shape {chosen.shape}"
        )
    outside = chosen[(chosen < 0) | (chosen >= n_neurons)]
    if outside.size:
        raise InvalidInput(f"{name} must be between 0 and {n_neurons - 1}, got {outside[0]}")
    chosen = chosen.astype(np.int64)
    values, counts = np.unique(chosen, return_counts=True)
    if np.any(counts > 1):
        raise InvalidInput(f"{name} must name each neuron once, got {values[counts > 1][0]} twice")
    chosen.flags.writeable = False
    return chosen
