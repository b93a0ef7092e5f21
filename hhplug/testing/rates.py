"""Errors of a backend's six rates, inferred from single steps at constant voltage.

Without conductances and current V is constant, and a gate obeys dx/dt = α − (α + β) x with constant
rates. One RK4 step takes a gate from x to x·R(z) + α dt·S(z), with z = (α + β) dt,

    R(z) = 1 − z + z²/2 − z³/6 + z⁴/24,    S(z) = 1 − z/2 + z²/6 − z³/24 = (1 − R(z)) / z,

so that steps from x = 0 and from x = 1 determine both rates.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.membranes.hh_parameters import HHParameters
from hhplug.membranes.squid import squid
from hhplug.results.result import Result

GATES = "mhn"
SILENT = HHParameters(g_Na=0.0, g_K=0.0, g_L=0.0)
Z_MAX = 0.7  # upper bound of z in a group of voltages, in which z varies by a factor of two
LEAST_SHARE = 0.05  # smallest β / (α + β) at which β can be inferred precisely


def voltages(dtype: str) -> NDArray[np.float64]:
    """Return voltages from −150 to 150 mV that are exact in dtype.

    They are dense around the singular −40 and −55 mV, and hold these and the floats next to them.
    """
    around = np.concatenate([sign * 10.0 ** np.arange(-7.0, 1.1, 0.1) for sign in (-1, 1)])
    V = np.concatenate([np.linspace(-150.0, 150.0, 1201), -40.0 + around, -55.0 + around])
    singular = np.array([-40.0, -55.0], dtype)
    beside = [np.nextafter(singular, singular + side) for side in (-1, 1)]
    return np.concatenate([V.astype(dtype), singular, *beside]).astype(np.float64)


class WorstRate(NamedTuple):
    error: float  # relative; infinite if a rate is not finite
    name: str  # rate, for example alpha_m
    V: float  # mV

    def __str__(self) -> str:
        return f"{self.name} at {self.V:.9g} mV is off by {self.error:.2g} of itself"


def worst_rate_error(step: Callable[..., Result], dtype: str) -> float:
    """Return the largest relative error of the six rates; `step` takes `Problem`'s arguments."""
    return worst_rate(step, dtype).error


def worst_rate(step: Callable[..., Result], dtype: str) -> WorstRate:
    """Return the largest relative error of the six rates, its rate and its voltage.

    The error of a β that is too small to be inferred precisely is relative to α + β.
    """
    V = voltages(dtype)
    worst, rates = WorstRate(0.0, "", np.nan), squid.rates(V)
    for gate in GATES:
        alpha, beta = np.asarray(rates[gate].alpha), np.asarray(rates[gate].beta)
        group = np.floor(np.log2(alpha + beta))  # voltages of a group share one dt
        for exponent in np.unique(group):
            some = group == exponent
            dt = Z_MAX / 2.0 ** (exponent + 1)
            ours = _inferred_rates(step, gate, V[some], dt)
            shows = beta[some] > LEAST_SHARE * (alpha + beta)[some]
            scale = np.where(shows, beta[some], (alpha + beta)[some])
            errors = (ours[0] / alpha[some] - 1.0, (ours[1] - beta[some]) / scale)
            for kind, error in zip(("alpha", "beta"), errors, strict=True):
                error = np.nan_to_num(np.abs(error), nan=np.inf)
                found = WorstRate(error.max(), f"{kind}_{gate}", V[some][np.argmax(error)])
                worst = max(worst, found, key=lambda rate: rate.error)  # the first if equal
    return worst


def _inferred_rates(
    step: Callable[..., Result], gate: str, V: NDArray[np.float64], dt: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return α and β of a gate at the voltages V, 1/ms."""
    state = np.zeros((4, 2 * len(V)))
    state[0] = np.tile(V, 2)
    state[1 + GATES.index(gate), len(V) :] = 1.0
    result = step(dt, dt=dt, parameters=SILENT, initial_state=state, record=(), spikes="off")
    x = result.final_state[1 + GATES.index(gate)].astype(np.float64)
    from_0, from_1 = x[: len(V)], x[len(V) :]
    z = np.full(len(V), 0.5)
    for _ in range(20):  # Newton's method solves R(z) = from_1 − from_0; R falls for z < 1
        z -= (_R(z) - (from_1 - from_0)) / _dR_dz(z)
    S = 1.0 - z / 2 + z**2 / 6 - z**3 / 24
    return from_0 / (dt * S), (1.0 - from_1) / (dt * S)


def _R(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 - z + z**2 / 2 - z**3 / 6 + z**4 / 24


def _dR_dz(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return -1.0 + z - z**2 / 2 + z**3 / 6
