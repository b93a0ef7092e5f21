"""What a user writes to describe a membrane: channels, gates, calcium pools, named constants.

Units: mV, ms, µA/cm², mS/cm², µF/cm², rates 1/ms, calcium mM.

Numbers may be those of NumPy, and quantities of other libraries where a unit is named. Each becomes
a float when it is given. Text becomes an expression when the membrane is made, which can say where
in the membrane an error is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

from hhplug.checks import known_arguments, number, positive
from hhplug.errors import InvalidInput
from hhplug.quantities import PER_CURRENT, PURE

Formula = str | float
"""An expression as text, or a number."""

CONDUCTANCE, POTENTIAL, CAPACITANCE, TIME = "mS/cm²", "mV", "µF/cm²", "ms"
CONCENTRATION = "mM"
POOL_UNITS = {"per_current": PER_CURRENT, "rest": CONCENTRATION, "tau": TIME}
GATE_UNITS = {"alpha": "1/ms", "beta": "1/ms", "inf": PURE, "tau": TIME, "speed": PURE}

Initializer = TypeVar("Initializer", bound=Callable[..., None])


def _by_keyword(example: str) -> Callable[[Initializer], Initializer]:
    """Make an __init__ refuse positional arguments by an example of how to write it."""

    def wrapped(initializer: Initializer) -> Initializer:
        checked = known_arguments(initializer)

        @wraps(checked)
        def by_keyword(self: Any, *args: Any, **kwargs: Any) -> None:
            if args:
                raise InvalidInput(
                    f"{type(self).__name__} takes keywords alone, got {args[0]!r}; write {example}"
                )
            checked(self, **kwargs)

        return cast(Initializer, by_keyword)

    return wrapped


def formula(name: str, value: Any, unit: str) -> Formula:
    """The value as an expression's text or as a finite float. Raises InvalidInput."""
    if isinstance(value, str):
        try:
            return number(name, float(value), unit)
        except ValueError:
            return value
    if callable(value):
        raise InvalidInput(
            f"{name} must be a number or an expression as text, such as '4 * exp(-V / 18)', "
            f"got the function {getattr(value, '__name__', value)!r}"
        )
    return number(name, value, unit)


@dataclass(frozen=True, init=False)
class Parameter:
    """A named constant of a membrane: its usual value and its unit.

    >>> Parameter(1000.0, "ms")
    Parameter(value=1000.0, unit='ms')
    """

    value: float
    unit: str

    def __init__(self, value: float, unit: str = ""):
        if not isinstance(unit, str):
            raise InvalidInput(f"the unit of a Parameter must be text, got {unit!r}")
        _set(self, value=number("the value of a Parameter", value, unit or PURE), unit=unit)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A gate x between 0 (shut) and 1 (open), given in one of two ways.

    alpha, beta: opening and closing rate, 1/ms: dx/dt = speed · (alpha · (1 − x) − beta · x).
    inf, tau: steady state and time constant, ms: dx/dt = speed · (inf − x) / tau.
    instantaneous: x is always in its steady state, alpha / (alpha + beta) or inf.
    speed: a factor of the rates.
    Q10: the factor by which the rates grow with 10 °C, which `Membrane.at` uses.

    alpha, beta, inf and tau are expressions of V, of parameters and of pools, or numbers; speed is
    one of parameters.

    >>> alpha, beta = "0.01 * (V + 55) / (1 - exp(-(V + 55) / 10))", "0.125 * exp(-(V + 65) / 80)"
    >>> n = Gate(alpha=alpha, beta=beta)
    >>> p = Gate(inf="1 / (1 + exp(-(V + 35) / 10))", tau="tau_max / 2", Q10=3.0)
    """

    alpha: Formula | None = None
    beta: Formula | None = None
    inf: Formula | None = None
    tau: Formula | None = None
    instantaneous: bool = False
    speed: Formula = 1.0
    Q10: float | None = None

    def __post_init__(self) -> None:
        for name, unit in GATE_UNITS.items():
            value = getattr(self, name)
            if value is not None:
                _set(self, **{name: formula(f"{name} of a Gate", value, unit)})
        if not isinstance(self.instantaneous, bool):
            raise InvalidInput(f"instantaneous must be True or False, got {self.instantaneous!r}")
        if self.Q10 is not None:
            _set(self, Q10=positive("Q10", self.Q10, PURE))


Gate.__init__ = _by_keyword("Gate(alpha=…, beta=…) or Gate(inf=…, tau=…)")(Gate.__init__)


@dataclass(frozen=True, init=False)
class Channel:
    """A conductance, whose current g · gating · (V − E) is in µA/cm², positive outward.

    gating: a product of powers of gates, for example "m**3 * h"; empty for a leak.
    g: the largest conductance, mS/cm². A number becomes the parameter g_NAME.
    E: the reversal potential, mV. A number becomes the parameter E_NAME.
    gates: a Gate for each name in gating.

    g and E may also be expressions of parameters; E also one of pools.

    >>> p = Gate(inf="1 / (1 + exp(-(V + 35) / 10))", tau=50.0)  # ms
    >>> K = Channel("p**2", g=36.0, E=-77.0, p=p)  # mS/cm², mV
    >>> leak = Channel(g=0.3, E=-54.4)
    """

    gating: str
    g: Formula
    E: Formula
    gates: Mapping[str, Gate]

    def __init__(self, gating: str = "", *, g: Formula, E: Formula, **gates: Gate):
        if not isinstance(gating, str):
            raise InvalidInput(f"the gating of a Channel must be text, got {gating!r}")
        g, E = formula("g of a Channel", g, CONDUCTANCE), formula("E of a Channel", E, POTENTIAL)
        if not isinstance(g, str) and not g >= 0.0:
            raise InvalidInput(f"g of a Channel must be zero or more {CONDUCTANCE}, got {g}")
        _set(self, gating=gating, g=g, E=E, gates=gates)


@dataclass(frozen=True)
class CalciumPool:
    """A concentration Ca, mM: dCa/dt = −per_current · I − (Ca − rest) / tau.

    channels: names of the channels whose currents add up to I, separated by spaces.
    per_current: mM/ms per µA/cm². rest: mM. tau: ms.

    A number becomes a parameter, for example Ca_rest of the pool Ca. Each may also be an expression
    of parameters.

    >>> pool = CalciumPool("T L", per_current=0.05, rest=2.4e-4, tau=5.0)
    >>> pool.rest
    0.00024
    """

    channels: str
    per_current: Formula
    rest: Formula
    tau: Formula

    def __post_init__(self) -> None:
        if not isinstance(self.channels, str):
            raise InvalidInput(
                f"the channels of a CalciumPool must be text such as 'T', got {self.channels!r}"
            )
        for name, unit in POOL_UNITS.items():
            _set(self, **{name: formula(f"{name} of a CalciumPool", getattr(self, name), unit)})


CalciumPool.__init__ = known_arguments(CalciumPool.__init__)


def _set(part: Any, **values: Any) -> None:
    """Set attributes of a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(part, name, value)


Part = Channel | CalciumPool | Parameter | float
"""What a keyword of `Membrane` describes."""
