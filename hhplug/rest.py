"""The resting state of a membrane, in which it stays without a current."""

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import InvalidInput, warn
from hhplug.model import HHParameters, derivative, settled_gates

Arrays = dict[str, NDArray[np.float64]]
"""The values of each parameter. All arrays have the same length."""

SPACING = 0.1  # mV between the voltages that bracket a root
MOST_VOLTAGES = 100_000  # largest number of these voltages
CURRENTS_AT_A_TIME = 2**22  # currents computed in one array, which bounds the memory
ALL_SHUT = 1000.0  # mV; every gate is fully open or shut beyond ±1000 mV, where rates overflow
HALVINGS = 50  # bisections that take 0.1 mV to the last bit of a voltage
DECIMALS = 10  # digits kept of V in mV; later ones depend on the number of neurons
DIFFERENCE = 1e-4  # mV for V, no unit for a gate: the step of a numerical derivative
GROWTH = 1e-9  # 1/ms; least growth rate of an unstable state, above the rounding error
NEURONS_AT_A_TIME = 2**16  # neurons whose eigenvalues are computed in one array


def resting_state(parameters: HHParameters) -> NDArray[np.float64]:
    """V (mV), m, h, n at rest without a current: (4, 1), or (4, n) if a parameter is per neuron.

    V is the lowest root of the steady-state current. Warns of neurons whose resting state is
    unstable: an eigenvalue of the equations, linearised there, has a positive real part. Raises
    InvalidInput for a membrane without a conductance, which rests at any voltage.
    """
    p = _broadcast(parameters)
    if not np.min(p["g_Na"] + p["g_K"] + p["g_L"]) > 0.0:
        raise InvalidInput("initial_state='rest' needs a conductance above zero in every neuron")
    above = _first_voltage_with_outward_current(p)
    below = above - _spacing(p)
    for _ in range(HALVINGS):
        V = 0.5 * (below + above)
        inward = steady_current(V, p) < 0.0
        below, above = np.where(inward, V, below), np.where(inward, above, V)
    V = above.round(DECIMALS)
    state = np.stack([V, *settled_gates(V)])
    _warn_of_unstable(state, p)
    return state


def steady_current(V: NDArray[np.float64], p: Arrays) -> NDArray[np.float64]:
    """Sum of the ionic currents when the gates are in their steady state at V (mV), µA/cm²."""
    m, h, n = settled_gates(np.clip(V, -ALL_SHUT, ALL_SHUT))
    return (
        p["g_Na"] * m**3 * h * (V - p["E_Na"])
        + p["g_K"] * n**4 * (V - p["E_K"])
        + p["g_L"] * (V - p["E_L"])
    )


def _broadcast(parameters: HHParameters) -> Arrays:
    values = vars(parameters)
    arrays = np.broadcast_arrays(*map(np.atleast_1d, values.values()))
    return dict(zip(values, arrays, strict=True))


def _ends(p: Arrays) -> tuple[float, float]:
    """Two voltages (mV): every current flows inward below the first, outward above the second."""
    open_ones = [np.extract(p[f"g_{ion}"] > 0.0, p[f"E_{ion}"]) for ion in ("Na", "K", "L")]
    reversals = np.concatenate(open_ones)
    return reversals.min(), reversals.max()


def _spacing(p: Arrays) -> float:
    low, high = _ends(p)
    return max(SPACING, (high - low) / MOST_VOLTAGES)


def _first_voltage_with_outward_current(p: Arrays) -> NDArray[np.float64]:
    """The lowest of evenly spaced voltages (mV) where a neuron's current isn't inward: (n,)."""
    (low, high), spacing = _ends(p), _spacing(p)
    # Voltages are multiples of the spacing, so that they don't depend on the other neurons.
    steps = np.arange(np.floor(low / spacing), np.ceil(high / spacing) + 1.0)
    voltages = spacing * steps[:, np.newaxis]
    n = len(p["g_L"])
    first, found = np.full(n, high), np.zeros(n, bool)
    rows = max(1, CURRENTS_AT_A_TIME // n)
    for row in range(0, len(voltages), rows):
        outward = steady_current(voltages[row : row + rows], p) >= 0.0
        new = outward.any(axis=0) & ~found
        first[new] = voltages[row + outward.argmax(axis=0)[new], 0]
        found |= new
        if found.all():
            break
    return first


def _warn_of_unstable(state: NDArray[np.float64], p: Arrays) -> None:
    n = state.shape[1]
    unstable = np.zeros(n, bool)
    for first in range(0, n, NEURONS_AT_A_TIME):
        piece = slice(first, first + NEURONS_AT_A_TIME)
        some = HHParameters(**{name: value[piece] for name, value in p.items()})
        growth = np.linalg.eigvals(_jacobian(state[:, piece], some)).real.max(axis=1)
        unstable[piece] = growth > GROWTH
    if unstable.any():
        warn(
            f"the resting state of {unstable.sum()} of {n} neurons is unstable, the first neuron "
            f"{unstable.argmax()}: they leave it at the slightest disturbance"
        )


def _jacobian(state: NDArray[np.float64], p: HHParameters) -> NDArray[np.float64]:
    """Derivatives ∂(dx_i/dt)/∂x_j of each neuron, where x is V, m, h, n: (n, 4, 4)."""
    columns = []
    for j in range(len(state)):
        shift = np.zeros((len(state), 1))
        shift[j] = DIFFERENCE
        change = derivative(state + shift, np.zeros(1), p) - derivative(
            state - shift, np.zeros(1), p
        )
        columns.append(change / (2.0 * DIFFERENCE))
    return np.stack(columns, axis=1).transpose(2, 0, 1)
