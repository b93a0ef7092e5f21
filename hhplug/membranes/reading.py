"""A membrane's parts with their expressions parsed and every name resolved.

Nothing here knows values of a run: `equations` evaluates what is read.
"""

import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, NoReturn

import numpy as np

from hhplug.checks import hint, number
from hhplug.errors import InvalidInput
from hhplug.membranes.description import CalciumPool, Channel, Formula, Gate, Parameter, Part
from hhplug.membranes.expressions import (
    FUNCTIONS,
    Binary,
    Name,
    Node,
    Power,
    constant,
    names,
    parse,
)

RESERVED = ("V", "t", "dt", "I", "I_ext", "time", "neuron", *FUNCTIONS)
# What else a result's Dataset and its file hold under a name of their own.
IN_RESULTS = (
    "drive", "final_state", "initial_state", "metadata", "neuron_ids", "record_neurons",
    "record_ranks", "spike_count", "spike_neuron", "spike_time", "stimulus", "valid", "written",
)  # fmt: skip
CONDUCTANCE, POTENTIAL, CAPACITANCE = "mS/cm²", "mV", "µF/cm²"
POOL_UNITS = {"per_current": "mM/ms per µA/cm²", "rest": "mM", "tau": "ms"}


@dataclass(frozen=True)
class ChannelEquation:
    """I = g · Π gate^power · (V − E)."""

    powers: Mapping[str, int]  # exponent of each gate
    g: Node  # mS/cm²
    E: Node  # mV


@dataclass(frozen=True)
class GateEquation:
    """The expressions of a `Gate`. alpha and beta are given, or inf and tau, or inf alone."""

    channel: str
    alpha: Node | None
    beta: Node | None
    inf: Node | None
    tau: Node | None
    speed: Node
    instantaneous: bool

    def given(self) -> dict[str, Node]:
        """The expressions that are there, by the names of `Gate`."""
        found = {name: getattr(self, name) for name in ("alpha", "beta", "inf", "tau", "speed")}
        return {name: node for name, node in found.items() if node is not None}


@dataclass(frozen=True)
class PoolEquation:
    """dx/dt = −per_current · Σ I − (x − rest) / tau."""

    channels: tuple[str, ...]
    per_current: Node
    rest: Node
    tau: Node


@dataclass(frozen=True)
class Reading:
    """All equations of a membrane, and its parameters in the order C_m, g_*, E_*, others."""

    parameters: Mapping[str, Parameter]
    channels: Mapping[str, ChannelEquation]
    gates: Mapping[str, GateEquation]
    pools: Mapping[str, PoolEquation]

    @property
    def states(self) -> tuple[str, ...]:
        """V, the gates that aren't instantaneous, the pools: what a run integrates."""
        gates = (name for name, gate in self.gates.items() if not gate.instantaneous)
        return ("V", *gates, *self.pools)


def read(membrane: str, parts: Mapping[str, Part]) -> Reading:
    """The equations of the parts, which are given by their names.

    membrane: its name, for errors. Raises InvalidInput, which says what is wrong in the words of
    the description.
    """
    return _Reader(membrane, parts).reading()


