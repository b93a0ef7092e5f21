"""The state in which a run begins."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.checks import PerNeuron
from hhplug.errors import InvalidInput, warn
from hhplug.membranes.membrane import Membrane
from hhplug.quantities import PURE, is_labelled
from hhplug.rest import resting_state
from hhplug.threads import in_float64, of_parts
from hhplug.validity import nonfinite_neurons

START_V = -65.0  # mV; V at the beginning of a run, unless another state is given
GATE_TOLERANCE = 1e-6  # how far rounding in float32 may put a gate outside [0, 1]


def checked_state(
    initial_state: Any, membrane: Membrane, parameters: Mapping[str, PerNeuron]
) -> NDArray[np.float64]:
    """The states in the order of `membrane.states`, as (n_states, n) or (n_states, 1) float64.

    Raises InvalidInput for another shape or other labels, and for a gate outside [0, 1] or a
    negative concentration of a finite neuron. A neuron that isn't finite is left as it is.
    """
    names = ", ".join(membrane.states)
    count = len(membrane.states)
    if initial_state is None:
        return _settled(membrane, parameters)
    if isinstance(initial_state, str):
        if initial_state != "rest":
            raise InvalidInput(
                f"initial_state must be an array of {names} or 'rest', got {initial_state!r}"
            )
        return resting_state(membrane, parameters)
    if is_labelled(initial_state):
        initial_state = _state_in_order(initial_state, membrane.states)
    state = checks.real_array("initial_state", initial_state, PURE)
    if state.ndim not in (1, 2) or len(state) != count or state.size == 0:
        raise InvalidInput(
            f"initial_state must hold {names} in shape ({count},), ({count}, 1) or ({count}, n), "
            f"got shape {state.shape}"
        )
    state = in_float64(state.reshape(count, -1))
    others = state[1:]
    least = 0.0 if membrane.reading.pools else -GATE_TOLERANCE

    def valid(part: slice) -> bool:
        values = others[:, part]  # The comparison is false for NaN.
        return bool(least <= values.min() and values.max() <= 1.0 + GATE_TOLERANCE)

    # This single pass suffices if all values are valid.
    if others.size and not all(of_parts(valid, others.shape[1])):
        _refuse_values_of_finite_neurons(state, membrane)
    return state


def _settled(membrane: Membrane, parameters: Mapping[str, PerNeuron]) -> NDArray[np.float64]:
    """V is START_V, gates are settled there, and pools are at rest."""
    if all(isinstance(value, float) for value in parameters.values()):
        return _settled_alike(membrane, tuple(parameters.items()))
    return _settled_state(membrane, parameters)


@lru_cache(maxsize=16)
def _settled_alike(
    membrane: Membrane, parameters: tuple[tuple[str, float], ...]
) -> NDArray[np.float64]:
    """The same for parameters that all neurons share, for which run after run asks."""
    state = _settled_state(membrane, dict(parameters))
    state.flags.writeable = False
    return state


def _settled_state(membrane: Membrane, parameters: Mapping[str, PerNeuron]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        state = membrane.equations.settled(START_V, parameters)
    return state.reshape(len(state), -1)


def _refuse_values_of_finite_neurons(state: NDArray[np.float64], membrane: Membrane) -> None:
    """Raise InvalidInput for a gate or a concentration of a finite neuron that can't be one."""
    finite = state.copy()
    finite[:, nonfinite_neurons(state)] = 0.0
    near = GATE_TOLERANCE
    for name, values in zip(membrane.states[1:], finite[1:], strict=True):
        label = f"{name} of initial_state"
        try:
            if name in membrane.reading.pools:
                checks.within(label, values, "zero or more mM", least=0.0)
            else:
                checks.within(label, values, "between 0 and 1", least=-near, most=1.0 + near)
        except InvalidInput as error:
            raise InvalidInput(
                f"{error}; to continue a result use resume=result, which accepts any state"
            ) from None


def _state_in_order(labelled: Any, names: tuple[str, ...]) -> Any:
    """The DataArray with the states along its first axis. Raises InvalidInput for other labels."""
    variables = [dim for dim in labelled.dims if dim != "neuron"]
    if len(variables) != 1 or "time" in variables:
        raise InvalidInput(
            f"initial_state must have one dimension for {', '.join(names)} and perhaps 'neuron', "
            f"got {labelled.dims}"
        )
    checks.neurons_in_order("initial_state", labelled)
    labels = getattr(labelled, "coords", {}).get(variables[0])
    if labels is not None and labels.dtype.kind in "UO" and list(labels.values) != list(names):
        raise InvalidInput(
            f"initial_state must be labelled {', '.join(names)} in this order along "
            f"{variables[0]!r}, got {', '.join(map(str, labels.values))}"
        )
    return labelled.transpose(variables[0], ...)


def warn_of_nonfinite_start(state: NDArray[np.float64], n_neurons: int) -> None:
    """Warn of neurons that start with NaN or infinite values.

    state: (n_states, n_neurons), or (n_states, 1) for all.
    """
    nonfinite = nonfinite_neurons(state)
    if nonfinite.size:
        count = nonfinite.size if state.shape[1] > 1 else n_neurons
        warn(
            f"{count} of {n_neurons} neurons start with a state that is NaN or infinite, the first "
            f"neuron {nonfinite[0]}; they stay so, and the other neurons aren't affected"
        )
