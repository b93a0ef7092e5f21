"""The features of a run, from the sums that the state after it carries."""

import numpy as np
from numpy.typing import NDArray

from hhplug.features.sums import FeatureSums
from hhplug.problem import SUMS, Problem
from hhplug.state import State
from hhplug.validity import Invalid


def feature_values(
    problem: Problem, final: State, invalid: Invalid
) -> dict[str, NDArray[np.float64]]:
    """The features of a problem whose steps are all done: name → (n_neurons,).

    final: the state after them, which carries the sums. invalid: neurons whose features are NaN.
    """
    sums = FeatureSums(
        problem.features,
        problem.window_steps,
        problem.n_neurons,
        problem.spike_threshold,
        problem.dt,
        final.carry[SUMS],
    )
    return sums.values(problem.end_step, invalid.valid(problem.n_neurons))
