"""The time within a step at which V crosses the threshold, to fourth order in dt.

Between the ends of a step, V is the cubic that has V and dV/dt of both ends. For classic RK4, whose
first and last slopes are k₁ and k₄, that is its own continuous extension (Hairer, Nørsett & Wanner,
Solving Ordinary Differential Equations I, section II.6):

    V(s) = V + dt [(s − 3s²/2 + 2s³/3) k₁ + (s² − 2s³/3)(k₂ + k₃) + (2s³/3 − s²/2) k₄],   0 ≤ s ≤ 1
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEWTON_STEPS = 6  # from a linear guess; each squares the error


def crossing(
    rise: NDArray[Any], change: NDArray[Any], slope: NDArray[Any], end_slope: NDArray[Any]
) -> NDArray[Any]:
    """The fraction s of the step, in [0, 1], at which the cubic has risen by `rise`: (spikes,).

    rise: from V at the step's start to the threshold, mV; above 0 and at most `change`.
    change: V at the step's end minus V at its start, mV.
    slope, end_slope: dV/dt at the start and the end, mV per step.
    """
    # V(s) − V(0) as s·(a + s·(b + s·c)).
    a, b, c = slope, 3.0 * change - 2.0 * slope - end_slope, slope + end_slope - 2.0 * change
    low, high = np.zeros_like(rise), np.ones_like(rise)
    s = rise / change
    for _ in range(NEWTON_STEPS):
        error = s * (a + s * (b + s * c)) - rise
        low, high = np.where(error < 0.0, s, low), np.where(error < 0.0, high, s)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            s = s - error / (a + s * (2.0 * b + s * (3.0 * c)))
        # Newton's step may leave the interval, or be NaN where the slope is zero.
        s = np.where((low <= s) & (s <= high), s, 0.5 * (low + high))
    return s
