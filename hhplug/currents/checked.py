"""The one place that decides what a user's `stimulus=` is: a Stimulus, an array, or no current."""

import numpy as np
from numpy.typing import ArrayLike

from hhplug.currents.array_stimulus import checked_array
from hhplug.currents.given import GivenStimulus
from hhplug.currents.given_array import ArrayStimulus
from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import written
from hhplug.errors import InvalidInput, warn


def checked_stimulus(
    stimulus: Stimulus | ArrayLike | None, n_steps: int, dt: float, n_neurons: int | None
) -> GivenStimulus:
    """The stimulus of a run, in µA/cm².

    n_neurons: the number of neurons by the other arguments, or None. Raises InvalidInput for an
    array that doesn't fit the run. Warns of terms that have no effect.
    """
    if stimulus is None:
        return Stimulus()
    if not isinstance(stimulus, Stimulus):
        return ArrayStimulus(checked_array(stimulus, n_steps, dt, n_neurons))
    _warn_of_terms_without_effect(stimulus, dt)
    return stimulus


def _warn_of_terms_without_effect(stimulus: Stimulus, dt: float) -> None:
    """Warn of each term that is too short for any step of dt (ms)."""
    for term in stimulus.terms:
        short = term.vanishes(dt)
        if short is not False and np.any(short):
            where = f" in {np.sum(short)} of {np.size(short)} neurons" if np.ndim(short) else ""
            warn(
                f"{written(term)} is too short for a step of dt={dt:g} ms and has no effect{where}"
            )


def checked_terms(stimulus: Stimulus | None) -> Stimulus:
    """The stimulus where an array can't be one. Raises InvalidInput for an array."""
    if stimulus is None:
        return Stimulus()
    if not isinstance(stimulus, Stimulus):
        raise InvalidInput(f"stimulus must be a Stimulus, got a {type(stimulus).__name__}")
    return stimulus
