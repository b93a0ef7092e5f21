"""A membrane's parts with their expressions parsed and every name resolved.

Nothing here knows values of a run: `equations` evaluates what is read.
"""

import keyword
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn
from unicodedata import normalize

from hhplug.checks import hint, number
from hhplug.errors import InvalidInput
from hhplug.membranes.description import (
    CAPACITANCE,
    CONCENTRATION,
    CONDUCTANCE,
    POOL_UNITS,
    POTENTIAL,
    CalciumPool,
    Channel,
    Formula,
    Gate,
    Parameter,
    Part,
)
from hhplug.membranes.expressions import (
    FUNCTIONS,
    Binary,
    InvalidExpression,
    Name,
    Node,
    Power,
    names,
    parse,
)
from hhplug.quantities import PURE

RESERVED = ("V", "t", "dt", "I", "I_ext", "time", "neuron", *FUNCTIONS)
POTENTIALS = ("v", "vm", "v_m", "em", "e_m")  # other names of V, in small letters
# What else a result's Dataset and its file hold under a name of their own.
IN_RESULTS = (
    "drive", "final_state", "first_invalid_step", "initial_state", "invalid_before", "metadata",
    "neuron_ids", "record_neurons", "record_ranks", "spike_count", "spike_neuron", "spike_time",
    "stimulus", "valid", "written",
)  # fmt: skip
IN_PROGRAMS = ("leak", "per_C_m", "most_open")  # what every program computes of a neuron, by name


class ChannelEquation(NamedTuple):
    """I = g · Π gate^power · (V − E)."""

    powers: Mapping[str, int]  # exponent of each gate
    g: Node  # mS/cm²
    E: Node  # mV


class GateEquation(NamedTuple):
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


class PoolEquation(NamedTuple):
    """dx/dt = −per_current · Σ I − (x − rest) / tau."""

    channels: tuple[str, ...]
    per_current: Node
    rest: Node
    tau: Node


class Reading(NamedTuple):
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

    def unit(self, state: str) -> str:
        """The unit of a state: mV of V, mM of a pool, 1 of a gate."""
        if state == "V":
            return POTENTIAL
        return CONCENTRATION if state in self.pools else PURE


def read(membrane: str, parts: Mapping[str, Part]) -> Reading:
    """The equations of the parts, which are given by their names.

    membrane: its name, for errors. Raises InvalidInput, which says what is wrong in the words of
    the description.
    """
    return _Reader(membrane, parts).reading()


def names_in(parts: Iterable[Part]) -> set[str]:
    """The names in the expressions of channels, gates and pools, except in invalid ones."""
    found: set[str] = set()
    for part in parts:
        values = list(vars(part).values()) if isinstance(part, (Channel, CalciumPool)) else []
        for gate in part.gates.values() if isinstance(part, Channel) else ():
            values += vars(gate).values() if isinstance(gate, Gate) else ()
        for value in values:
            if isinstance(value, str):
                with suppress(InvalidExpression):
                    found |= names(parse(value))
    return found


