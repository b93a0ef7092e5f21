"""A plain RK4 in NumPy, which the tests of membranes compare with other simulators."""

import numpy as np

BISECTIONS = 50  # halvings of a step, down to the last bit of a time


def run(equations, state, current, parameters, dt, n_steps):
    """Integrate, and return the last state and the upward crossings of 0 mV.

    current: the current of a step from its index, (n,) µA/cm². Crossings are (neuron, ms) pairs,
    sorted by neuron, then time.
    """
    neurons, times = [np.empty(0, int)], [np.empty(0)]
    for k in range(n_steps):
        I_ext = current(k)
        k1 = equations.derivative(state, I_ext, parameters)
        k2 = equations.derivative(state + 0.5 * dt * k1, I_ext, parameters)
        k3 = equations.derivative(state + 0.5 * dt * k2, I_ext, parameters)
        k4 = equations.derivative(state + dt * k3, I_ext, parameters)
        before, state = state, state + dt / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
        crossed = np.flatnonzero((before[0] < 0.0) & (state[0] >= 0.0))
        if crossed.size:
            slopes = [k_[0, crossed] for k_ in (k1, k2, k3, k4)]
            neurons.append(crossed)
            times.append(dt * (k + _crossing(before[0, crossed], dt, *slopes)))
    neuron, time = np.concatenate(neurons), np.concatenate(times)
    order = np.lexsort((time, neuron))
    return state, neuron[order], time[order]


def _crossing(V, dt, k1, k2, k3, k4):
    """Return the fraction of a step at which RK4's own cubic through its slopes is zero.

    Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, section II.6.
    """
    low, high = np.zeros_like(V), np.ones_like(V)
    for _ in range(BISECTIONS):
        s = 0.5 * (low + high)
        value = V + dt * (
            (s - 1.5 * s**2 + 2.0 * s**3 / 3.0) * k1
            + (s**2 - 2.0 * s**3 / 3.0) * (k2 + k3)
            + (2.0 * s**3 / 3.0 - 0.5 * s**2) * k4
        )
        low, high = np.where(value < 0.0, s, low), np.where(value < 0.0, high, s)
    return high
