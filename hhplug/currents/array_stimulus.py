"""The checks of an array that a user gives as the stimulus."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug import checks
from hhplug.currents.terms import UNIT
from hhplug.errors import InvalidInput, warn
from hhplug.quantities import in_unit, is_labelled

STEP_TOLERANCE = 0.01  # largest relative difference between dt and a stimulus's time step
ADVICE = "resample it, or run with the dt of the stimulus"  # for another time step
SCAN_BYTES = 2**24  # bytes of the array that are searched for NaN at a time


def checked_array(
    stimulus: ArrayLike, n_steps: int, dt: float, n_neurons: int | None
) -> NDArray[Any]:
    """The stimulus as an array (n_steps,) or (n_steps, n) of finite values in µA/cm², not copied.

    n_neurons: the number of neurons by the other arguments, or None. Raises InvalidInput, which
    proposes a remedy, for another shape, for values that aren't finite, and for labels that don't
    fit the run.
    Warns of a square array, whose axes can't be told apart.
    """
    labelled = is_labelled(stimulus)
    if labelled:
        stimulus = _in_order(stimulus, dt)
    else:
        refuse_other_steps("stimulus", stimulus, dt, ADVICE)
    array = checks.real_array("stimulus", stimulus, UNIT)
    if array.ndim == 0:
        raise InvalidInput(
            f"stimulus must be a Stimulus or an array over time, got the number {array}; "
            f"for a constant current use Stimulus.constant({array})"
        )
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


def _advice(array: NDArray[Any], n_steps: int, n_neurons: int | None) -> str:
    """The remedy that an error proposes for a stimulus of the wrong shape, or an empty text."""
    if array.ndim == 1 and n_neurons in (None, len(array)):
        return "; for an amplitude per neuron use Stimulus.constant(amplitude)"
    if array.ndim == 2 and array.shape[1] == n_steps:
        return "; its steps are along the second axis, so pass np.transpose(stimulus)"
    return ""


def _in_order(stimulus: Any, dt: float) -> Any:
    """The DataArray with time as its first dimension.

    Raises InvalidInput for other dimensions, a step other than dt, or neurons in another order.
    """
    if not {"time"} <= set(stimulus.dims) <= {"time", "neuron"}:
        one_each = set(stimulus.dims) == {"neuron"}
        instead = "; for an amplitude per neuron use Stimulus.constant(amplitude)"
        raise InvalidInput(
            "stimulus must have the dimensions 'time' and 'neuron', or 'time' alone, "
            f"got {stimulus.dims}{instead if one_each else ''}"
        )
    refuse_other_steps("stimulus", stimulus, dt, ADVICE)
    checks.neurons_in_order("stimulus", stimulus)
    return stimulus.transpose("time", ...)


def refuse_other_steps(name: str, values: Any, dt: float, advice: str) -> None:
    """Raise InvalidInput for values whose own times, if they have any, aren't dt (ms) apart.

    An xarray.DataArray may have the coordinate time; a signal of Neo has times.
    """
    if is_labelled(values):
        times = values["time"] if "time" in getattr(values, "coords", {}) else None
    else:
        times = getattr(values, "times", None)
    if times is None:
        return
    steps = np.diff(np.asarray(in_unit(f"the {name}'s time", times, "ms"), np.float64))
    wrong = steps[~(np.abs(steps - dt) <= STEP_TOLERANCE * dt)]
    if wrong.size:
        raise InvalidInput(
            f"{name} has values {wrong[0]:g} ms apart, but dt is {dt:g} ms; {advice}"
        )


def _refuse_nonfinite_current(array: NDArray[Any]) -> None:
    """Raise InvalidInput for NaN or infinity. A memory-mapped file is read piece by piece."""
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
