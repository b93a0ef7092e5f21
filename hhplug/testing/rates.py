"""Errors of a backend's rates, for any membrane, inferred from single steps at constant voltage.

Without conductances, with a huge C_m and with pools without inflow, V and concentrations are
constant, and a gate obeys dx/dt = α − (α + β) x with constant rates; a gate by inf and tau has
α = inf/tau and β = (1 − inf)/tau. One RK4 step takes it from x to x·R(z) + α dt·S(z), with
z = (α + β) dt,

    R(z) = 1 − z + z²/2 − z³/6 + z⁴/24,    S(z) = 1 − z/2 + z²/6 − z³/24 = (1 − R(z)) / z,

so that steps from x = 0 and from x = 1 determine both rates.

An instantaneous gate is no state. It is seen by what its channel's current does to V in one step,
in which V moves by CHANGE, against the reference's step.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.membranes.membrane import Membrane
from hhplug.membranes.squid import squid
from hhplug.problem import Problem
from hhplug.results.result import Result
from hhplug.running.simulate import simulate

SINGULAR = {
    "squid": (-40.0, -55.0),
    "instantaneous": (-35.0,),
    "shifted": (-43.0, -41.0, -16.0),
    "calcium": (-40.0, -55.0),
}
"""Voltages (mV) at which the kit's membranes have rates that are 0/0 as they are written."""

Z_MAX = 0.7  # upper bound of z in a group of voltages, in which z varies by a factor of two
LEAST_SHARE = 0.05  # smallest share of α + β at which β can be inferred precisely
STILL = 1e25  # µF/cm²: V stays as it is in a step of any length
# mV by which an instantaneous gate's current changes V. More would enlarge errors from stage to
# stage of the step, and of less float32 has few digits.
CHANGE = 2.0
FROM_REVERSAL = 2.0  # mV; nearer to a channel's reversal potential, a gate isn't seen
LEAST_OPEN = 1e-9  # of a channel; a gate that opens less isn't seen


def voltages(dtype: str, singular: Sequence[float]) -> NDArray[np.float64]:
    """Return voltages from −150 to 150 mV that are exact in dtype.

    They are dense around the singular ones, and hold these and the floats next to them.
    """
    around = np.concatenate([sign * 10.0 ** np.arange(-7.0, 1.1, 0.1) for sign in (-1, 1)])
    V = np.concatenate([np.linspace(-150.0, 150.0, 1201), *(V0 + around for V0 in singular)])
    at = np.array(singular, dtype)
    beside = [np.nextafter(at, at + side) for side in (-1, 1)]
    return np.concatenate([V.astype(dtype), at, *beside]).astype(np.float64)


class WorstRate(NamedTuple):
    """The largest error of a membrane's rates."""

    error: float  # relative; infinite if a rate is not finite
    name: str  # rate, for example alpha_m
    V: float  # mV

    def __str__(self) -> str:
        return f"{self.name} at {self.V:.9g} mV is off by {self.error:.2g} of itself"


Step = Callable[..., Result]
"""Runs a problem on the backend; the arguments are those of `Problem`."""


def worst_rate_error(step: Step, dtype: str, membrane: Membrane = squid) -> float:
    """Return the largest relative error of a membrane's rates."""
    return worst_rate(step, dtype, membrane).error


def worst_rate(step: Step, dtype: str, membrane: Membrane) -> WorstRate:
    """Return the largest relative error of a membrane's rates, its rate and its voltage.

    The error of a β that is too small to be inferred precisely is relative to α + β.
    """
    V = voltages(dtype, SINGULAR.get(membrane.name, ()))
    found = [WorstRate(0.0, "", np.nan)]
    for name, gate in membrane.reading.gates.items():
        if gate.instantaneous:
            found.append(_worst_of_instantaneous(step, membrane, name, V, dtype))
        else:
            found += _worst_of_gate(step, membrane, name, V)
    return max(found, key=lambda rate: rate.error)  # the first if equal


