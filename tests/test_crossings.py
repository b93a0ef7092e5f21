"""The time of a crossing within a step."""

import numpy as np
import pytest

from hhplug.crossings import crossing


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
        fraction = crossing(-starts, after - starts, dt * slopes[0], dt * slopes[-1])
        return np.abs(dt * fraction - exact).max()

    assert error(dt) / error(dt / 2) > 12.0


# Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, section II.6.
def test_it_is_where_the_continuous_extension_of_RK4_crosses():
    dt, V = 0.3, np.linspace(-0.9, -0.1, 9)
    k, after = rk4_slopes(lambda V: 2.0 + np.sin(5.0 * V) - V**2, V, dt)
    up = after >= 0.0
    assert up.sum() > 2
    s = crossing(-V[up], (after - V)[up], dt * k[0, up], dt * k[-1, up])
    weights = [s - 3 * s**2 / 2 + 2 * s**3 / 3, *2 * [s**2 - 2 * s**3 / 3],
               2 * s**3 / 3 - s**2 / 2]  # fmt: skip
    assert np.abs(V[up] + dt * np.sum(weights * k[:, up], axis=0)).max() < 1e-14


def test_a_straight_line_is_crossed_where_it_crosses():
    rise, change = np.array([1.0, 0.25, 1e-9, 2.0]), np.full(4, 2.0)
    assert crossing(rise, change, change, change) == pytest.approx(rise / change, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_fraction_is_within_the_step_whatever_the_slopes(dtype):
    random = np.random.default_rng(1)
    n = 10_000
    begin, end = random.normal(0.0, 6.0, (2, n)).astype(dtype)
    rise = (10.0 ** random.uniform(-9.0, 2.0, n)).astype(dtype)
    change = rise * (1.0 + 10.0 ** random.uniform(-6.0, 3.0, n)).astype(dtype)
    fraction = crossing(rise, change, begin, end)
    assert fraction.dtype == dtype
    assert ((fraction >= 0.0) & (fraction <= 1.0)).all()
