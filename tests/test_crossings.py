"""The time of a crossing within a step."""

import numpy as np
import pytest

from hhplug.crossings import crossing

DT = 0.02  # ms


def rk4_slopes(f, V, dt):
    """Return k1 … k4 of dV/dt = f(V), and V after the step."""
    k1 = f(V)
    k2 = f(V + dt / 2 * k1)
    k3 = f(V + dt / 2 * k2)
    k4 = f(V + dt * k3)
    return np.stack([k1, k2, k3, k4]), V + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


# dV/dt = r V from V < 0 has the solution V e^{rt}; it is shifted to cross 0.
@pytest.mark.parametrize("dt", [0.2, 0.1])
def test_the_error_falls_with_the_fourth_power_of_dt(dt):
    r, shift = 3.0, 40.0  # 1/ms, mV: V + shift grows e-fold in 1/3 ms

    def error(dt):
        starts = -shift + shift * np.exp(-r * dt * np.linspace(0.05, 0.95, 19))
        slopes, after = rk4_slopes(lambda V: r * (V + shift), starts, dt)
        exact = np.log(shift / (starts + shift)) / r  # ms to V = 0
        return np.abs(dt * crossing(starts, after, slopes, dt, 0.0) - exact).max()

    assert error(dt) / error(dt / 2) > 12.0


def test_a_straight_line_is_crossed_where_it_crosses():
    V, slope = np.array([-1.0, -0.25, -1e-9]), 100.0
    slopes = np.full((4, 3), slope)
    fraction = crossing(V, V + DT * slope, slopes, DT, 0.0)
    assert fraction == pytest.approx(-V / (DT * slope), abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_fraction_is_within_the_step_whatever_the_slopes(dtype):
    random = np.random.default_rng(1)
    n = 10_000
    slopes = random.normal(0.0, 300.0, (4, n)).astype(dtype)
    V = -(10.0 ** random.uniform(-9.0, 2.0, n)).astype(dtype)
    after = V + (DT / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])).astype(dtype)
    up = after >= 0.0
    assert up.sum() > 1000
    fraction = crossing(V[up], after[up], slopes[:, up], DT, 0.0)
    assert fraction.dtype == dtype
    assert ((fraction >= 0.0) & (fraction <= 1.0)).all()
