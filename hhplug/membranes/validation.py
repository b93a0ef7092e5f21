"""The check that a membrane's expressions make sense wherever V may go."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from hhplug.errors import InvalidInput
from hhplug.membranes.equations import Array, Equations
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import Binary, Call, Node, Number, Power, names, parts

LOWEST, HIGHEST = -150.0, 150.0  # mV between which every rate must be finite and not negative
VOLTAGES = np.linspace(LOWEST, HIGHEST, 1201)  # every 0.25 mV: a pole shows by a change of sign
DIVISIONS = 5  # of an interval into a thousand, which take 0.25 mV to the last bit
ANY, NOT_NEGATIVE, POSITIVE = "finite", "finite and not negative", "finite and above zero"
WANTED = {
    "alpha": NOT_NEGATIVE,
    "beta": NOT_NEGATIVE,
    "inf": NOT_NEGATIVE,
    "tau": POSITIVE,
    "speed": POSITIVE,
}
VANISHING = 1e-9  # of the numerator's largest value: what rounding leaves where it vanishes


def check_rates(membrane: str, equations: Equations) -> None:
    """Raise InvalidInput for a rate, steady state, time constant or conductance that can't be one.

    They are computed with the usual parameters, and with pools at rest, from −150 to 150 mV.
    """
    reading = equations.reading
    values: dict[str, Any] = {"V": VOLTAGES, **equations.defaults}

    def check(node: Node, what: str, least: str) -> Array:
        where = f"membrane {membrane}: {what}"
        _check_poles(node, values, where)
        found = np.broadcast_to(compiled(node)(values), VOLTAGES.shape)
        _check_values(found, where, least, "V" in names(node))
        return found

    with np.errstate(all="ignore"):
        for name, pool in reading.pools.items():
            check(pool.per_current, f"per_current of the pool {name}", ANY)
            check(pool.tau, f"tau of the pool {name}", POSITIVE)
            values[name] = check(pool.rest, f"rest of the pool {name}", NOT_NEGATIVE)
        for name, channel in reading.channels.items():
            check(channel.g, f"g of channel {name}", NOT_NEGATIVE)
            check(channel.E, f"E of channel {name}", ANY)
        for name, gate in reading.gates.items():
            rates = {
                attribute: check(node, f"{attribute} of gate {name}", WANTED[attribute])
                for attribute, node in gate.given().items()
            }
            if "alpha" in rates:
                where = f"membrane {membrane}: alpha + beta of gate {name}"
                _check_values(rates["alpha"] + rates["beta"], where, POSITIVE, True)


def _check_values(found: Array, where: str, wanted: str, varies: bool) -> None:
    """Raise InvalidInput for the first value that isn't as wanted. varies: whether V changes it."""
    wrong = ~np.isfinite(found)
    if wanted != ANY:
        wrong |= (found < 0.0) if wanted == NOT_NEGATIVE else (found <= 0.0)
    if wrong.any():
        first = int(wrong.argmax())
        at = f" at V = {VOLTAGES[first]:g} mV" if varies else ""
        raise InvalidInput(f"{where} is {found[first]:.4g}{at}; it must be {wanted}")


def _check_poles(node: Node, values: dict[str, Any], where: str) -> None:
    """Refuse a quotient whose denominator vanishes at a voltage where its numerator doesn't."""
    for part in parts(node):
        _check_poles(part, values, where)
    match node:
        case Binary("/", numerator, denominator):
            pass
        case Power(denominator, exponent) if exponent < 0:
            numerator = Number(Fraction(1))
        case _:
            return
    for factor in _factors(denominator):
        if "V" not in names(factor):
            continue
        under = compiled(factor)
        signs = np.signbit(np.broadcast_to(under(values), VOLTAGES.shape))
        found = np.flatnonzero(signs[1:] != signs[:-1]).tolist()
        if not found:
            continue
        over = compiled(numerator)
        largest = np.max(np.abs(over(values)))
        for k in found:
            V0 = _root(under, values, k)
            at = over({**values, **_at(values, k), "V": V0})
            if not abs(at) <= VANISHING * largest:
                raise InvalidInput(
                    f"{where} is not finite at V = {V0:.6g} mV, where its denominator is zero "
                    f"and its numerator is {float(at):.4g}"
                )


def _factors(node: Node) -> Iterator[Node]:
    """What a product is a product of, without exponents, which may hide a change of sign."""
    match node:
        case Binary("*", left, right):
            yield from _factors(left)
            yield from _factors(right)
        case Power(base, _) | Call("sqrt", base):
            yield from _factors(base)
        case _:
            yield node


def _at(values: dict[str, Any], k: int) -> dict[str, Any]:
    """The values at one of VOLTAGES."""
    return {name: value[k] if np.ndim(value) else value for name, value in values.items()}


def _root(function: Any, values: dict[str, Any], k: int) -> float:
    """V between two neighbours of VOLTAGES, mV, where a function of all values changes sign."""
    others, low, high = _at(values, k), VOLTAGES[k], VOLTAGES[k + 1]
    for _ in range(DIVISIONS):
        V = np.linspace(low, high, 1001)
        signs = np.signbit(function({**others, "V": V}))
        first = int((signs != signs[0]).argmax())
        low, high = V[first - 1], V[first]
    return float(high)