class _Reader:
    """Takes the names of all parts first, so that each expression is read with every name known."""

    def __init__(self, membrane: str, parts: Mapping[str, Part]):
        self.membrane = membrane
        self.channels = {k: part for k, part in parts.items() if isinstance(part, Channel)}
        self.pools = {k: part for k, part in parts.items() if isinstance(part, CalciumPool)}
        constants = {k: v for k, v in parts.items() if k not in {**self.channels, **self.pools}}
        for name, part in constants.items():
            if isinstance(part, Gate):
                self._refuse(
                    f"the gate {name} has no channel; describe it there, "
                    f"Channel({name!r}, g=…, E=…, {name}=Gate(…))"
                )
        if not self.channels:
            self._refuse("it needs a channel, for example L=Channel(g=0.3, E=-54.4)")
        self.taken: dict[str, str] = {}  # what each name stands for
        self.gates: dict[str, str] = {}  # the channel of each gate
        self.used: set[str] = set()  # the names in expressions
        if "C_m" not in constants:
            self._take("C_m", "the membrane's capacitance")
        for name, channel in self.channels.items():
            self._check_name(name, f"the channel {name}")
            for gate in channel.gates:
                self._take(gate, f"the gate {gate} of channel {name}")
                self.gates[gate] = name
        for name in self.pools:
            self._take(name, f"the pool {name}")
        self.units = self._units_by_use()
        self.parameters = self._parameters(constants)
        self.constants = constants.keys() - {"C_m"}

    def reading(self) -> Reading:
        channels = {name: self._channel(name, part) for name, part in self.channels.items()}
        gates = {
            gate: self._gate(gate, channel, self.channels[channel].gates[gate])
            for channel, equation in channels.items()
            for gate in equation.powers
        }
        pools = {name: self._pool(name, part) for name, part in self.pools.items()}
        for name in self.parameters:
            if name in self.constants - self.used:
                near = self.parameters.keys() - self.constants
                self._refuse(f"nothing uses the constant {name}.{hint(name, sorted(near))}")
        return Reading(self.parameters, channels, gates, pools)

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidInput(f"membrane {self.membrane}: {why}")

    def _check_name(self, name: str, what: str) -> None:
        if (
            not name.isidentifier()
            or keyword.iskeyword(name)
            or name.startswith("_")
            or name != normalize("NFKC", name)  # Python reads such a name as another one
        ):
            self._refuse(f"{what} needs another name, which Python can have for a variable")
        if name in RESERVED:
            self._refuse(f"{what} needs another name, because {name} has a meaning of its own")

    def _take(self, name: str, what: str) -> None:
        self._check_name(name, what)
        if name in IN_RESULTS or name in IN_PROGRAMS:
            self._refuse(f"{what} needs another name, because {name} has a meaning of its own")
        if name in self.taken:
            self._refuse(f"{name!r} is both {self.taken[name]} and {what}; rename one of them")
        self.taken[name] = what

    def _units_by_use(self) -> dict[str, str]:
        """The unit of each constant that is the whole g or E of a channel."""
        units = {"C_m": CAPACITANCE}
        for channel in self.channels.values():
            units |= {str(channel.g).strip(): CONDUCTANCE, str(channel.E).strip(): POTENTIAL}
        return units

    def _parameters(self, constants: Mapping[str, Any]) -> dict[str, Parameter]:
        """All parameters in the order C_m, g_*, E_*, others."""
        of_parts: dict[str, Parameter] = {}

        def add(name: str, value: Formula, unit: str, what: str) -> None:
            if not isinstance(value, str):
                self._take(name, what)
                of_parts[name] = Parameter(value, unit)

        for name, channel in self.channels.items():
            add(f"g_{name}", channel.g, CONDUCTANCE, f"the g of channel {name}")
            add(f"E_{name}", channel.E, POTENTIAL, f"the E of channel {name}")
        for name, pool in self.pools.items():
            for attribute, unit in POOL_UNITS.items():
                value = getattr(pool, attribute)
                add(f"{name}_{attribute}", value, unit, f"the {attribute} of the pool {name}")
        for name in constants:
            self._take(name, f"the constant {name}")
        given = {name: self._constant(name, value) for name, value in constants.items()}
        of_parts.setdefault("C_m", Parameter(1.0, CAPACITANCE))
        parameters = of_parts | given
        if not parameters["C_m"].value > 0.0:
            self._refuse(f"C_m must be above zero, got {parameters['C_m'].value:g}")
        order = {"C": 0, "g": 1, "E": 2}
        place = {name: order.get(name.partition("_")[0], 3) for name in parameters}
        return {name: parameters[name] for name in sorted(parameters, key=place.__getitem__)}

    def _constant(self, name: str, value: Any) -> Parameter:
        used_as = self.units.get(name, POTENTIAL if name.startswith("E_") else "")
        if not isinstance(value, Parameter):
            try:
                return Parameter(number(name, value, used_as or PURE), used_as)
            except InvalidInput as error:
                self._refuse(f"{error}; a constant is a number or a Parameter(value, unit)")
        unit = value.unit or used_as
        if name in self.units and normalize("NFKC", unit) != normalize("NFKC", used_as):
            self._refuse(f"{name} must be in {used_as}, got a Parameter in {unit}")
        return Parameter(value.value, used_as if name in self.units else unit)

    def _node(self, value: Formula, where: str, known: Iterable[str]) -> Node:
        """The expression, in which only the known names may stand."""
        words = list(known)

        def objection(name: str) -> str:
            if name in words:
                return ""
            if name in self.gates:
                return f"{name} is a gate; only {_listed(words)} can stand here"
            meant = "The membrane's potential is V." if name.casefold() in POTENTIALS else ""
            meant = meant if "V" in words else ""
            return f"unknown name {name!r}; only {_listed(words)} can stand here." + (
                f" {meant}" if meant else hint(name, words)
            )

        text = value if isinstance(value, str) else repr(value)
        node = parse(text, f"membrane {self.membrane}: {where}", objection)
        self.used |= names(node)
        return node

    def _number_or_formula(
        self, value: Formula, name: str, where: str, known: Iterable[str]
    ) -> Node:
        """The node of a value; that of a number is the name of its parameter."""
        return self._node(value, where, known) if isinstance(value, str) else Name(name)

    def _channel(self, name: str, channel: Channel) -> ChannelEquation:
        g = self._number_or_formula(channel.g, f"g_{name}", f"g of channel {name}", self.parameters)
        E = self._number_or_formula(
            channel.E, f"E_{name}", f"E of channel {name}", (*self.parameters, *self.pools)
        )
        powers = self._powers(name, channel)
        for gate in channel.gates:
            if gate not in powers:
                self._refuse(
                    f"channel {name} describes the gate {gate}, which isn't in its gating "
                    f"{channel.gating!r}"
                )
        return ChannelEquation(powers, g, E)

    def _powers(self, name: str, channel: Channel) -> dict[str, int]:
        """The exponent of each gate in a product of powers."""
        gating, powers = channel.gating, {}
        if not gating.strip():
            return powers
        where = f"membrane {self.membrane}: gating of channel {name}"

        def objection(gate: str) -> str:
            if gate in channel.gates:
                return ""
            advice = " (powers and products are written m**3 * h)" if len(gate) > 1 else ""
            return f"{gate} isn't described; add {gate}=Gate(…) to the channel{advice}"

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
                    raise InvalidInput(
                        f"{where} must be a product of powers of gates, such as 'm**3 * h', "
                        f"got {gating!r}"
                    )

        collect(parse(gating, where, objection))
        return powers

    def _gate(self, name: str, channel: str, gate: Gate) -> GateEquation:
        where = f"gate {name} of channel {channel}"
        if not isinstance(gate, Gate):
            self._refuse(f"{where} must be a Gate, got {gate!r}")
        given = [x for x in ("alpha", "beta", "inf", "tau") if getattr(gate, x) is not None]
        wanted = "alpha and beta, or inf and tau"
        complete = [["alpha", "beta"], ["inf", "tau"]]
        if gate.instantaneous:
            wanted = "alpha and beta, or inf alone, because it is instantaneous"
            complete[1] = ["inf"]
        if given not in complete:
            self._refuse(f"{where} needs {wanted}; got {' and '.join(given) or 'neither'}")
        rates = ("V", *self.parameters, *self.pools)

        def node(attribute: str, known: Iterable[str] = rates) -> Node | None:
            value = getattr(gate, attribute)
            return None if value is None else self._node(value, f"{attribute} of {where}", known)

        speed = node("speed", self.parameters)
        assert speed is not None
        return GateEquation(
            channel=channel,
            alpha=node("alpha"),
            beta=node("beta"),
            inf=node("inf"),
            tau=node("tau"),
            speed=speed,
            instantaneous=gate.instantaneous,
        )

    def _pool(self, name: str, pool: CalciumPool) -> PoolEquation:
        channels = tuple(pool.channels.split())
        for channel in channels:
            if channel not in self.channels:
                self._refuse(
                    f"the pool {name} takes the current of {channel!r}, which is none of "
                    f"the channels {', '.join(self.channels)}.{hint(channel, self.channels)}"
                )
        if not channels:
            self._refuse(f"the pool {name} needs the name of a channel")

        def node(attribute: str) -> Node:
            value: Formula = getattr(pool, attribute)
            where = f"{attribute} of the pool {name}"
            return self._number_or_formula(value, f"{name}_{attribute}", where, self.parameters)

        return PoolEquation(channels, node("per_current"), node("rest"), node("tau"))


def _listed(words: list[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else words[0]
