"""Validity: from which step on a neuron's values mean nothing.

A neuron is invalid from the first step at which its state isn't finite, or at which its open
conductances over C_m, times dt, exceed the stability limit of the method of integration. Beyond it
V may stay finite, but it swings by hundreds of mV and spikes that no membrane has are counted.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.threads import of_parts

STABILITY_LIMIT = 2.785
"""That of classic RK4: the largest z at which |1 − z + z²/2 − z³/6 + z⁴/24| ≤ 1, rounded down."""

STABILITY_LIMITS = {"rk4": STABILITY_LIMIT, "stiff": math.inf}
"""That of each method of integration. Crank and Nicolson's rule has none."""

VALID = -1  # first invalid step of a valid neuron


class Invalid(NamedTuple):
    """The invalid neurons of a population by rising number, and each one's first invalid step."""

    neuron: NDArray[np.int64]
    step: NDArray[np.int64]

    def first_steps(self, n_neurons: int) -> NDArray[np.int64]:
        """The first invalid step of every neuron, VALID if there is none: (n_neurons,)."""
        steps = np.full(n_neurons, VALID)
        steps[self.neuron] = self.step
        return steps

    def valid(self, n_neurons: int) -> NDArray[np.bool_]:
        """Whether each neuron is valid to the end: (n_neurons,)."""
        valid = np.ones(n_neurons, bool)
        valid[self.neuron] = False
        return valid

    def in_steps(self, ratio: float) -> "Invalid":
        """The same in steps of another dt. ratio: the old dt over the new one."""
        return (
            self if ratio == 1.0 else Invalid(self.neuron, np.rint(self.step * ratio).astype(int))
        )

    def take(self, place: NDArray[np.int64]) -> "Invalid":
        """The same in another population. place: number there of each that is invalid, or −1."""
        return earliest([Invalid(place[place >= 0], self.step[place >= 0])])


NONE_INVALID = Invalid(np.empty(0, np.int64), np.empty(0, np.int64))


def earliest(found: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Invalid:
    """The invalid neurons of several findings, each with the first of its steps."""
    if not found:
        return NONE_INVALID
    neuron, step = (np.concatenate(arrays).astype(np.int64) for arrays in zip(*found, strict=True))
    order = np.lexsort((step, neuron))
    neuron, step = neuron[order], step[order]
    first = np.flatnonzero(np.diff(neuron, prepend=-1))
    return Invalid(neuron[first], step[first])


def invalid_neurons(first_steps: NDArray[np.int64]) -> Invalid:
    """The invalid neurons among all. first_steps: as `Invalid.first_steps` returns them."""
    neuron = np.flatnonzero(first_steps != VALID)
    return Invalid(neuron, first_steps[neuron])


def finite(state: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the state of each neuron, a column of (n_states, n), is finite: (n,)."""
    return np.logical_and.reduce(np.isfinite(state))


def nonfinite_neurons(state: NDArray[np.floating]) -> NDArray[np.intp]:
    """Indices of the neurons whose state, a column of (n_states, n), isn't finite."""

    def all_finite(part: slice) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            # One pass, without a temporary array.
            return bool(np.isfinite(state[:, part].sum()))

    if all(of_parts(all_finite, state.shape[1])):
        return np.zeros(0, np.intp)
    return np.flatnonzero(~finite(state))
