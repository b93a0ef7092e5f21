"""A step of the method "stiff" in float64, from a membrane's equations as they are written.

With V and the pools held, every gate obeys dx/dt = a − b·x; with the gates held, so does V. A
symmetric step goes half of its length with the gates, then all of it with V and the pools, then
again half of it with the gates (Strang, SIAM J. Numer. Anal. 5:506, 1968), each by the rule of
Crank and Nicolson, which is stable for every b ≥ 0. The error of a symmetric step has only even
powers of its length, so that (4 · two half steps − the whole step)/3 is of fourth order (Hairer,
Lubich & Wanner, Geometric Numerical Integration, section II.4).

V by itself is not linear where a gate is instantaneous, nor are V and the pools together. There two
copies of V and the pools are moved in turn, each with the conductances, reversal potentials and
currents of the other, so that every move is linear. The copies are exchangeable, so that to the
order that counts their difference does not act on their mean, and the mean is as if the step were
symmetric.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import PerNeuron
from hhplug.membranes.equations import Equations

Array = NDArray[np.float64]


def stiff_step(
    equations: Equations,
    state: Array,
    I_ext: Array,
    dt: float,
    parameters: Mapping[str, PerNeuron],
) -> tuple[Array, tuple[Array, Array]]:
    """One step of dt ms of the method "stiff".

    state: of each neuron, (n_states, n). I_ext (µA/cm²) is constant during the step.

    Returns the state after the step, and dV/dt at both ends of the step, mV/ms.
    """
    whole = _symmetric_step(equations, state, I_ext, dt, parameters)
    middle = _symmetric_step(equations, state, I_ext, dt / 2.0, parameters)
    halves = _symmetric_step(equations, middle, I_ext, dt / 2.0, parameters)
    after = halves + (halves - whole) / 3.0
    begin, end = (equations.derivative(y, I_ext, parameters)[0] for y in (state, after))
    return after, (begin, end)


def _symmetric_step(
    equations: Equations,
    state: Array,
    I_ext: Array,
    h: float,
    parameters: Mapping[str, PerNeuron],
) -> Array:
    """The state after h ms: gates, membrane, gates."""

    def with_gates_moved(state: Array) -> Array:
        coefficients = equations.linear_gates(state, parameters)
        return _moved(equations, state, coefficients, h / 2.0)

    state = with_gates_moved(state)
    state = _membrane_step(equations, state, I_ext, h, parameters)
    return with_gates_moved(state)


def _membrane_step(
    equations: Equations,
    state: Array,
    I_ext: Array,
    h: float,
    parameters: Mapping[str, PerNeuron],
) -> Array:
    """The state after h ms with the gates held."""

    def moved(one: Array, other: Array, length: float) -> Array:
        coefficients = equations.linear_membrane(other, I_ext, parameters)
        return _moved(equations, one, coefficients, length)

    if equations.linear_in_V:
        return moved(state, state, h)
    one = moved(state, state, h / 2.0)
    other = moved(state, one, h)
    one = moved(one, other, h / 2.0)
    return (one + other) / 2.0


def _moved(
    equations: Equations, state: Array, coefficients: Mapping[str, tuple[Any, Any]], h: float
) -> Array:
    """The state after h ms of dx/dt = a − b·x, by Crank and Nicolson's rule."""
    after = state.copy()
    for name, (a, b) in coefficients.items():
        row = equations.states.index(name)
        after[row] += h * (a - b * state[row]) / (1.0 + 0.5 * h * b)
    return after
