"""The six rates of a backend, inferred through the contract from single steps at frozen voltages.

Without conductances and current V stays, and a gate obeys dx/dt = α − (α + β) x with constant
rates. One RK4 step takes it from x to x·R(z) + α dt·S(z), with z = (α + β) dt,

    R(z) = 1 − z + z²/2 − z³/6 + z⁴/24,    S(z) = 1 − z/2 + z²/6 − z³/24 = (1 − R(z)) / z,

so that steps from x = 0 and from x = 1 tell both rates.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug import model
from hhplug.model import HHParameters
from hhplug.result import Result

GATES = "mhn"
SILENT = HHParameters(g_Na=0.0, g_K=0.0, g_L=0.0)
Z_MAX = 0.7  # of the gate that is fastest in a group of voltages; a gate counts from half of it on
LEAST_SHARE = 0.05  # of β in α + β, below which x near 1 does not resolve it


def voltages(dtype: str) -> NDArray[np.float64]:
    """−150 to 150 mV, dense around the singular −40 and −55, these and a float beside, exact."""
    around = np.concatenate([sign * 10.0 ** np.arange(-7.0, 1.1, 0.1) for sign in (-1, 1)])
    V = np.concatenate([np.linspace(-150.0, 150.0, 1201), -40.0 + around, -55.0 + around])
    singular = np.array([-40.0, -55.0], dtype)
    beside = [np.nextafter(singular, singular + side) for side in (-1, 1)]
    return np.concatenate([V.astype(dtype), singular, *beside]).astype(np.float64)


class WorstRate(NamedTuple):
    error: float  # relative; infinite where a rate is not finite
    name: str  # of the rate
    V: float  # mV

    def __str__(self) -> str:
        return f"{self.name} at {self.V:.9g} mV is off by {self.error:.2g} of itself"


def worst_rate_error(step: Callable[..., Result], dtype: str) -> float:
    """The largest relative error of α_m β_m α_h β_h α_n β_n; `step` takes what `Problem` takes."""
    return worst_rate(step, dtype).error


def worst_rate(step: Callable[..., Result], dtype: str) -> WorstRate:
    """The largest relative error, and where it is."""
    V = voltages(dtype)
    worst = WorstRate(0.0, "", np.nan)
    for gate in GATES:
        alpha, beta = (getattr(model, f"{kind}_{gate}")(V) for kind in ("alpha", "beta"))
        group = np.floor(np.log2(alpha + beta))  # of voltages that share a dt
        for exponent in np.unique(group):
            some = group == exponent
            dt = Z_MAX / 2.0 ** (exponent + 1)
            ours = _inferred(step, gate, V[some], dt)
            shows = beta[some] > LEAST_SHARE * (alpha + beta)[some]
            scale = np.where(shows, beta[some], (alpha + beta)[some])
            errors = (ours[0] / alpha[some] - 1.0, (ours[1] - beta[some]) / scale)
            for kind, error in zip(("alpha", "beta"), errors, strict=True):
                error = np.nan_to_num(np.abs(error), nan=np.inf)
                found = WorstRate(error.max(), f"{kind}_{gate}", V[some][np.argmax(error)])
                worst = max(worst, found, key=lambda rate: rate.error)  # the first of equal ones
    return worst


def _inferred(
    step: Callable[..., Result], gate: str, V: NDArray[np.float64], dt: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """α and β of a gate, 1/ms."""
    state = np.zeros((4, 2 * len(V)))
    state[0] = np.tile(V, 2)
    state[1 + GATES.index(gate), len(V) :] = 1.0
    result = step(dt, dt=dt, parameters=SILENT, initial_state=state, record=(), spikes="off")
    x = result.final_state[1 + GATES.index(gate)].astype(np.float64)
    from_0, from_1 = x[: len(V)], x[len(V) :]
    z = np.full(len(V), 0.5)
    for _ in range(20):  # Newton: R is smooth and falls for z < 1
        z -= (_polynomial(z) - (from_1 - from_0)) / _slope(z)
    S = 1.0 - z / 2 + z**2 / 6 - z**3 / 24
    return from_0 / (dt * S), (1.0 - from_1) / (dt * S)


def _polynomial(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 - z + z**2 / 2 - z**3 / 6 + z**4 / 24


def _slope(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return -1.0 + z - z**2 / 2 + z**3 / 6
