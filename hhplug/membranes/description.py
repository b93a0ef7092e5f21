"""What a user writes to describe a membrane: channels, gates, calcium pools, named constants.

Units: mV, ms, µA/cm², mS/cm², µF/cm², rates 1/ms, calcium mM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hhplug.checks import known_arguments

Formula = str | float
"""An expression as text, or a number."""


@dataclass(frozen=True)
class Parameter:
    """A named constant of a membrane: its usual value and its unit."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Gate:
    """A gate x between 0 (shut) and 1 (open), given in one of two ways.

    alpha, beta: opening and closing rate, 1/ms: dx/dt = speed · (alpha · (1 − x) − beta · x).
    inf, tau: steady state and time constant, ms: dx/dt = speed · (inf − x) / tau.
    instantaneous: x is always in its steady state, alpha / (alpha + beta) or inf.
    speed: a factor of the rates.
    Q10: the factor by which the rates grow with 10 °C, which `Membrane.at` uses.

    alpha, beta, inf, tau and speed are expressions of V, of parameters and of pools, or numbers.
    """

    alpha: Formula | None = None
    beta: Formula | None = None
    inf: Formula | None = None
    tau: Formula | None = None
    instantaneous: bool = False
    speed: Formula = 1.0
    Q10: float | None = None


Gate.__init__ = known_arguments(Gate.__init__)


@dataclass(frozen=True, init=False)
class Channel:
    """A conductance, whose current g · gating · (V − E) is in µA/cm², positive outward.

    gating: a product of powers of gates, for example "m**3 * h"; empty for a leak.
    g: the largest conductance, mS/cm². A number becomes the parameter g_NAME.
    E: the reversal potential, mV. A number becomes the parameter E_NAME.
    gates: a Gate for each name in gating.

    g and E may also be expressions of parameters; E also one of pools.
    """

    gating: str
    g: Formula
    E: Formula
    gates: Mapping[str, Gate]

    def __init__(self, gating: str = "", *, g: Formula, E: Formula, **gates: Gate):
        values: dict[str, Any] = {"gating": gating, "g": g, "E": E, "gates": gates}
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class CalciumPool:
    """A concentration Ca, mM: dCa/dt = −per_current · I − (Ca − rest) / tau.

    channels: names of the channels whose currents add up to I, separated by spaces.
    per_current: mM/ms per µA/cm². rest: mM. tau: ms.

    A number becomes a parameter, for example Ca_rest of the pool Ca. Each may also be an expression
    of parameters.
    """

    channels: str
    per_current: Formula
    rest: Formula
    tau: Formula


Part = Channel | CalciumPool | Parameter | float
"""What a keyword of `Membrane` describes."""
