"""The Membrane: a description with what follows from it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from hhplug.checks import hint, number, real_array
from hhplug.errors import InvalidInput
from hhplug.membranes.description import (
    POOL_UNITS,
    POTENTIAL,
    CalciumPool,
    Channel,
    Parameter,
    Part,
)
from hhplug.membranes.equations import Equations, GateRates
from hhplug.membranes.latex import latex_of_membrane
from hhplug.membranes.plain import part_of, plain
from hhplug.membranes.plotting import PLOTTED, plot_rates
from hhplug.membranes.printing import printed_membrane
from hhplug.membranes.reading import Reading, names_in, read
from hhplug.membranes.validation import check_rates
from hhplug.quantities import PURE

if TYPE_CHECKING:
    from hhplug.figure import Figure

TEN = 10.0  # °C for which a Q10 holds


class Membrane:
    """A membrane of channels: C_m dV/dt = I_ext − Σ g · gating · (V − E).

    name: for pictures and messages.
    celsius: the temperature of the rates, °C, which `at` needs.
    parts: each keyword is a Channel, a CalciumPool, or a named constant. A constant is a Parameter,
        or a number for one without a unit. C_m is 1 µF/cm² unless it is given.

    `print` shows the equations. Membranes with the same description are equal, whatever their
    names. A membrane is never changed. Raises InvalidInput for unknown or colliding names, and for
    a rate that is negative or not finite between −150 and 150 mV.

    >>> from hhplug import Channel, Gate, Membrane
    >>> p = Gate(inf="1 / (1 + exp(-(V + 35) / 10))", tau=50.0)
    >>> slow = Membrane("slow K", K=Channel("p", g=1.0, E=-90.0, p=p), leak=Channel(g=0.1, E=-65.0))
    >>> slow
    <Membrane slow K: V p, 5 parameters>
    >>> slow.states, slow.parameters["g_K"]
    (('V', 'p'), Parameter(value=1.0, unit='mS/cm²'))
    """

    def __init__(self, name: str, *, celsius: float | None = None, **parts: Part):
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"the name of a membrane must be text, got {name!r}")
        self._name = name
        self._celsius = None if celsius is None else number("celsius", celsius, "°C")
        self._reading = read(name, parts)
        # A constant that was given as a number has the unit in which it is used.
        self._parts = {
            key: part if isinstance(part, (Channel, CalciumPool)) else self._reading.parameters[key]
            for key, part in parts.items()
        }
        check_rates(name, self.equations)

    @property
    def name(self) -> str:
        """The name for pictures and messages."""
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
        return MappingProxyType(self._reading.parameters)

    @cached_property
    def equations(self) -> Equations:
        """The equations as functions of NumPy arrays in float64."""
        return Equations(self._reading)

    def replace(self, name: str, **parts: Part | None) -> "Membrane":
        """Another membrane, in which some parts are others, added, or (None) left out.

        A number for a known parameter, also for one of a channel such as g_Na, is its new default
        and keeps its unit. A constant that nothing uses any more is left out too.

        >>> from hhplug import membranes
        >>> less = membranes.RS.replace("RS without M", M=None, g_L=0.05)
        >>> "g_M" in less.parameters, less.parameters["g_L"]
        (False, Parameter(value=0.05, unit='mS/cm²'))
        """
        if "celsius" in parts:
            raise InvalidInput("at(celsius=…) is the membrane at another temperature")
        combined: dict[str, Any] = dict(self._parts)
        for key, part in parts.items():
            if part is None:
                if combined.pop(key, None) is None:
                    raise InvalidInput(
                        f"membrane {self._name} has no part {key!r} to leave out."
                        f"{hint(key, self._parts)}"
                    )
                continue
            owner = self._owner(key, combined)
            if owner is None:
                combined[key] = self._in_known_unit(key, part)
            else:
                part_name, attribute = owner
                value = self._in_known_unit(key, part)
                value = value.value if isinstance(value, Parameter) else value
                combined[part_name] = _with(combined[part_name], attribute, value)
        used = names_in(combined.values())
        for key, part in self._parts.items():
            is_left_over = key not in used and key not in parts and key != "C_m"
            if isinstance(part, Parameter) and is_left_over:
                del combined[key]
        return Membrane(name, celsius=self._celsius, **combined)

    def _in_known_unit(self, key: str, part: Any) -> Any:
        """The part, which in place of a known parameter may be a number in its unit."""
        known = self.parameters.get(key)
        if known is None or isinstance(part, (str, Channel, CalciumPool)):
            return part
        if isinstance(part, Parameter):
            if part.unit not in ("", known.unit):
                raise InvalidInput(f"{key} must be in {known.unit}, got a Parameter in {part.unit}")
            return Parameter(part.value, known.unit)
        return Parameter(number(key, part, known.unit or PURE), known.unit)

    def _owner(self, key: str, parts: Mapping[str, Any]) -> tuple[str, str] | None:
        """The part and its attribute whose number is the default of the parameter `key`."""
        for name, part in parts.items():
            spelled: dict[str, str] = {}
            if isinstance(part, Channel):
                spelled = {f"{attribute}_{name}": attribute for attribute in ("g", "E")}
            elif isinstance(part, CalciumPool):
                spelled = {f"{name}_{attribute}": attribute for attribute in POOL_UNITS}
            attribute = spelled.get(key)
            if attribute and not isinstance(getattr(part, attribute), str):
                return name, attribute
        return None

    def at(self, celsius: float) -> "Membrane":
        """The same membrane at another temperature: each gate with a Q10 is faster or slower.

        Raises InvalidInput if the temperature of the rates isn't known, if no gate has a Q10, or if
        a rate would not be finite.

        >>> from hhplug import membranes
        >>> cold, warm = membranes.squid, membranes.squid.at(celsius=16.3)
        >>> f"{cold.rates(-65.0)['n'].tau / warm.rates(-65.0)['n'].tau:.1f} times as fast"
        '3.0 times as fast'
        """
        celsius = number("celsius", celsius, "°C")
        if self._celsius is None:
            raise InvalidInput(
                f"membrane {self._name} doesn't say at which temperature its rates hold; "
                "describe it with celsius= and give its gates a Q10"
            )
        channels = [part for part in self._parts.values() if isinstance(part, Channel)]
        if all(gate.Q10 is None for channel in channels for gate in channel.gates.values()):
            raise InvalidInput(f"no gate of membrane {self._name} has a Q10")
        exponent = (celsius - self._celsius) / TEN
        try:
            parts = {
                name: _warmer(part, exponent) if isinstance(part, Channel) else part
                for name, part in self._parts.items()
            }
        except OverflowError:
            raise InvalidInput(
                f"at {celsius:g} °C the rates of membrane {self._name} are infinite"
            ) from None
        name = f"{self._name.removesuffix(f' at {self._celsius:g} °C')} at {celsius:g} °C"
        return Membrane(name, celsius=celsius, **parts)

    def rates(
        self,
        V: Any,
        parameters: Mapping[str, Any] | None = None,
        pools: Mapping[str, Any] | None = None,
    ) -> dict[str, GateRates]:
        """Steady state, time constant (ms) and rates (1/ms) of each gate at voltages V (mV).

        parameters: values other than the usual ones. pools: concentrations, mM, other than at rest.
        All are numbers, or arrays whose shapes go with that of V.

        >>> from hhplug import membranes
        >>> n = membranes.squid.rates([-65.0, 0.0])["n"]
        >>> n.inf.round(3), n.tau.round(2)
        (array([0.318, 0.909]), array([5.46, 1.65]))
        """
        values = {
            name: self._array(name, value, self.parameters, "parameter")
            for name, value in (parameters or {}).items()
        }
        units = dict.fromkeys(self._reading.pools, Parameter(0.0, POOL_UNITS["rest"]))
        concentrations = {
            name: self._array(name, value, units, "pool") for name, value in (pools or {}).items()
        }
        V = np.asarray(real_array("V", V, POTENTIAL), np.float64)
        try:
            np.broadcast_shapes(V.shape, *(np.shape(x) for x in (values | concentrations).values()))
        except ValueError:
            shapes = {name: np.shape(x) for name, x in (values | concentrations).items()}
            raise InvalidInput(f"V of shape {V.shape} doesn't go with {shapes}") from None
        with np.errstate(over="ignore"):  # of e^x where a steep gate is fully open or shut
            return self.equations.rates(V, {**self.equations.defaults, **values}, concentrations)

    def _array(self, name: str, value: Any, known: Mapping[str, Parameter], kind: str) -> Any:
        """The value of a parameter or a pool as float64. Raises InvalidInput for unknown names."""
        if name not in known:
            raise InvalidInput(
                f"membrane {self._name} has no {kind} {name!r}; it has "
                f"{', '.join(known) or 'none'}.{hint(name, known)}"
            )
        return np.asarray(real_array(name, value, known[name].unit or PURE), np.float64)

    def plot(self, parameters: Mapping[str, Any] | None = None) -> "Figure":
        """A matplotlib figure of the steady states and time constants of all gates over V.

        parameters: numbers other than the usual values. Raises MissingExtra without matplotlib.
        """
        for name, value in (parameters or {}).items():
            if np.ndim(value):
                raise InvalidInput(f"a picture is drawn for one value of {name}, got {value!r}")
        return plot_rates(self._name, self.rates(PLOTTED, parameters))

    def __repr__(self) -> str:
        states, count = " ".join(self.states), len(self.parameters)
        return f"<Membrane {self._name}: {states}, {count} parameters>"

    def __str__(self) -> str:
        """The equations as a paper prints them, with the units and usual values of parameters."""
        return printed_membrane(self._name, self._celsius, self._reading)

    def _repr_latex_(self) -> str:
        """The equations in LaTeX, which a notebook shows."""
        return latex_of_membrane(self._reading)

    def to_dict(self) -> dict[str, Any]:
        """The description in plain values, which `from_dict` and JSON understand."""
        return {
            "name": self._name,
            "celsius": self._celsius,
            "parts": {name: plain(part) for name, part in self._parts.items()},
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Membrane":
        """The membrane that `to_dict` described."""
        parts = {name: part_of(values) for name, values in description["parts"].items()}
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
