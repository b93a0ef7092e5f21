"""What to simulate: every input, checked and in one form.

Units: mV, ms, µA/cm², mS/cm², µF/cm². A `Problem` that exists is valid: backends check nothing.
"""

import copy
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hhplug import checks
from hhplug.errors import InvalidInput
from hhplug.model import PARAMETER_UNITS, V_REST, VARIABLES, HHParameters, settled_gates
from hhplug.stimulus import UNIT, ArrayCurrent, Current, SeparableCurrent, Stimulus

DType = Literal["float32", "float64"]
SpikeMode = Literal["times", "counts", "off"]

DTYPES: tuple[DType, ...] = ("float32", "float64")
SPIKE_MODES: tuple[SpikeMode, ...] = ("times", "counts", "off")

WHOLE_STEPS_TOLERANCE = 1e-6  # of a step, by which T may miss a whole number of steps
QUOTIENT_ERROR = 1.5 * 2.0**-52  # of T/dt, relative: T, dt and the quotient are rounded
GATE_TOLERANCE = 1e-6  # by which float32 rounding may put a gate of a final state outside [0, 1]
MOST_STEPS = 2**53  # above, time = step·dt no longer tells steps apart
MOST_NEURONS = 2**58 - 1  # above, the bytes of their state, (4, n) float64, exceed an int64
SCAN_BYTES = 2**24  # of an array current looked through for NaN at a time


