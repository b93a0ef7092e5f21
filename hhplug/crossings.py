"""The time within a step at which V crosses the threshold, to fourth order in dt.

RK4's own slopes k₁ … k₄ give V everywhere in the step (Hairer, Nørsett & Wanner, Solving Ordinary
Differential Equations I, section II.6):

    V(s) = V + dt [(s − 3s²/2 + 2s³/3) k₁ + (s² − 2s³/3)(k₂ + k₃) + (2s³/3 − s²/2) k₄],   0 ≤ s ≤ 1
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEWTON_STEPS = 6  # from a linear guess; the error is squared by each


def crossing(
    V: NDArray[Any], V_next: NDArray[Any], slopes: NDArray[Any], dt: float, threshold: float
) -> NDArray[Any]:
    """The fraction s of the step at which V(s) is the threshold, in [0, 1]: (spikes,).

    V, V_next: at the step's begin and end, mV, with V < threshold ≤ V_next: (spikes,).
    slopes: dV/dt in RK4's four stages, mV/ms: (4, spikes).
    """
    k1, k23, k4 = slopes[0], slopes[1] + slopes[2], slopes[3]
    # V(s) − V as s·(a + s·(b + s·c)).
    a = dt * k1
    b = dt * (k23 - 1.5 * k1 - 0.5 * k4)
    c = dt * (2.0 / 3.0) * (k1 - k23 + k4)
    rise = threshold - V
    low, high = np.zeros_like(V), np.ones_like(V)
    s = rise / (V_next - V)
    for _ in range(NEWTON_STEPS):
        error = s * (a + s * (b + s * c)) - rise
        low, high = np.where(error < 0.0, s, low), np.where(error < 0.0, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = s - error / (a + s * (2.0 * b + s * (3.0 * c)))
        # Newton's step may leave the interval, or be NaN where the slope is zero.
        s = np.where((low <= s) & (s <= high), s, 0.5 * (low + high))
    return s
