"""The equations of a membrane, evaluated in float64 as they are written.

A run's state is an array (states, n) in the order of `Reading.states`. Parameters are a float or an
(n,) array by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.membranes.evaluation import Values, compiled
from hhplug.membranes.expressions import constant, names
from hhplug.membranes.reading import ChannelEquation, GateEquation, Reading
from hhplug.membranes.tape import Tape

Array = NDArray[np.float64]

ALL_SHUT = 1000.0  # mV; every gate is fully open or shut beyond ±1000 mV, where rates overflow


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
        self.usual_speed = constant(gate.speed) == 1

    def _rates(self, values: Values) -> tuple[Any, Any]:
        f = self.functions
        return f["alpha"](values), f["beta"](values)

    def steady(self, values: Values) -> Any:
        if not self.by_rates:
            return self.functions["inf"](values)
        alpha, beta = self._rates(values)
        return alpha / (alpha + beta)

    def linear(self, values: Values) -> tuple[Any, Any]:
        """(a, b) of dx/dt = a − b·x, 1/ms."""
        if self.by_rates:
            alpha, beta = self._rates(values)
            a, b = alpha, alpha + beta
        else:
            b = np.divide(1.0, self.functions["tau"](values))
            a = b * self.functions["inf"](values)
        if self.usual_speed:
            return a, b
        speed = self.functions["speed"](values)
        return speed * a, speed * b

    def slope(self, x: Any, values: Values) -> Any:
        """dx/dt, 1/ms."""
        if self.by_rates:
            alpha, beta = self._rates(values)
            slope = alpha * (1.0 - x) - beta * x
        else:
            slope = (self.functions["inf"](values) - x) / self.functions["tau"](values)
        return slope if self.usual_speed else self.functions["speed"](values) * slope

    def rates(self, values: Values, shape: tuple[int, ...]) -> GateRates:
        def full(value: Any) -> Array:
            return np.array(np.broadcast_to(value, shape), np.float64)

        if self.instantaneous:
            return GateRates(full(self.steady(values)), np.zeros(shape), None, None)
        speed = self.functions["speed"](values)
        if self.by_rates:
            alpha, beta = self._rates(values)
            total = alpha + beta
            inf, tau = full(alpha / total), full(1.0 / (speed * total))
            return GateRates(inf, tau, full(speed * alpha), full(speed * beta))
        inf, tau = full(self.functions["inf"](values)), full(self.functions["tau"](values) / speed)
        return GateRates(inf, tau, inf / tau, (1.0 - inf) / tau)


class _Channel:
    """The compiled expressions of one channel."""

    def __init__(self, channel: ChannelEquation):
        self.g, self.E = compiled(channel.g), compiled(channel.E)
        self.factors = [gate for gate, power in channel.powers.items() for _ in range(power)]

    def open(self, values: Values) -> Any:
        """The open conductance, mS/cm²; the values have the channel's gates."""
        conductance = self.g(values)
        for gate in self.factors:
            conductance = conductance * values[gate]
        return conductance

    def current(self, values: Values) -> Any:
        """µA/cm²; the values have V and the channel's gates."""
        return self.open(values) * (values["V"] - self.E(values))