@dataclass(frozen=True, init=False, eq=False)
class Problem:
    """A population, its current and what to keep of it.

    The arguments are those of `Simulator.run` and `Simulator`; raises InvalidInput, naming the
    argument, for anything that cannot be simulated.
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
        initial_state: ArrayLike | None = None,
        start_step: int = 0,
        device_arrays: bool = False,
    ):
        dt = checks.positive("dt", dt, "ms")
        n_steps = _whole_steps(checks.positive("T", T, "ms"), dt)
        start_step = _checked_start(start_step, n_steps)
        checked_parameters = _checked_parameters(parameters)
        checked_stimulus = _checked_stimulus(stimulus, n_steps)
        state = None if initial_state is None else _checked_state(initial_state)
        n_neurons = _population(batch_size, checked_parameters, checked_stimulus, state)
        if state is None:
            state = np.array([V_REST, *settled_gates(V_REST)])[:, np.newaxis]
        if isinstance(checked_stimulus, Stimulus):
            current = SeparableCurrent(checked_stimulus, dt)
        else:
            current = ArrayCurrent(checked_stimulus, start_step)
        values: dict[str, Any] = {
            "n_neurons": n_neurons,
            "n_steps": n_steps,
            "start_step": start_step,
            "dt": dt,
            "dtype": checked_dtype(dtype),
            "parameters": checked_parameters,
            "initial_state": np.broadcast_to(state, (4, n_neurons)),
            "stimulus": checked_stimulus,
            "current": current,
            "record": VARIABLES if record_all else _checked_record(record),
            # A longer one keeps step 0 alone too, and may not fit an int64.
            "record_every": min(checks.whole("record_every", record_every, 1), MOST_STEPS),
            "record_neurons": _checked_neurons(record_neurons, n_neurons),
            "spikes": checks.choice("spikes mode", spikes, SPIKE_MODES),
            "spike_threshold": checks.number("spike_threshold", spike_threshold, "mV"),
            "device_arrays": bool(device_arrays),
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

    @property
    def n_recorded(self) -> int:
        """How many neurons are recorded."""
        return self.n_neurons if self.record_neurons is None else len(self.record_neurons)

    def sample_steps(self, first: int, count: int) -> range:
        """The steps first ≤ k < first + count that are recorded: those record_every divides."""
        every = self.record_every
        return range(-(-first // every) * every, first + count, every)

    def with_dtype(self, dtype: DType) -> "Problem":
        """The same problem, to be computed in dtype."""
        return self._with("dtype", dtype)

    def with_device_arrays(self, device_arrays: bool) -> "Problem":
        """The same problem, what is recorded to be left on the device or not."""
        return self._with("device_arrays", device_arrays)

    def _with(self, name: str, value: Any) -> "Problem":
        other = copy.copy(self)
        object.__setattr__(other, name, value)
        return other


def _whole_steps(T: float, dt: float) -> int:
    steps = T / dt
    if not steps < MOST_STEPS:
        raise InvalidInput(
            f"T={T:g} ms is {steps:g} steps of dt={dt!r} ms, more than can be counted"
        )
    n_steps = round(steps)
    if n_steps < 1 or abs(steps - n_steps) > max(WHOLE_STEPS_TOLERANCE, QUOTIENT_ERROR * steps):
        below = max(1, int(steps))
        digits = 15 if steps < 1e8 else 17  # 15 of a longer T would not do
        raise InvalidInput(
            f"T must be a whole number of steps of dt={dt!r} ms, got {T:.{digits}g} ms "
            f"({steps:.{digits}g} steps); the nearest that would do are "
            f"{below * dt:.{digits}g} and {(below + 1) * dt:.{digits}g} ms"
        )
    return n_steps


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
    stimulus: Stimulus | ArrayLike | None, n_steps: int
) -> Stimulus | NDArray[Any]:
    if stimulus is None:
        return Stimulus()
    if isinstance(stimulus, Stimulus):
        return stimulus
    array = checks.real_array("stimulus", stimulus)
    if array.ndim == 0:
        raise InvalidInput(
            f"stimulus must be a Stimulus or an array over time, got the number {array}; "
            f"for a constant current use Stimulus.constant({array})"
        )
    if array.ndim > 2 or len(array) != n_steps or array.size == 0:
        raise InvalidInput(
            f"stimulus must have shape (n_steps,) = ({n_steps},) or (n_steps, n) = "
            f"({n_steps}, n), got {array.shape}; for an amplitude per neuron use "
            "Stimulus.constant(amplitude)"
        )
    _refuse_nonfinite_current(array)
    return array


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


def _checked_state(initial_state: ArrayLike) -> NDArray[np.float64]:
    """The state as (4, n) or (4, 1) float64."""
    state = checks.real_array("initial_state", initial_state)
    if state.ndim not in (1, 2) or len(state) != 4 or state.size == 0:
        raise InvalidInput(
            "initial_state must hold V, m, h, n in shape (4,), (4, 1) or (4, n), "
            f"got shape {state.shape}"
        )
    state = state.reshape(4, -1).astype(np.float64)
    for name, values in zip(VARIABLES, state, strict=True):
        label = f"{name} of initial_state"
        if name == "V":
            checks.within(label, values, "a finite number")
        else:
            near = GATE_TOLERANCE
            checks.within(label, values, "between 0 and 1", least=-near, most=1.0 + near)
    return state


def _population(
    batch_size: int | None,
    parameters: HHParameters,
    stimulus: Stimulus | NDArray[Any],
    state: NDArray[np.float64] | None,
) -> int:
    """The number of neurons on which all arguments agree; 1 where none says."""
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
    if isinstance(stimulus, Stimulus):
        if stimulus.batch_size is not None:
            said["stimulus"] = stimulus.batch_size
    elif stimulus.ndim == 2:
        said["stimulus"] = stimulus.shape[1]
    if state is not None and state.shape[1] != 1:
        said["initial_state"] = state.shape[1]
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


def _checked_neurons(record_neurons: ArrayLike | None, n_neurons: int) -> NDArray[np.int64] | None:
    if record_neurons is None:
        return None
    chosen = checks.numpy_array("record_neurons", record_neurons, "a list of neuron indices")
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise InvalidInput(
            "record_neurons must be a list of neuron indices, "
            f"got dtype {chosen.dtype} and shape {chosen.shape}"
        )
    outside = chosen[(chosen < 0) | (chosen >= n_neurons)]
    if outside.size:
        raise InvalidInput(
            f"record_neurons must be between 0 and {n_neurons - 1}, got {outside[0]}"
        )
    chosen = chosen.astype(np.int64)
    values, counts = np.unique(chosen, return_counts=True)
    if np.any(counts > 1):
        raise InvalidInput(
            f"record_neurons must name each neuron once, got {values[counts > 1][0]} twice"
        )
    chosen.flags.writeable = False
    return chosen
