"""The check that a membrane's rates make sense wherever V may go."""

from typing import Any

import numpy as np

from hhplug.errors import InvalidInput
from hhplug.membranes.equations import Equations
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import Binary, Node, names, parts

LOWEST, HIGHEST = -150.0, 150.0  # mV between which every rate must be finite and not negative
VOLTAGES = np.linspace(LOWEST, HIGHEST, 1201)  # every 0.25 mV: a pole shows by a change of sign
HALVINGS = 60  # bisections that take 0.25 mV to the last bit
VANISHING = 1e-9  # of the numerator's largest value: what rounding leaves where it vanishes


def check_rates(membrane: str, equations: Equations) -> None:
    """Raise InvalidInput for a rate, steady state or time constant that can't be one.

    They are computed with the usual parameters, and with pools at rest, from −150 to 150 mV.
    """
    values = {"V": VOLTAGES, **equations.defaults}
    values |= {name: compiled(pool.rest)(values) for name, pool in equations.reading.pools.items()}
    with np.errstate(all="ignore"):
        for name, gate in equations.reading.gates.items():
            for attribute, node in gate.given().items():
                where = f"membrane {membrane}: {attribute} of gate {name}"
                _check_poles(node, values, where)
                _check_values(np.broadcast_to(compiled(node)(values), VOLTAGES.shape), where)


def _check_values(found: Any, where: str) -> None:
    positive = where.split(": ")[1].startswith(("tau", "speed"))
    wrong = ~np.isfinite(found) | (found < 0.0) | (positive & (found == 0.0))
    if wrong.any():
        V, value = VOLTAGES[wrong.argmax()], found[wrong.argmax()]
        wanted = "finite and above zero" if positive else "finite and not negative"
        raise InvalidInput(f"{where} is {value:.4g} at V = {V:g} mV; it must be {wanted}")


def _check_poles(node: Node, values: dict[str, Any], where: str) -> None:
    """Refuse a quotient whose denominator vanishes at a voltage where its numerator doesn't."""
    for part in parts(node):
        _check_poles(part, values, where)
    match node:
        case Binary("/", numerator, denominator) if "V" in names(denominator):
            under, over = compiled(denominator), compiled(numerator)
            signs = np.signbit(np.broadcast_to(under(values), VOLTAGES.shape))
            largest = np.max(np.abs(over(values)))
            for k in np.flatnonzero(signs[1:] != signs[:-1]):
                V0 = _root(under, values, VOLTAGES[k], VOLTAGES[k + 1])
                at = over({**values, "V": V0})
                if not abs(at) <= VANISHING * largest:
                    raise InvalidInput(
                        f"{where} is not finite at V = {V0:.6g} mV, where its denominator is zero "
                        f"and its numerator is {float(at):.4g}"
                    )


def _root(function: Any, values: dict[str, Any], low: float, high: float) -> float:
    sign = np.signbit(function({**values, "V": low}))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if np.signbit(function({**values, "V": middle})) == sign:
            low = middle
        else:
            high = middle
    return high