class _Reader:
    def __init__(self, membrane: str, parts: Mapping[str, Part]):
        self.membrane = membrane
        self.taken: dict[str, str] = {}  # what each name already stands for
        self.conductances: dict[str, Parameter] = {}
        self.potentials: dict[str, Parameter] = {}
        self.others: dict[str, Parameter] = {}
        self.C_m = Parameter(1.0, CAPACITANCE)
        self.channels = self._of_kind(parts, Channel)
        self.pools = self._of_kind(parts, CalciumPool)
        if not self.channels:
            self._refuse("it needs a channel, for example L=Channel(g=0.3, E=-54.4)")
        named = {k: v for k, v in parts.items() if k not in self.channels | self.pools}
        for name, value in named.items():
            self._take_constant(name, value)

    def _of_kind(self, parts: Mapping[str, Part], kind: Any) -> dict[str, Any]:
        return {name: part for name, part in parts.items() if isinstance(part, kind)}

    def reading(self) -> Reading:
        gates: dict[str, GateEquation] = {}
        channels, pools = {}, {}
        for name, channel in self.channels.items():
            self._check_name(name, "channel")
            channels[name] = self._channel(name, channel, gates)
        for name, pool in self.pools.items():
            self._take(name, f"the pool {name}")
            pools[name] = self._pool(name, pool)
        parameters = {"C_m": self.C_m, **self.conductances, **self.potentials, **self.others}
        reading = Reading(parameters, channels, gates, pools)
        self._check_symbols(reading)
        return reading

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidInput(f"membrane {self.membrane}: {why}")

    def _check_name(self, name: str, what: str) -> None:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            self._refuse(f"{name!r} can't be the name of a {what}")

    def _take(self, name: str, what: str) -> None:
        self._check_name(name, what.split()[1])
        if name in (*RESERVED, *IN_RESULTS):
            self._refuse(f"{what} can't be called {name!r}, which has a meaning of its own")
        if name in self.taken:
            self._refuse(f"{name!r} is both {self.taken[name]} and {what}")
        self.taken[name] = what

    def _take_constant(self, name: str, value: Any) -> None:
        if not isinstance(value, (Real, Parameter)) or isinstance(value, (bool, np.bool_)):
            self._refuse(
                f"{name} must be a Channel, a CalciumPool, a Parameter or a number, got {value!r}"
            )
        given = value if isinstance(value, Parameter) else Parameter(float(value))
        parameter = Parameter(number(name, given.value, given.unit or "1"), given.unit)
        kind, _, channel = name.partition("_")
        if name == "C_m":
            if not parameter.value > 0.0:
                self._refuse(f"C_m must be above zero, got {parameter.value:g}")
            self.C_m = Parameter(parameter.value, CAPACITANCE)
            self.taken[name] = "the capacitance"
            return
        self._take(name, f"the parameter {name}")
        if kind == "g" and channel in self.channels:
            self._refuse(f"give {name} as the g of Channel {channel}")
        if kind == "E" and not parameter.unit:
            parameter = Parameter(parameter.value, POTENTIAL)
        self.others[name] = parameter

    def _formula(self, value: Any, where: str) -> Node:
        if isinstance(value, str):
            return parse(value, f"membrane {self.membrane}: {where}")
        if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
            self._refuse(f"{where} must be a number or an expression as text, got {value!r}")
        if not np.isfinite(float(value)):
            self._refuse(f"{where} must be finite, got {value}")
        return parse(repr(float(value)))

    def _number_or_formula(
        self, value: Any, name: str, unit: str, where: str, table: dict[str, Parameter]
    ) -> Node:
        """The node of a value; a number becomes the default of the parameter `name`."""
        node = self._formula(value, where)
        default = constant(node)
        if default is None:
            return node
        self._take(name, f"the parameter {name}")
        table[name] = Parameter(float(default), unit)
        return Name(name)

    def _channel(
        self, name: str, channel: Channel, gates: dict[str, GateEquation]
    ) -> ChannelEquation:
        g = self._number_or_formula(
            channel.g, f"g_{name}", CONDUCTANCE, f"g of channel {name}", self.conductances
        )
        E = self._number_or_formula(
            channel.E, f"E_{name}", POTENTIAL, f"E of channel {name}", self.potentials
        )
        powers = self._powers(name, channel.gating)
        for gate in channel.gates:
            if gate not in powers:
                self._refuse(
                    f"channel {name} describes the gate {gate}, which isn't in its gating "
                    f"{channel.gating!r}"
                )
        for gate in powers:
            if gate not in channel.gates:
                self._refuse(
                    f"channel {name} has the gate {gate} in its gating {channel.gating!r}, but "
                    f"doesn't describe it; add {gate}=Gate(…)"
                )
            self._take(gate, f"the gate {gate} of channel {name}")
            gates[gate] = self._gate(gate, name, channel.gates[gate])
        return ChannelEquation(powers, g, E)

    def _powers(self, channel: str, gating: str) -> dict[str, int]:
        """The exponent of each gate in a product of powers."""
        if not isinstance(gating, str):
            self._refuse(f"the gating of channel {channel} must be text, got {gating!r}")
        if not gating.strip():
            return {}
        powers: dict[str, int] = {}

        def collect(node: Node) -> None:
            match node:
                case Name(gate):
                    powers[gate] = powers.get(gate, 0) + 1
                case Power(Name(gate), exponent) if exponent.denominator == 1 <= exponent:
                    powers[gate] = powers.get(gate, 0) + exponent.numerator
                case Binary("*", left, right):
                    collect(left)
                    collect(right)
                case _:
                    self._refuse(
                        f"the gating of channel {channel} must be a product of powers of gates, "
                        f"such as 'm**3 * h', got {gating!r}"
                    )

        collect(parse(gating, f"membrane {self.membrane}: gating of channel {channel}"))
        return powers

    def _gate(self, name: str, channel: str, gate: Gate) -> GateEquation:
        where = f"gate {name} of channel {channel}"
        if not isinstance(gate, Gate):
            self._refuse(f"{where} must be a Gate, got {gate!r}")
        given = {
            field.name
            for field in fields(Gate)
            if field.name in ("alpha", "beta", "inf", "tau")
            and getattr(gate, field.name) is not None
        }
        complete = [{"alpha", "beta"}, {"inf", "tau"}]
        if gate.instantaneous:
            complete[1] = {"inf"}
        if given not in complete:
            wanted = "alpha and beta, or inf alone" if gate.instantaneous else (
                "alpha and beta, or inf and tau"
            )  # fmt: skip
            self._refuse(f"{where} needs {wanted}, got {', '.join(sorted(given)) or 'nothing'}")

        def node(attribute: str) -> Node | None:
            value = getattr(gate, attribute)
            return None if value is None else self._formula(value, f"{attribute} of {where}")

        speed = node("speed")
        assert speed is not None
        return GateEquation(
            channel=channel,
            alpha=node("alpha"),
            beta=node("beta"),
            inf=node("inf"),
            tau=node("tau"),
            speed=speed,
            instantaneous=bool(gate.instantaneous),
        )

    def _pool(self, name: str, pool: CalciumPool) -> PoolEquation:
        channels = tuple(pool.channels.split())
        for channel in channels:
            if channel not in self.channels:
                self._refuse(
                    f"the pool {name} takes the current of {channel!r}, which is no channel."
                    f"{hint(channel, self.channels)}"
                )
        if not channels:
            self._refuse(f"the pool {name} needs the name of a channel")

        def node(attribute: str) -> Node:
            value: Formula = getattr(pool, attribute)
            where = f"{attribute} of the pool {name}"
            unit = POOL_UNITS[attribute]
            return self._number_or_formula(value, f"{name}_{attribute}", unit, where, self.others)

        return PoolEquation(channels, node("per_current"), node("rest"), node("tau"))

    def _check_symbols(self, reading: Reading) -> None:
        """Refuse every name that stands for nothing where it is used."""
        parameters, pools = reading.parameters.keys(), reading.pools.keys()
        for name, channel in reading.channels.items():
            self._check_known(channel.g, f"g of channel {name}", parameters)
            self._check_known(channel.E, f"E of channel {name}", {*parameters, *pools})
        for name, gate in reading.gates.items():
            for attribute, node in gate.given().items():
                where = f"{attribute} of gate {name}"
                known = parameters if attribute == "speed" else {"V", *parameters, *pools}
                self._check_known(node, where, known)
        for name, pool in reading.pools.items():
            for attribute in POOL_UNITS:
                node = getattr(pool, attribute)
                self._check_known(node, f"{attribute} of the pool {name}", parameters)

    def _check_known(self, node: Node, where: str, known: Iterable[str]) -> None:
        for name in sorted(names(node) - set(known)):
            words = sorted(known)
            self._refuse(
                f"{where} has the name {name!r}, which is none of {', '.join(words)}."
                f"{hint(name, words)}"
            )
