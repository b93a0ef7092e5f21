"""The state in which a run begins."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.errors import InvalidInput, warn
from hhplug.model import V_REST, VARIABLES, HHParameters, nonfinite_neurons, settled_gates
from hhplug.quantities import PURE, is_labelled
from hhplug.rest import resting_state

GATE_TOLERANCE = 1e-6  # how far rounding in float32 may put a gate outside [0, 1]


def checked_state(initial_state: Any, parameters: HHParameters) -> NDArray[np.float64]:
    """The state V (mV), m, h, n as (4, n) or (4, 1) float64.

    Raises InvalidInput for another shape or other labels, and for a gate outside [0, 1] of a finite
    neuron. A neuron that isn't finite is left as it is.
    """
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
    # This single pass suffices if all gates are valid. The comparison is false for NaN.
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
                f"{error}; to continue a result use resume=result, which accepts any state"
            ) from None


def _state_in_order(labelled: Any) -> Any:
    """The DataArray with V, m, h, n along its first axis. Raises InvalidInput for other labels."""
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


def warn_of_nonfinite_start(state: NDArray[np.float64], n_neurons: int) -> None:
    """Warn of neurons that start with NaN or infinite values; state is (4, n) or (4, 1)."""
    nonfinite = nonfinite_neurons(state)
    if nonfinite.size:
        count = nonfinite.size if state.shape[1] > 1 else n_neurons
        warn(
            f"{count} of {n_neurons} neurons start with a state that is NaN or infinite, the first "
            f"neuron {nonfinite[0]}; they stay so, and the other neurons aren't affected"
        )
