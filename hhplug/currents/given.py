"""The stimulus as a user gives it, checked."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from hhplug.currents.array_stimulus import checked_array
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
    for warning in stimulus.vanishing(dt):
        warn(warning)
    return stimulus