def _worst_of_gate(
    step: Step, membrane: Membrane, name: str, V: NDArray[np.float64]
) -> list[WorstRate]:
    rates = membrane.rates(V)[name]
    alpha, beta = np.asarray(rates.alpha), np.asarray(rates.beta)
    group = np.floor(np.log2(alpha + beta))  # voltages of a group share one dt
    worst = []
    for exponent in np.unique(group):
        some = group == exponent
        dt = Z_MAX / 2.0 ** (exponent + 1)
        ours = _inferred_rates(step, membrane, name, V[some], dt)
        shows = beta[some] > LEAST_SHARE * (alpha + beta)[some]
        scale = np.where(shows, beta[some], (alpha + beta)[some])
        errors = (ours[0] / alpha[some] - 1.0, (ours[1] - beta[some]) / scale)
        for kind, error in zip(("alpha", "beta"), errors, strict=True):
            worst.append(_largest(error, f"{kind}_{name}", V[some]))
    return worst


def _largest(error: NDArray[np.float64], name: str, V: NDArray[np.float64]) -> WorstRate:
    error = np.nan_to_num(np.abs(error), nan=np.inf)
    return WorstRate(error.max(), name, V[np.argmax(error)])


def _still(membrane: Membrane) -> dict[str, Any]:
    """Parameters with which V and pools stay as they are."""
    inflows = {f"{pool}_per_current" for pool in membrane.reading.pools}
    zeros = dict.fromkeys(sorted(inflows & set(membrane.parameters)), 0.0)
    return zeros | _without(membrane, list(membrane.reading.channels)) | {"C_m": STILL}


def _without(membrane: Membrane, channels: Sequence[str]) -> dict[str, float]:
    """Parameters with which channels have no conductance, as far as they have one each."""
    names = (f"g_{channel}" for channel in channels)
    return {name: 0.0 for name in names if name in membrane.parameters}


def _at_rest(membrane: Membrane, V: NDArray[np.float64]) -> NDArray[np.float64]:
    """States with pools at rest and gates closed at the voltages V: (n_states, n)."""
    pools = membrane.equations.pools_at_rest(membrane.equations.defaults)
    state = np.zeros((len(membrane.states), len(V)))
    state[0] = V
    for name, rest in pools.items():
        state[membrane.states.index(name)] = rest
    return state


def _inferred_rates(
    step: Step, membrane: Membrane, gate: str, V: NDArray[np.float64], dt: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return α and β of a gate at the voltages V, 1/ms."""
    row = membrane.states.index(gate)
    state = np.tile(_at_rest(membrane, V), 2)
    state[row, len(V) :] = 1.0
    result = step(
        dt, dt=dt, membrane=membrane, parameters=_still(membrane), initial_state=state,
        record=(), spikes="off",
    )  # fmt: skip
    x = result.final_state[row].astype(np.float64)
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


def _worst_of_instantaneous(
    step: Step, membrane: Membrane, gate: str, V: NDArray[np.float64], dtype: str
) -> WorstRate:
    """The largest relative error of the change of V, for each power of the gate."""
    channel = membrane.reading.gates[gate].channel
    equations, dt = membrane.equations, 1e-3  # ms, in which other gates hardly change
    state = _at_rest(membrane, V)
    for row, name in enumerate(membrane.states):
        if name in membrane.reading.gates:
            state[row] = 1.0
    values = dict(zip(membrane.states, state.astype(dtype).astype(np.float64), strict=True))
    silent = _without(membrane, [name for name in membrane.reading.channels if name != channel])
    parameters = {**equations.defaults, **silent}
    current = np.broadcast_to(equations.current(channel, values, parameters), V.shape)
    g, E = equations.conductances(parameters)[channel]
    seen = np.abs(V - E) > FROM_REVERSAL
    seen &= np.abs(current) > LEAST_OPEN * g * np.abs(V - E)
    arguments = {
        "T": dt,
        "dt": dt,
        "membrane": membrane,
        "parameters": silent | {"C_m": (np.abs(current[seen]) * dt / CHANGE)},
        "initial_state": state[:, seen],
        "record": (),
        "spikes": "off",
    }
    ours = step(**arguments).final_state[0].astype(np.float64)
    expected = simulate(Problem(**arguments, dtype="float64"), "reference").final_state[0]
    power = membrane.reading.channels[channel].powers[gate]
    error = (ours - expected) / (expected - V[seen]) / power
    return _largest(error, f"inf_{gate}", V[seen])
