"""The derivative of a membrane's states, as operations."""

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from hhplug.errors import InvalidInput
from hhplug.lowering.canonical import ZERO, Sum, as_sum, canonical, symbol
from hhplug.lowering.overflow import without_overflow
from hhplug.lowering.program import Operand
from hhplug.lowering.singularities import GuardedValues
from hhplug.lowering.targets import Target
from hhplug.lowering.values import Env, Shared, count_of_denominators
from hhplug.membranes.equations import Equations
from hhplug.membranes.reading import Reading
from hhplug.membranes.validation import HIGHEST
from hhplug.validity import STABILITY_LIMIT

C_M = symbol("C_m")


class Formulas:
    """The canonical forms of a membrane's expressions, which don't depend on a plan.

    largest: what an exponential may be without an overflow.
    """

    def __init__(self, reading: Reading, largest: float):
        self.reading = reading
        self.gates = {
            name: {part: canonical(node) for part, node in gate.given().items()}
            for name, gate in reading.gates.items()
        }
        self.g = {name: canonical(channel.g) for name, channel in reading.channels.items()}
        self.E = {name: canonical(channel.E) for name, channel in reading.channels.items()}
        self.pools = {
            name: {part: canonical(getattr(pool, part)) for part in ("per_current", "rest", "tau")}
            for name, pool in reading.pools.items()
        }
        equations = Equations(reading)
        self.defaults = equations.defaults | equations.pools_at_rest(equations.defaults)
        self.first, self.second = (
            {name: without_overflow(x, largest, HIGHEST, self.defaults) for name, x in part.items()}
            for part in self._rates()
        )
        self.denominators = count_of_denominators([*self.first.values(), *self.second.values()])
        self.roots: dict[Sum, list[float]] = {}

    def _rates(self) -> tuple[dict[str, Sum], dict[str, Sum]]:
        """Of each gate alpha and alpha + beta, or inf and 1/tau."""
        first, second = {}, {}
        for name, parts in self.gates.items():
            if "alpha" in parts:
                first[name] = parts["alpha"]
                second[name] = parts["alpha"] + parts["beta"]
            else:
                first[name] = parts["inf"]
                if "tau" in parts:
                    second[name] = 1 / parts["tau"]
        return first, second

    @property
    def varying(self) -> frozenset[str]:
        """The names whose values change from step to step."""
        return frozenset(("V", *self.reading.gates, *self.reading.pools))

    def expressions(self) -> list[Sum]:
        """Every expression that is evaluated in each stage."""
        return [*self.first.values(), *self.second.values(), *self.E.values()]

    def speed(self, gate: str) -> Sum:
        return self.gates[gate]["speed"]


