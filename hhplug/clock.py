"""Times in steps of dt."""

from typing import Any

import numpy as np

HALF_STEP_TOLERANCE = 1e-6  # of a step, so that rounding errors never decide where a half goes


def nearest_step(time: Any, dt: float) -> Any:
    """The step at whose beginning a time (ms), or an array of them, stands; halves go up.

    Times that are a whole number of steps apart stay as many steps apart.
    """
    return np.floor(time / dt + (0.5 + HALF_STEP_TOLERANCE))
