"""The resting state of a membrane, in which it stays without a current."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import PerNeuron
from hhplug.errors import InvalidInput, warn
from hhplug.membranes.equations import Equations
from hhplug.membranes.membrane import Membrane

Array = NDArray[np.float64]
Arrays = dict[str, Array]
"""The values of each parameter, or the concentration of each pool, by name."""

SPACING = 0.1  # mV between the voltages that bracket a root
MOST_VOLTAGES = 100_000  # largest number of these voltages
CURRENTS_AT_A_TIME = 2**22  # currents computed in one array, which bounds the memory
HALVINGS = 50  # bisections that take 0.1 mV to the last bit of a voltage
DECIMALS = 10  # digits kept of V in mV; later ones depend on the number of neurons
MOST_ITERATIONS = 60  # of Newton's method for a concentration
LEAST_SHARE = 0.1  # of a concentration, that an iteration leaves at least: it stays above 0
PRECISE = 1e-13  # relative change of a concentration that ends the iterations
# The step of a numerical derivative: in mV for V, without a unit for a gate, relative for a pool.
DIFFERENCE = 1e-4
GROWTH = 1e-9  # 1/ms; least growth rate of an unstable state, above the rounding error
NEURONS_AT_A_TIME = 2**16  # neurons whose eigenvalues are computed in one array


def resting_state(membrane: Membrane, parameters: Mapping[str, PerNeuron]) -> Array:
    """The states at rest without a current: (n_states, 1), or (n_states, n) for arrays of n values.

    V is the lowest root of the steady-state current, with pools in balance. Warns of neurons whose
    resting state is unstable: an eigenvalue of the equations, linearised there, has a positive real
    part. Raises InvalidInput for a membrane without a conductance, which rests at any voltage, and
    if there is no resting state.
    """
    equations, p = membrane.equations, _broadcast(parameters)
    with np.errstate(all="ignore"):
        V = _lowest_root(equations, p)
        state = equations.settled(V, p, balanced_pools(equations, V, p))
        lost = ~np.isfinite(state).all(axis=0)
        if lost.any():
            raise InvalidInput(
                f"initial_state='rest': no resting state of membrane {membrane.name} was found for "
                f"neuron {lost.argmax()}"
            )
        _warn_of_unstable(equations, state, p)
    return state


def steady_current(equations: Equations, V: Array, p: Arrays) -> Array:
    """Sum of the ionic currents when gates are steady and pools in balance at V (mV), µA/cm²."""
    return equations.steady_current(V, p, balanced_pools(equations, V, p))


def balanced_pools(equations: Equations, V: Array, p: Arrays) -> Arrays:
    """The concentration of each pool, mM, that doesn't change while V (mV) is held.

    It is a root of the pool's slope, found by Newton's method for each neuron and pool by itself. A
    neuron's concentrations stay as they are once they have converged, so that they don't depend on
    the other neurons.
    """
    rest = equations.pools_at_rest(p)
    shape = np.broadcast_shapes(V.shape, *(np.shape(value) for value in p.values()))
    pools = {name: np.array(np.broadcast_to(value, shape)) for name, value in rest.items()}
    open_ones = np.ones(shape, bool)  # neurons whose concentrations still change
    for _ in range(MOST_ITERATIONS if pools else 0):
        slopes = equations.steady_pool_slopes(V, p, pools)
        changed = np.zeros(shape, bool)
        new = {}
        for name, now in pools.items():
            step = DIFFERENCE * now
            ahead = equations.steady_pool_slopes(V, p, {**pools, name: now + step})[name]
            root = now - slopes[name] * step / (ahead - slopes[name])
            root = np.maximum(root, LEAST_SHARE * now)
            changed |= np.abs(root - now) > PRECISE * np.abs(root)
            new[name] = np.where(open_ones, root, now)
        pools = new
        open_ones &= changed
        if not open_ones.any():
            break
    return pools


def _broadcast(parameters: Mapping[str, PerNeuron]) -> Arrays:
    arrays = np.broadcast_arrays(*map(np.atleast_1d, parameters.values()))
    return dict(zip(parameters, arrays, strict=True))


def _lowest_root(equations: Equations, p: Arrays) -> Array:
    """The lowest voltage (mV) at which each neuron's steady-state current is zero: (n,)."""
    voltages = _voltages(equations, p)
    above = _first_with_outward_current(equations, voltages, p)
    below = above - (voltages[1] - voltages[0])
    for _ in range(HALVINGS):
        V = 0.5 * (below + above)
        inward = steady_current(equations, V, p) < 0.0
        below, above = np.where(inward, V, below), np.where(inward, above, V)
    return above.round(DECIMALS)


def _voltages(equations: Equations, p: Arrays) -> Array:
    """Evenly spaced voltages (mV), from where no neuron has an outward current to above all roots.

    They are multiples of their distance, so that they don't depend on the other neurons unless
    reversal potentials are very far apart.
    """
    channels = [np.broadcast_arrays(g, E) for g, E in equations.conductances(p).values()]
    shape = np.shape(p["C_m"])
    total = sum((np.broadcast_to(g, shape) for g, _ in channels), np.zeros(shape))
    if not np.min(total) > 0.0:
        raise InvalidInput("initial_state='rest' needs a conductance above zero in every neuron")
    reversals = np.concatenate([np.extract(g > 0.0, E) for g, E in channels])
    low, high = reversals.min(), reversals.max()
    spacing = max(SPACING, (high - low) / MOST_VOLTAGES)
    return spacing * np.arange(np.floor(low / spacing), np.ceil(high / spacing) + 1.0)


def _first_with_outward_current(equations: Equations, voltages: Array, p: Arrays) -> Array:
    """The lowest of the voltages (mV) at which a neuron's current isn't inward: (n,)."""
    n = len(p["C_m"])
    first, found = np.full(n, voltages[-1]), np.zeros(n, bool)
    rows = max(1, CURRENTS_AT_A_TIME // n)
    for row in range(0, len(voltages), rows):
        outward = steady_current(equations, voltages[row : row + rows, np.newaxis], p) >= 0.0
        new = outward.any(axis=0) & ~found
        first[new] = voltages[row + outward.argmax(axis=0)[new]]
        found |= new
        if found.all():
            break
    return first


def _warn_of_unstable(equations: Equations, state: Array, p: Arrays) -> None:
    n = state.shape[1]
    unstable = np.zeros(n, bool)
    for first in range(0, n, NEURONS_AT_A_TIME):
        piece = slice(first, first + NEURONS_AT_A_TIME)
        some = {name: value[piece] for name, value in p.items()}
        growth = np.linalg.eigvals(_jacobian(equations, state[:, piece], some)).real.max(axis=1)
        unstable[piece] = growth > GROWTH
    if unstable.any():
        warn(
            f"the resting state of {unstable.sum()} of {n} neurons is unstable, the first neuron "
            f"{unstable.argmax()}: they leave it at the slightest disturbance"
        )


def _jacobian(equations: Equations, state: Array, p: Arrays) -> Array:
    """Derivatives ∂(dx_i/dt)/∂x_j of each neuron, whose states are x: (n, n_states, n_states)."""
    columns = []
    for j, name in enumerate(equations.states):
        shift = np.zeros_like(state)
        shift[j] = DIFFERENCE * (state[j] if name in equations.reading.pools else 1.0)
        change = equations.derivative(state + shift, np.zeros(1), p) - equations.derivative(
            state - shift, np.zeros(1), p
        )
        columns.append(change / (2.0 * shift[j]))
    return np.stack(columns, axis=1).transpose(2, 0, 1)
