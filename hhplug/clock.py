"""Convert times in ms to steps of dt."""

from typing import Any

import numpy as np

HALF_STEP_TOLERANCE = 1e-6  # steps; rounding errors never decide how a half is rounded


def nearest_step(time: Any, dt: float) -> Any:
    """The step whose beginning is nearest to a time in ms, or to each time of an array.

    Half a step is rounded up. Times that are a whole number of steps apart stay that far apart.
    """
    return np.floor(time / dt + (0.5 + HALF_STEP_TOLERANCE))
