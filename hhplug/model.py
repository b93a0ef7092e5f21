"""The Hodgkin-Huxley membrane: its parameters, the six rates of its gates, its equations.

Units: mV, ms, µA/cm², mS/cm², µF/cm², rates 1/ms. The rates are those of Hodgkin & Huxley,
J. Physiol. 117 (1952), 500-544, rewritten for absolute voltages with rest at −65 mV: V in the
paper is −(V + 65) here.
"""

import sys
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug import checks
from hhplug.checks import known_arguments
from hhplug.errors import InvalidInput

State = NDArray[np.float64]
"""V (mV) and the gates m, h, n of each neuron: (4, n)."""

VARIABLES = ("V", "m", "h", "n")
V_REST = -65.0  # mV
TINY = 1e-30  # x / (1 − e^{−x}) is 1 at this x, in float32 too


@dataclass(frozen=True, eq=False, repr=False)
class HHParameters:
    """Membrane parameters. Each is a number for all neurons or an (n,) array.

    The defaults are those of the squid giant axon (Hodgkin & Huxley 1952, table 3).
    `checked_parameters` checks the values.
    """

    C_m: ArrayLike = 1.0  # µF/cm²
    g_Na: ArrayLike = 120.0  # mS/cm²
    g_K: ArrayLike = 36.0  # mS/cm²
    g_L: ArrayLike = 0.3  # mS/cm²
    E_Na: ArrayLike = 50.0  # mV
    E_K: ArrayLike = -77.0  # mV
    E_L: ArrayLike = -54.387  # mV

    def __repr__(self) -> str:
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        with np.printoptions(threshold=6, edgeitems=2, precision=6, linewidth=1000):
            return f"HHParameters({', '.join(values)})"


HHParameters.__init__ = known_arguments(HHParameters.__init__)

PARAMETER_UNITS = {
    "C_m": "µF/cm²",
    "g_Na": "mS/cm²",
    "g_K": "mS/cm²",
    "g_L": "mS/cm²",
    "E_Na": "mV",
    "E_K": "mV",
    "E_L": "mV",
}


def checked_parameters(parameters: HHParameters | None) -> HHParameters:
    """The parameters, or the default ones for None, as floats or read-only (n,) float64 arrays.

    Raises InvalidInput for an impossible value, such as a negative conductance.
    """
    if parameters is None:
        parameters = HHParameters()
    if not isinstance(parameters, HHParameters):
        raise InvalidInput(
            f"parameters must be an HHParameters, got {type(parameters).__name__}; "
            "for example HHParameters(g_Na=100.0)"
        )
    checked = {}
    for name, unit in PARAMETER_UNITS.items():
        if name == "C_m":
            wanted, least = f"a positive number of {unit}", sys.float_info.min
        elif name.startswith("g_"):
            wanted, least = f"zero or more {unit}", 0.0
        else:
            wanted, least = f"a finite number of {unit}", -sys.float_info.max
        checked[name] = checks.per_neuron(name, getattr(parameters, name), unit, wanted, least)
    return HHParameters(**checked)


def finite(state: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the state of each neuron, a column of (4, n), is finite: (n,)."""
    return np.logical_and.reduce(np.isfinite(state))


def nonfinite_neurons(state: NDArray[np.floating]) -> NDArray[np.intp]:
    """Indices of the neurons whose state, a column of (4, n), isn't finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(state.sum()):  # one pass, without a temporary array
            return np.zeros(0, np.intp)
    return np.flatnonzero(~finite(state))


def derived_parameters(parameters: HHParameters) -> dict[str, NDArray[np.float64]]:
    """The values that a kernel computes with, by name; all arrays are (n,), or all are (1,).

    g_Na, g_K, g_L: conductances over C_m, 1/ms.
    E_Na, E_K: reversal potentials, mV.
    leak: g_L·E_L over C_m, mV/ms.
    per_C_m: 1/C_m, cm²/µF.
    """
    p = {name: np.atleast_1d(value) for name, value in vars(parameters).items()}
    per_C_m = 1.0 / p["C_m"]
    derived = {name: p[name] * per_C_m for name in ("g_Na", "g_K", "g_L")}
    derived |= {"E_Na": p["E_Na"], "E_K": p["E_K"]}
    derived |= {"leak": derived["g_L"] * p["E_L"], "per_C_m": per_C_m}
    return dict(zip(derived, np.broadcast_arrays(*derived.values()), strict=True))


def alpha_m(V: ArrayLike) -> NDArray[np.float64]:
    """Opening rate of the Na activation gate, 1/ms (Hodgkin & Huxley 1952, eq. 20)."""
    return _x_over_one_minus_exp_minus(0.1 * (np.asarray(V) + 40.0))


def beta_m(V: ArrayLike) -> NDArray[np.float64]:
    """Closing rate of the Na activation gate, 1/ms (eq. 21)."""
    return 4.0 * np.exp(-(np.asarray(V) + 65.0) / 18.0)


def alpha_h(V: ArrayLike) -> NDArray[np.float64]:
    """Opening rate of the Na inactivation gate, 1/ms (eq. 23)."""
    return 0.07 * np.exp(-(np.asarray(V) + 65.0) / 20.0)


def beta_h(V: ArrayLike) -> NDArray[np.float64]:
    """Closing rate of the Na inactivation gate, 1/ms (eq. 24)."""
    return 1.0 / (1.0 + np.exp(-(np.asarray(V) + 35.0) / 10.0))


def alpha_n(V: ArrayLike) -> NDArray[np.float64]:
    """Opening rate of the K activation gate, 1/ms (eq. 12)."""
    return 0.1 * _x_over_one_minus_exp_minus(0.1 * (np.asarray(V) + 55.0))


def beta_n(V: ArrayLike) -> NDArray[np.float64]:
    """Closing rate of the K activation gate, 1/ms (eq. 13)."""
    return 0.125 * np.exp(-(np.asarray(V) + 65.0) / 80.0)


def _x_over_one_minus_exp_minus(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x / (1 − e^{−x}), or its limit 1 at x = 0. expm1 is accurate for small x."""
    nonzero = np.where(x == 0.0, TINY, x)
    return nonzero / -np.expm1(-nonzero)


def settled_gates(V: ArrayLike) -> NDArray[np.float64]:
    """Steady-state m, h, n at voltage V (mV), α/(α + β): (3, …)."""
    return np.stack(
        [
            alpha / (alpha + beta)
            for alpha, beta in (
                (alpha_m(V), beta_m(V)),
                (alpha_h(V), beta_h(V)),
                (alpha_n(V), beta_n(V)),
            )
        ]
    )


def derivative(state: State, I_ext: NDArray[np.float64], p: HHParameters) -> State:
    """Time derivatives of V (mV/ms) and of m, h, n (1/ms): (4, n).

    Hodgkin & Huxley 1952, eq. 26, 7, 15, 16.
    """
    V, m, h, n = state
    I_Na = p.g_Na * m**3 * h * (V - p.E_Na)
    I_K = p.g_K * n**4 * (V - p.E_K)
    I_L = p.g_L * (V - p.E_L)
    return np.array(
        [
            (I_ext - I_Na - I_K - I_L) / p.C_m,
            alpha_m(V) * (1 - m) - beta_m(V) * m,
            alpha_h(V) * (1 - h) - beta_h(V) * h,
            alpha_n(V) * (1 - n) - beta_n(V) * n,
        ]
    )
