"""Which neurons are valid: those whose state is finite."""

import numpy as np
from numpy.typing import NDArray


def finite(state: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the state of each neuron, a column of (n_states, n), is finite: (n,)."""
    return np.logical_and.reduce(np.isfinite(state))


def nonfinite_neurons(state: NDArray[np.floating]) -> NDArray[np.intp]:
    """Indices of the neurons whose state, a column of (n_states, n), isn't finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(state.sum()):  # one pass, without a temporary array
            return np.zeros(0, np.intp)
    return np.flatnonzero(~finite(state))
