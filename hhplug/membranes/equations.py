"""The equations of a membrane, evaluated in float64 as they are written.

A run's state is an array (states, n) in the order of `Reading.states`. Parameters are a float or an
(n,) array by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.membranes.evaluation import Function, Values, compiled
from hhplug.membranes.reading import GateEquation, Reading

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GateRates:
    """What moves a gate at given voltages; the arrays have the voltages' shape.

    An instantaneous gate has no alpha and beta, and its tau is 0.
    """

    inf: Array  # steady state
    tau: Array  # time constant, ms
    alpha: Array | None  # opening rate, 1/ms
    beta: Array | None  # closing rate, 1/ms


class _Gate:
    """The compiled expressions of one gate."""

    def __init__(self, gate: GateEquation):
        self.instantaneous = gate.instantaneous
        self.functions = {name: compiled(node) for name, node in gate.given().items()}
        self.by_rates = gate.alpha is not None

    def _rates(self, values: Values) -> tuple[Any, Any]:
        f = self.functions
        return f["alpha"](values), f["beta"](values)

    def steady(self, values: Values) -> Any:
        if not self.by_rates:
            return self.functions["inf"](values)
        alpha, beta = self._rates(values)
        return alpha / (alpha + beta)

    def slope(self, x: Any, values: Values) -> Any:
        """dx/dt, 1/ms."""
        speed = self.functions["speed"](values)
        if self.by_rates:
            alpha, beta = self._rates(values)
            slope = alpha * (1 - x) - beta * x
        else:
            slope = (self.functions["inf"](values) - x) / self.functions["tau"](values)
        return slope if isinstance(speed, float) and speed == 1.0 else speed * slope

    def rates(self, values: Values, shape: tuple[int, ...]) -> GateRates:
        def full(value: Any) -> Array:
            return np.array(np.broadcast_to(value, shape), np.float64)

        inf = full(self.steady(values))
        if self.instantaneous:
            return GateRates(inf, np.zeros(shape), None, None)
        speed = self.functions["speed"](values)
        if self.by_rates:
            alpha, beta = (speed * rate for rate in self._rates(values))
            return GateRates(inf, full(1.0 / (alpha + beta)), full(alpha), full(beta))
        tau = full(self.functions["tau"](values) / speed)
        return GateRates(inf, tau, inf / tau, (1.0 - inf) / tau)


class _Channel:
    """The compiled expressions of one channel."""

    def __init__(self, powers: Mapping[str, int], g: Function, E: Function):
        self.powers, self.g, self.E = powers, g, E

    def conductance(self, values: Values, gates: Values) -> Any:
        """mS/cm²."""
        product = self.g(values)
        for gate, power in self.powers.items():
            for _ in range(power):
                product = product * gates[gate]
        return product


class Equations:
    """The right-hand sides of a membrane's equations, and what follows from them."""

    def __init__(self, reading: Reading):
        self.reading = reading
        self.states = reading.states
        self._gates = {name: _Gate(gate) for name, gate in reading.gates.items()}
        self._channels = {
            name: _Channel(channel.powers, compiled(channel.g), compiled(channel.E))
            for name, channel in reading.channels.items()
        }
        self._pools = {
            name: {part: compiled(getattr(pool, part)) for part in ("per_current", "rest", "tau")}
            for name, pool in reading.pools.items()
        }

    def derivative(self, state: Array, I_ext: Any, parameters: Values) -> Array:
        """Time derivatives of all states: of V in mV/ms, of gates in 1/ms, of pools in mM/ms.

        state: (states, n). I_ext: µA/cm², (n,) or (1,).
        """
        values = {**parameters, **dict(zip(self.states, state, strict=True))}
        gates = self._gate_values(values)
        currents = self._currents(values, gates)
        slopes = np.empty_like(state)
        total = sum(currents.values())
        slopes[0] = (I_ext - total) / parameters["C_m"]
        for row, name in enumerate(self.states[1:], 1):
            if name in self._gates:
                slopes[row] = self._gates[name].slope(values[name], values)
            else:
                slopes[row] = self._pool_slope(name, values, currents)
        return slopes

    def currents(self, state: Mapping[str, Any], parameters: Values) -> dict[str, Any]:
        """The current of each channel, µA/cm², positive outward. state: V, gates, pools by name."""
        values = {**parameters, **state}
        return self._currents(values, self._gate_values(values))

    def settled(self, V: Any, parameters: Values) -> Array:
        """The state (states, …) with every gate in its steady state at V (mV), pools at rest."""
        values = self._at_rest(V, parameters)
        settled = [
            V if name == "V" else self._gates[name].steady(values) if name in self._gates
            else values[name]
            for name in self.states
        ]  # fmt: skip
        return np.stack(np.broadcast_arrays(*(np.asarray(x, np.float64) for x in settled)))

    def rates(self, V: Any, parameters: Values, pools: Values) -> dict[str, GateRates]:
        """Steady state, time constant and rates of each gate at V (mV).

        pools: concentrations, mM; those that are missing are at rest.
        """
        values = {**self._at_rest(V, parameters), **pools}
        shape = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
        return {name: gate.rates(values, shape) for name, gate in self._gates.items()}

    def steady_current(self, V: Any, parameters: Values) -> Any:
        """Sum of the ionic currents, µA/cm², with all gates and pools in steady state at V (mV)."""
        values = self._at_rest(V, parameters)
        return sum(self._currents(values, self._steady_gates(values)).values())

    def _at_rest(self, V: Any, parameters: Values) -> dict[str, Any]:
        values: dict[str, Any] = {**parameters, "V": np.asarray(V, np.float64)}
        return values | {name: pool["rest"](values) for name, pool in self._pools.items()}

    def _steady_gates(self, values: Values) -> dict[str, Any]:
        return {name: gate.steady(values) for name, gate in self._gates.items()}

    def _gate_values(self, values: Values) -> dict[str, Any]:
        """Each gate's value: its state, or its steady state if it is instantaneous."""
        return {
            name: gate.steady(values) if gate.instantaneous else values[name]
            for name, gate in self._gates.items()
        }

    def _currents(self, values: Values, gates: Values) -> dict[str, Any]:
        return {
            name: channel.conductance(values, gates) * (values["V"] - channel.E(values))
            for name, channel in self._channels.items()
        }

    def _pool_slope(self, name: str, values: Values, currents: Values) -> Any:
        pool = self._pools[name]
        inflow = sum(currents[channel] for channel in self.reading.pools[name].channels)
        decay = (values[name] - pool["rest"](values)) / pool["tau"](values)
        return -pool["per_current"](values) * inflow - decay

    @cached_property
    def defaults(self) -> dict[str, float]:
        """The usual value of each parameter."""
        return {name: p.value for name, p in self.reading.parameters.items()}
