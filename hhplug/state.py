"""The state of a population between two steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class State:
    """What the next step needs to know of the steps before."""

    variables: NDArray[Any]
    """The states of each neuron, (n_states, n), in the order of `membrane.states`."""

    carry: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What a backend needs besides: arrays (…, n) by name. Most backends need nothing.

    The core passes them on to the run that resumes this one, and doesn't look into them.
    """

    known_finite: bool = False
    """Whether all variables are known to be finite, so that nobody need look."""

    def take(self, neurons: Any) -> "State":
        """The state of some neurons, a slice or an array of indices."""
        carry = {name: array[..., neurons] for name, array in self.carry.items()}
        return State(self.variables[:, neurons], carry)


def side_by_side(states: "list[State]", order: NDArray[np.int64]) -> State:
    """The state of several populations together, whose neurons are then put in an order."""
    variables = np.concatenate([state.variables for state in states], axis=1)[:, order]
    names = states[0].carry
    carry = {n: np.concatenate([s.carry[n] for s in states], axis=-1)[..., order] for n in names}
    return State(variables, carry)