class Equations:
    """The right-hand sides of a membrane's equations, and what follows from them."""

    def __init__(self, reading: Reading):
        self.reading = reading
        self.states = reading.states
        self._gates = {name: _Gate(gate) for name, gate in reading.gates.items()}
        self._instantaneous = {name: g for name, g in self._gates.items() if g.instantaneous}
        self._channels = {name: _Channel(channel) for name, channel in reading.channels.items()}
        self._pools = {
            name: {part: compiled(getattr(pool, part)) for part in ("per_current", "rest", "tau")}
            for name, pool in reading.pools.items()
        }

    @property
    def linear_in_V(self) -> bool:
        """Whether dV/dt is linear in V while the gates are held, and nothing else moves then."""
        return not self._instantaneous and not self._pools

    def derivative(self, state: Array, I_ext: Any, parameters: Values) -> Array:
        """Time derivatives of all states: of V in mV/ms, of gates in 1/ms, of pools in mM/ms.

        state: (states, n). I_ext: µA/cm², (n,) or (1,).
        """
        values = dict(parameters)
        values.update(zip(self.states, state, strict=True), I_ext=I_ext)
        slopes = np.empty_like(state)
        for row, slope in zip(slopes, self._derivative.play(values), strict=True):
            row[:] = slope
        return slopes

    def open_conductance(self, state: Array, parameters: Values) -> Any:
        """The conductance of all open channels, mS/cm², (n,), in a state (states, n)."""
        values = {**parameters, **dict(zip(self.states, state, strict=True))}
        return self._open_conductance.play(values)[0]

    @cached_property
    def _derivative(self) -> Tape:
        def slopes(values: dict[str, Any]) -> Iterator[Any]:
            currents = self._currents(values)
            yield (values["I_ext"] - _total(currents)) / values["C_m"]
            for name in self.states[1:]:
                gate = self._gates.get(name)
                if gate:
                    yield gate.slope(values[name], values)
                else:
                    yield self._pool_slope(name, values, currents)

        return Tape(slopes, (*self.states, *self.reading.parameters, "I_ext"))

    @cached_property
    def _open_conductance(self) -> Tape:
        def conductance(values: dict[str, Any]) -> Iterator[Any]:
            self._add_instantaneous(values)
            yield _total({name: c.open(values) for name, c in self._channels.items()})

        return Tape(conductance, (*self.states, *self.reading.parameters))

    def linear_gates(self, state: Array, parameters: Values) -> dict[str, tuple[Any, Any]]:
        """(a, b) of dx/dt = a − b·x, 1/ms, for each gate that isn't instantaneous.

        state: (states, n), of which V and the pools count.
        """
        values = {**parameters, **dict(zip(self.states, state, strict=True))}
        gates = self._gates.items()
        return {name: gate.linear(values) for name, gate in gates if not gate.instantaneous}

    def linear_membrane(
        self, state: Array, I_ext: Any, parameters: Values
    ) -> dict[str, tuple[Any, Any]]:
        """(a, b) of dx/dt = a − b·x for V and each pool x; a in mV/ms or mM/ms, b in 1/ms.

        Conductances and reversal potentials, and the currents into pools, are those of a state
        (states, n).
        """
        values = {**parameters, **dict(zip(self.states, state, strict=True))}
        currents = self._currents(values)
        open_ = {name: channel.open(values) for name, channel in self._channels.items()}
        driven = {name: g * self._channels[name].E(values) for name, g in open_.items()}
        C_m = values["C_m"]
        found = {"V": ((I_ext + _total(driven)) / C_m, _total(open_) / C_m)}
        for name, pool in self._pools.items():
            b = np.divide(1.0, pool["tau"](values))
            inflow = pool["per_current"](values) * self._inflow(name, currents)
            found[name] = pool["rest"](values) * b - inflow, b
        return found

    def needed_for_current(self, channel: str) -> tuple[str, ...]:
        """The states that determine the current of a channel, V first."""
        equation, reading = self.reading.channels[channel], self.reading
        nodes = [equation.E]
        for gate in equation.powers:
            if gate in self._instantaneous:
                nodes += reading.gates[gate].given().values()
        used = {"V", *equation.powers}.union(*map(names, nodes))
        return tuple(name for name in self.states if name in used)

    def current(self, channel: str, state: Values, parameters: Values) -> Any:
        """The current of a channel, µA/cm², positive outward.

        state: the values of the states that `needed_for_current` names.
        """
        values = {**parameters, **state}
        for gate in self.reading.channels[channel].powers:
            if gate in self._instantaneous:
                values[gate] = self._gates[gate].steady(values)
        return self._channels[channel].current(values)

    def settled(self, V: Any, parameters: Values, pools: Values | None = None) -> Array:
        """The state (states, …) with every gate in its steady state at V (mV).

        pools: concentrations, mM; those that are missing are at rest.
        """
        values = self._at_rest(V, parameters, pools)
        settled = [
            self._gates[name].steady(values) if name in self._gates else values[name]
            for name in self.states
        ]
        return np.stack(np.broadcast_arrays(*(np.asarray(x, np.float64) for x in settled)))

    def rates(
        self, V: Any, parameters: Values, pools: Values | None = None
    ) -> dict[str, GateRates]:
        """Steady state, time constant and rates of each gate at V (mV).

        pools: concentrations, mM; those that are missing are at rest.
        """
        values = self._at_rest(V, parameters, pools)
        shape = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
        return {name: gate.rates(values, shape) for name, gate in self._gates.items()}

    def speed(self, gate: str, parameters: Values) -> Any:
        """The factor of a gate's rates."""
        return self._gates[gate].functions["speed"](parameters)

    def steady_current(self, V: Any, parameters: Values, pools: Values | None = None) -> Any:
        """Sum of the ionic currents, µA/cm², with all gates in steady state at V (mV).

        pools: concentrations, mM; those that are missing are at rest.
        """
        values = self._at_rest(V, parameters, pools)
        return _total(self._steady_currents(values))

    def steady_pool_slopes(self, V: Any, parameters: Values, pools: Values) -> dict[str, Any]:
        """Time derivative of each pool, mM/ms, with all gates in steady state at V (mV)."""
        values = self._at_rest(V, parameters, pools)
        currents = self._steady_currents(values)
        return {name: self._pool_slope(name, values, currents) for name in self._pools}

    def conductances(self, parameters: Values) -> dict[str, tuple[Any, Any]]:
        """The largest conductance, mS/cm², and the reversal potential, mV, of each channel.

        Pools are at rest.
        """
        values = self._at_rest(0.0, parameters, None)
        return {name: (c.g(values), c.E(values)) for name, c in self._channels.items()}

    def pools_at_rest(self, parameters: Values) -> dict[str, Any]:
        """The concentration to which each pool decays without a current, mM."""
        return {name: pool["rest"](parameters) for name, pool in self._pools.items()}

    def _at_rest(self, V: Any, parameters: Values, pools: Values | None) -> dict[str, Any]:
        """The parameters, V and pools. A pool that isn't given is at rest."""
        voltage = {"V": np.asarray(V, np.float64)}
        return {**parameters, **voltage, **self.pools_at_rest(parameters), **(pools or {})}

    def _steady_currents(self, values: dict[str, Any]) -> dict[str, Any]:
        """The current of each channel with all gates in steady state.

        Beyond ±ALL_SHUT, where rates may overflow, the gates are as they are there.
        """
        shut = {**values, "V": np.clip(values["V"], -ALL_SHUT, ALL_SHUT)}
        values |= {name: gate.steady(shut) for name, gate in self._gates.items()}
        return {name: channel.current(values) for name, channel in self._channels.items()}

    def _currents(self, values: dict[str, Any]) -> dict[str, Any]:
        """The current of each channel. The values of instantaneous gates are added."""
        self._add_instantaneous(values)
        return {name: channel.current(values) for name, channel in self._channels.items()}

    def _add_instantaneous(self, values: dict[str, Any]) -> None:
        for name, gate in self._instantaneous.items():
            values[name] = gate.steady(values)

    def _pool_slope(self, name: str, values: Values, currents: Values) -> Any:
        pool = self._pools[name]
        decay = (values[name] - pool["rest"](values)) / pool["tau"](values)
        return -pool["per_current"](values) * self._inflow(name, currents) - decay

    def _inflow(self, pool: str, currents: Values) -> Any:
        """The sum of the currents that feed a pool, µA/cm²."""
        return _total({c: currents[c] for c in self.reading.pools[pool].channels})

    @cached_property
    def defaults(self) -> dict[str, float]:
        """The usual value of each parameter."""
        return {name: p.value for name, p in self.reading.parameters.items()}


def _total(terms: Mapping[str, Any]) -> Any:
    first, *others = terms.values()
    return sum(others, first)