class Derivative:
    """Writes the derivative at a state. `step` scales it if the target asks for that.

    limit: the stability limit of the method, see `hhplug.validity`.
    """

    def __init__(
        self, formulas: Formulas, target: Target, shared: Shared, limit: float = STABILITY_LIMIT
    ):
        reading = formulas.reading
        self.reading, self.formulas, self.target = reading, formulas, target
        self.values = GuardedValues(
            target, shared, formulas.varying, formulas.defaults, formulas.roots
        )
        self.values.denominators = formulas.denominators
        self.op = self.values.op
        self.labels: dict[str, str] = {}  # names of the equations for results of operations
        self._given_labels: set[str] = set()
        self.stages: list[int] = []
        self.slopes: list[Operand] = []
        self.conductance: Operand = 0.0
        self.half_step = symbol("dt") * Fraction(1, 2)
        self._feeding_pools = {
            channel for pool in reading.pools.values() for channel in pool.channels
        }
        C = 1 / C_M
        self.scale = self.half_step if target.scaled_by_step else as_sum(1)
        self.values.rows[self._leak() * self.scale] = "leak"
        self.values.rows.setdefault(C * self.scale, "per_C_m")
        self.values.rows[self._most_open(limit)] = "most_open"

    def at(self, env: Env) -> dict[str, Operand]:
        """dx/dt of every state x; times dt/2 if the target scales slopes by the step."""
        self.stages.append(len(self.values.operations.list))
        slopes, currents, conductances = self._voltage(env)
        if not self.slopes:
            self._note_conductance(env, conductances)
        for name, gate in self.reading.gates.items():
            if not gate.instantaneous:
                slopes[name] = self._gate(name, env)
        for name in self.reading.pools:
            slopes[name] = self.pool(name, env, currents)
        self.slopes.append(slopes["V"])
        for state in self.reading.states:
            self._label(slopes[state], f"d{state}")
        return {state: slopes[state] for state in self.reading.states}

    def _label(self, operand: Operand, name: str) -> None:
        """Call the result of an operation by a name of the equations, in this stage.

        A later result of the same stage, at another state, doesn't get the name, nor does a result
        that has one, of an equal expression.
        """
        name = f"{name}_{len(self.stages)}"
        if isinstance(operand, str) and name not in self._given_labels:
            self._given_labels.add(name)
            self.labels.setdefault(operand, name)

    def labelled(self, after: dict[str, Operand]) -> dict[str, Operand]:
        """The states after the step; their operations are labelled V_next, m_next and so on."""
        for state, operand in after.items():
            if isinstance(operand, str):
                self.labels.setdefault(operand, f"{state}_next")
        return after

    def speed(self, state: str) -> Sum:
        """The factor of a gate's slope, which `at` leaves to the method; 1 for other states."""
        if state in self.reading.gates and not self.target.scaled_by_step:
            return self.formulas.speed(state)
        return as_sum(1)

    def _is_leak(self, name: str) -> bool:
        """Whether a channel's current is linear in V with constants alone."""
        return (
            not self.reading.channels[name].powers
            and not self.formulas.E[name].names & self.values.varying
            and not self.feeds_a_pool(name)
        )

    def _leaks(self) -> Iterable[str]:
        return filter(self._is_leak, self.reading.channels)

    def _leak(self) -> Sum:
        """Σ g·E/C_m of the leaks, mV/ms."""
        return sum((self.formulas.g[n] * self.formulas.E[n] / C_M for n in self._leaks()), ZERO)

    def leaks(self) -> Sum:
        """Σ g/C_m of the leaks, 1/ms."""
        return sum((self.formulas.g[name] / C_M for name in self._leaks()), ZERO)

    def _most_open(self, limit: float) -> Sum:
        """The open conductance over C_m at which a step is just stable, less that of the leaks.

        Without a limit it is 1, since a method that has none writes 0 for the conductance.
        """
        if limit == math.inf:
            return as_sum(1)
        return (Fraction(str(limit)) / symbol("dt") - self.leaks()) * self.scale

    def slope_of_V(self, env: Env) -> Operand:
        """dV/dt, scaled as `at` scales it."""
        return self._voltage(env)[0]["V"]

    def _voltage(self, env: Env) -> tuple[dict[str, Operand], dict[str, Operand], list[Operand]]:
        """dV/dt, the currents over C_m of the channels that feed pools, the open conductances."""
        V = env["V"]
        slope = self.without_open_channels(V)
        currents: dict[str, Operand] = {}
        conductances: list[Operand] = []
        for names, G, reversal in self.open_channels(env):
            conductances.append(G)
            drive = self.op("sub", V, reversal)
            if self.feeds_a_pool(names[0]):
                current = self.op("mul", G, drive)
                currents[names[0]] = current
                self._label(current, f"I_{names[0]}")
                slope = self.op("sub", slope, current)
            else:
                slope = self.op("fnma", G, drive, slope)
        return {"V": slope}, currents, conductances

    def without_open_channels(self, V: Operand) -> Operand:
        """dV/dt by the leaks and the current given."""
        leaks = self.leaks()
        if not leaks.terms:
            return "I"
        g, _ = self.values.fixed(leaks * self.scale)
        return self.op("fnma", g, V, "I")

    def open_channels(self, env: Env) -> Iterator[tuple[list[str], Operand, Operand]]:
        """Channels with one reversal potential, their conductance over C_m, and that potential.

        The leaks are left out.
        """
        values = self.values
        for names in self._groups():
            G = self._conductance(names, env)
            E = self.formulas.E[names[0]]
            yield names, G, values.value(E, env) if E.names & values.varying else values.row(E)

    def feeds_a_pool(self, channel: str) -> bool:
        """Whether a pool takes the current of a channel."""
        return channel in self._feeding_pools

    def _note_conductance(self, env: Env, conductances: list[Operand]) -> None:
        """Write the sum of the open conductances, which is NaN if V or a pool isn't finite."""
        first, *others = conductances or [0.0]
        total = first
        for state in ("V", *self.reading.pools):  # gates are factors of the conductance
            total = self.op("fma", env[state], 0.0, total)
        for G in others:
            total = self.op("add", total, G)
        self.conductance = total
        self._label(total, "g_open")

    def _groups(self) -> list[list[str]]:
        """Channels that share a reversal potential, one group each; those that feed pools alone."""
        groups: dict[object, list[str]] = {}
        for name in self.reading.channels:
            if not self._is_leak(name):
                alone = self.feeds_a_pool(name)
                groups.setdefault(name if alone else self.formulas.E[name], []).append(name)
        return list(groups.values())

    def _conductance(self, names: Sequence[str], env: Env) -> Operand:
        """Σ g·gating of some channels over C_m, 1/ms."""
        total: Operand | None = None
        for name in names:
            g = self.values.row(self.formulas.g[name] / C_M * self.scale)
            powers = [
                self.values.power(self._gate_value(gate, env), power)
                for gate, power in self.reading.channels[name].powers.items()
            ]
            if not powers:
                total = g if total is None else self.op("add", total, g)
            elif total is None and len(powers) > 1:  # (the first powers) · (g · the last)
                *first, last = powers
                total = self.op("mul", self.values.product(first), self.op("mul", last, g))
            elif total is None:
                total = self.op("mul", powers[0], g)
            else:
                total = self.op("fma", self.values.product(powers), g, total)
        assert total is not None
        self._label(total, f"g_{'_'.join(names)}_open")
        return total

    def _gate_value(self, name: str, env: Env) -> Operand:
        gate = self.reading.gates[name]
        if not gate.instantaneous:
            return env[name]
        first = self._rate(name, self.formulas.first[name], env)
        if gate.alpha is not None:
            second = self._rate(name, self.formulas.second[name], env)
            self._label(first, f"alpha_{name}")
            self._label(second, f"alpha_beta_{name}")
            first = self.op("mul", first, self.op("rcp", second))
        self._label(first, name)
        return first

    def gate_rates(self, name: str, env: Env) -> tuple[Operand, Operand]:
        """alpha and alpha + beta, or inf and 1/tau; a scaled rate has the gate's speed in it."""
        first, second = self.formulas.first[name], self.formulas.second[name]
        by_rates = self.by_rates(name)
        if self.target.scaled_by_step:
            scale = self.half_step * self.formulas.speed(name)
            second = _each(second, scale)
            first = _each(first, scale) if by_rates else first
        a = self._rate(name, first, env)
        b = self._rate(name, second, env)
        self._label(a, f"{'alpha' if by_rates else 'inf'}_{name}")
        self._label(b, f"{'alpha_beta' if by_rates else 'per_tau'}_{name}")
        return a, b

    def _rate(self, gate: str, expression: Sum, env: Env) -> Operand:
        try:
            return self.values.value(expression, env)
        except NotImplementedError as error:
            raise InvalidInput(
                f"gate {gate}: a quotient is 0/0 at some voltage, and there is no series for it: "
                f"{error}. Write it as x / (1 - exp(-x)), or use the backend 'reference', which "
                "computes any description"
            ) from None

    def by_rates(self, gate: str) -> bool:
        """Whether a gate is given by alpha and beta, not by inf and tau."""
        return self.reading.gates[gate].alpha is not None

    def _gate(self, name: str, env: Env) -> Operand:
        """alpha − (alpha + beta)·x, or (inf − x)/tau."""
        a, b = self.gate_rates(name, env)
        if self.by_rates(name):
            return self.op("fnma", b, env[name], a)
        return self.op("mul", self.op("sub", a, env[name]), b)

    def pool(self, name: str, env: Env, currents: dict[str, Operand]) -> Operand:
        """−per_current·I − (x − rest)/tau, where the currents are over C_m."""
        pool, values = self.formulas.pools[name], self.values
        channels = self.reading.pools[name].channels
        inflow = currents[channels[0]]
        for channel in channels[1:]:
            inflow = self.op("add", inflow, currents[channel])
        decay = values.row(1 / pool["tau"] * self.scale)
        slope = self.op(
            "fnma", decay, env[name], values.row(pool["rest"] / pool["tau"] * self.scale)
        )
        return self.op("fnma", inflow, values.row(pool["per_current"] * C_M), slope)


def _each(expression: Sum, by: Sum) -> Sum:
    """Each term times a product, so that its coefficients take it up."""
    return expression.scaled(by) if len(by.terms) == 1 else expression * by
