"""The Membrane: a description with what follows from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from hhplug.checks import number
from hhplug.errors import InvalidInput
from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter, Part
from hhplug.membranes.equations import Equations, GateRates
from hhplug.membranes.reading import Reading, read
from hhplug.membranes.validation import check_rates

TEN = 10.0  # °C for which a Q10 holds


class Membrane:
    """A membrane of channels: C_m dV/dt = I_ext − Σ g · gating · (V − E).

    name: for pictures and messages.
    celsius: the temperature of the rates, °C, which `at` needs.
    parts: each keyword is a Channel, a CalciumPool, or a named constant. A constant is a Parameter,
        or a number for one without a unit. C_m is 1 µF/cm² unless it is given.

    Membranes with the same description are equal, whatever their names. A membrane is never
    changed. Raises InvalidInput for unknown or colliding names, and for a rate that is negative or
    not finite between −150 and 150 mV.
    """

    def __init__(self, name: str, *, celsius: float | None = None, **parts: Part):
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"the name of a membrane must be text, got {name!r}")
        self._name = name
        self._celsius = None if celsius is None else number("celsius", celsius, "°C")
        self._parts = parts
        self._reading = read(name, parts)
        check_rates(name, self.equations)

    @property
    def name(self) -> str:
        return self._name

    @property
    def celsius(self) -> float | None:
        """The temperature of the rates, °C, or None if they are known at one temperature alone."""
        return self._celsius

    @property
    def reading(self) -> Reading:
        """The parsed equations."""
        return self._reading

    @cached_property
    def states(self) -> tuple[str, ...]:
        """V, the gates that aren't instantaneous, and the pools, in the order of a state's rows."""
        return self._reading.states

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The usual value and the unit of each parameter: C_m, g_*, E_*, then all others."""
        return self._reading.parameters

    @cached_property
    def equations(self) -> Equations:
        """The equations as functions of NumPy arrays in float64."""
        return Equations(self._reading)

    def replace(self, name: str, **parts: Part | None) -> "Membrane":
        """Another membrane, in which some parts are others, added, or (None) left out.

        A number for a known parameter, also for one of a channel such as g_Na, is its new default
        and keeps its unit.
        """
        combined: dict[str, Any] = dict(self._parts)
        for key, part in parts.items():
            if part is None:
                if combined.pop(key, None) is None:
                    raise InvalidInput(f"membrane {self._name} has no part {key!r} to leave out")
                continue
            owner = self._owner(key, combined)
            if owner is None:
                known = self.parameters.get(key)
                keeps = known is not None and not isinstance(
                    part, (Channel, CalciumPool, Parameter)
                )
                combined[key] = Parameter(part, known.unit) if known and keeps else part
            else:
                part_name, attribute = owner
                value = part.value if isinstance(part, Parameter) else part
                combined[part_name] = _with(combined[part_name], attribute, value)
        return Membrane(name, celsius=self._celsius, **combined)

    def _owner(self, key: str, parts: Mapping[str, Any]) -> tuple[str, str] | None:
        """The part and its attribute whose number is the default of the parameter `key`."""
        for name, part in parts.items():
            attributes: tuple[str, ...] = ()
            if isinstance(part, Channel):
                attributes = ("g", "E")
                spelled = {f"{a}_{name}": a for a in attributes}
            elif isinstance(part, CalciumPool):
                spelled = {f"{name}_{a}": a for a in ("per_current", "rest", "tau")}
            else:
                continue
            attribute = spelled.get(key)
            if attribute and not isinstance(getattr(part, attribute), str):
                return name, attribute
        return None

    def at(self, celsius: float) -> "Membrane":
        """The same membrane at another temperature: each gate with a Q10 is faster or slower.

        Raises InvalidInput if the temperature of the rates isn't known or no gate has a Q10.
        """
        celsius = number("celsius", celsius, "°C")
        if self._celsius is None:
            raise InvalidInput(
                f"membrane {self._name} doesn't say at which temperature its rates hold; "
                "describe it with celsius= and give its gates a Q10"
            )
        exponent = (celsius - self._celsius) / TEN
        parts = {
            name: _warmer(part, exponent) if isinstance(part, Channel) else part
            for name, part in self._parts.items()
        }
        name = f"{self._name.partition(' at ')[0]} at {celsius:g} °C"
        return Membrane(name, celsius=celsius, **parts)

    def rates(
        self,
        V: Any,
        parameters: Mapping[str, Any] | None = None,
        pools: Mapping[str, Any] | None = None,
    ) -> dict[str, GateRates]:
        """Steady state, time constant (ms) and rates (1/ms) of each gate at voltages V (mV).

        parameters: values other than the usual ones. pools: concentrations, mM, other than at rest.
        """
        values = {**self.equations.defaults, **(parameters or {})}
        return self.equations.rates(V, values, pools)

    def to_dict(self) -> dict[str, Any]:
        """The description in plain values, which `from_dict` and JSON understand."""
        return {
            "name": self._name,
            "celsius": self._celsius,
            "parts": {name: _plain(part) for name, part in self._parts.items()},
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Membrane":
        """The membrane that `to_dict` described."""
        parts = {name: _part(plain) for name, plain in description["parts"].items()}
        return cls(description["name"], celsius=description["celsius"], **parts)

    @cached_property
    def digest(self) -> str:
        """A hash of the description without its name: equal for equal membranes."""
        plain = {**self.to_dict(), "name": ""}
        return sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def equations_digest(self) -> str:
        """A hash of the equations alone: equal for membranes that differ in defaults alone."""
        reading = self._reading
        named = {name: p.unit for name, p in reading.parameters.items()}
        text = repr((named, reading.channels, reading.gates, reading.pools))
        return sha256(text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Membrane) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Membrane.from_dict, (self.to_dict(),)


def _with(part: Channel | CalciumPool, attribute: str, value: Any) -> Channel | CalciumPool:
    if isinstance(part, CalciumPool):
        return replace(part, **{attribute: value})
    values: dict[str, Any] = {"g": part.g, "E": part.E, **part.gates, attribute: value}
    return Channel(part.gating, **values)


def _warmer(channel: Channel, exponent: float) -> Channel:
    gates = {}
    for name, gate in channel.gates.items():
        if gate.Q10 is not None:
            factor = gate.Q10**exponent
            speed = gate.speed
            speed = f"{factor!r} * ({speed})" if isinstance(speed, str) else factor * speed
            gate = replace(gate, speed=speed)
        gates[name] = gate
    values: dict[str, Any] = {"g": channel.g, "E": channel.E, **gates}
    return Channel(channel.gating, **values)


def _plain(part: Part) -> Any:
    if isinstance(part, Channel):
        gates = {name: _given(gate) for name, gate in part.gates.items()}
        return {"kind": "channel", "gating": part.gating, "g": part.g, "E": part.E, "gates": gates}
    if isinstance(part, CalciumPool):
        return {"kind": "pool", **asdict(part)}
    if isinstance(part, Parameter):
        return {"kind": "parameter", **asdict(part)}
    return float(part)


def _given(gate: Gate) -> dict[str, Any]:
    """The attributes of a gate that differ from the defaults."""
    usual = asdict(Gate())
    return {name: value for name, value in asdict(gate).items() if value != usual[name]}


def _part(plain: Any) -> Part:
    if isinstance(plain, (int, float)):
        return float(plain)
    values = {name: value for name, value in plain.items() if name != "kind"}
    if plain["kind"] == "channel":
        values |= {name: Gate(**gate) for name, gate in values.pop("gates").items()}
        return Channel(values.pop("gating"), **values)
    kinds = {"pool": CalciumPool, "parameter": Parameter}
    return kinds[plain["kind"]](**values)
