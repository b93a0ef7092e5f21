"""The stimulus as a user gives it: checked, and turned into the current that backends see."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug.currents.array_stimulus import checked_array
from hhplug.currents.current import ArrayCurrent, Current
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import warn


def checked_stimulus(
    stimulus: Stimulus | ArrayLike | None, n_steps: int, dt: float, n_neurons: int | None
) -> Stimulus | NDArray[Any]:
    """The stimulus as a Stimulus or an array (n_steps,) or (n_steps, n), in µA/cm².

    n_neurons: the number of neurons by the other arguments, or None. Raises InvalidInput for an
    array that doesn't fit the run. Warns of terms that have no effect.
    """
    if stimulus is None:
        return Stimulus()
    if not isinstance(stimulus, Stimulus):
        return checked_array(stimulus, n_steps, dt, n_neurons)
    for term in stimulus.vanishing(dt):
        warn(f"{term} is shorter than half a step of dt={dt:g} ms and has no effect")
    return stimulus


def current_of(
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
