"""Methods of integration: a step as operations on the derivative."""

from fractions import Fraction

from hhplug.lowering.canonical import symbol
from hhplug.lowering.derivative import Derivative
from hhplug.lowering.program import Operand
from hhplug.lowering.stiff import stiff

DT = symbol("dt")


def rk4(derivative: Derivative) -> dict[str, Operand]:
    """Each state after a step of the classic fourth-order Runge-Kutta method, the current held."""
    if derivative.target.scaled_by_step:
        return _rk4_of_increments(derivative)
    op, values = derivative.op, derivative.values
    y: dict[str, Operand] = {state: state for state in derivative.reading.states}
    half, whole, sixth = (
        {state: values.row(DT * Fraction(1, part) * derivative.speed(state)) for state in y}
        for part in (2, 1, 6)
    )

    def moved(by: dict[str, Operand], k: dict[str, Operand]) -> dict[str, Operand]:
        return {state: op("fma", k[state], by[state], y[state]) for state in y}

    k1 = derivative.at(y)
    k2 = derivative.at(moved(half, k1))
    k3 = derivative.at(moved(half, k2))
    k4 = derivative.at(moved(whole, k3))
    total = {state: op("fma", k2[state], 2.0, k1[state]) for state in y}
    total = {state: op("fma", k3[state], 2.0, total[state]) for state in y}
    total = {state: op("add", total[state], k4[state]) for state in y}
    return derivative.labelled(moved(sixth, total))


def _rk4_of_increments(derivative: Derivative) -> dict[str, Operand]:
    """The same where the derivative is multiplied by dt/2 already."""
    op = derivative.op
    y: dict[str, Operand] = {state: state for state in derivative.reading.states}

    def sum_of(a: dict[str, Operand], b: dict[str, Operand]) -> dict[str, Operand]:
        return {state: op("add", a[state], b[state]) for state in y}

    # y + (k1 + 2 k2 + 2 k3 + k4)/3, each term as soon as it is there: few values are kept.
    k1 = derivative.at(y)
    k2 = derivative.at(sum_of(y, k1))
    k3 = derivative.at(sum_of(y, k2))
    total = sum_of(k1, sum_of(k2, k2))
    twice = sum_of(k3, k3)
    k4 = derivative.at(sum_of(y, twice))
    total = sum_of(sum_of(total, twice), k4)
    third = {state: op("mul", total[state], 1.0 / 3.0) for state in y}
    return derivative.labelled(sum_of(y, third))


METHODS = {"rk4": rk4, "stiff": stiff}
