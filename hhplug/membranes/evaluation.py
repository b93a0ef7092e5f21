"""Expressions as functions of NumPy arrays, in float64 and accurate at removable singularities.

Each node becomes the NumPy call that the text says, with three exceptions. A sum that is linear in
V is formed as a·(V + b), so that a numerator and an exponent that vanish together are rounded
alike. c − c e^x is −c·expm1(x), whose digits don't cancel, and e^x − e^y is e^y·expm1(x − y). A
quotient 0/0 is its limit, by L'Hôpital's rule.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np

from hhplug.membranes.expressions import (
    Binary,
    Call,
    Name,
    Negative,
    Node,
    Power,
    constant,
    derivative,
    names,
)
from hhplug.membranes.tape import Noted

Values = Mapping[str, Any]
"""A float or an array for each name."""

Function = Callable[[Values], Any]

SMALLEST = np.finfo(np.float64).smallest_normal  # below it digits are lost, so it counts as zero
MOST_ORDERS = 4  # L'Hôpital's rule within itself; a root has as many derivatives as one likes
FEW_FACTORS = 4  # powers up to this are products, which are faster than NumPy's power


def compiled(node: Node, orders: int = MOST_ORDERS) -> Function:
    """The expression as a function of the values of its names.

    orders: how deep L'Hôpital's rule goes, whose derivatives have quotients of their own. Without
    an end, the square root of zero, or of a number that underflows, would take it on for ever.
    """
    number = constant(node)
    if number is not None:
        rounded = _rounded(number)
        return lambda values: rounded  # noqa: ARG005
    terms = linear(node)
    if terms is not None and "V" in terms:
        return _linear_in_V(terms)
    match node:
        case Name(name):
            return lambda values: values[name]
        case Negative(of):
            x = compiled(of, orders)
            return lambda values: -x(values)
        case Binary("/", numerator, denominator):
            return _quotient(numerator, denominator, orders)
        case Binary("*", left, right):
            a, b = compiled(left, orders), compiled(right, orders)
            return lambda values: a(values) * b(values)
        case Binary(operator, left, right):
            cancelling = _difference_of_exponentials(node, orders)
            if cancelling:
                return cancelling
            a, b = compiled(left, orders), compiled(right, orders)
            if operator == "+":
                return lambda values: a(values) + b(values)
            return lambda values: a(values) - b(values)
        case Power(base, exponent):
            return _power(compiled(base, orders), exponent)
        case Call(function, argument):
            f, x = getattr(np, function), compiled(argument, orders)
            return lambda values: f(x(values))
    raise TypeError(node)


def linear(node: Node) -> dict[str | None, Fraction] | None:
    """The exact coefficients of an expression that is linear in its names; None if it isn't.

    The key None has the number that stands alone.
    """
    number = constant(node)
    if number is not None:
        return {None: number}
    match node:
        case Name(name):
            return {name: Fraction(1)}
        case Negative(of):
            return _scaled(linear(of), Fraction(-1))
        case Binary("*", left, right):
            a, b = constant(left), constant(right)
            if a is not None:
                return _scaled(linear(right), a)
            return None if b is None else _scaled(linear(left), b)
        case Binary("/", left, right):
            b = constant(right)
            return None if not b else _scaled(linear(left), 1 / b)
        case Binary("+" | "-" as operator, left, right):
            a, b = linear(left), linear(right)
            if a is None or b is None:
                return None
            sign = 1 if operator == "+" else -1
            total = dict(a)
            for name, factor in b.items():
                total[name] = total.get(name, Fraction(0)) + sign * factor
            return {name: factor for name, factor in total.items() if factor}
    return None


def _scaled(
    terms: dict[str | None, Fraction] | None, by: Fraction
) -> dict[str | None, Fraction] | None:
    if terms is None:
        return None
    return {name: by * factor for name, factor in terms.items() if by}


def _linear_in_V(terms: dict[str | None, Fraction]) -> Function:
    slope = terms["V"]
    others = [
        (name, _rounded(factor / slope))
        for name, factor in sorted((n, f) for n, f in terms.items() if n not in (None, "V"))
    ]
    number = _rounded(terms.get(None, Fraction(0)) / slope)
    factor = _rounded(slope)

    def value(values: Values) -> Any:
        x = values["V"]
        for name, by in others:
            x = x + values[name] if by == 1.0 else x + by * values[name]
        if number:
            x = x + number
        return x if factor == 1.0 else factor * x

    return value


def _difference_of_exponentials(node: Binary, orders: int) -> Function | None:
    """c e^x − c e^y as c e^y · expm1(x − y), c a number; None for any other sum."""
    sign = 1 if node.operator == "+" else -1
    first, second = _exponential(node.left), _exponential(node.right)
    if first is None or second is None or first[0] != -sign * second[0]:
        return None
    c, x, y = _rounded(first[0]), first[1], second[1]
    if y is None:
        x, y, c = y, x, -c
    if y is None:
        return None
    if x is None:  # c − c e^y
        exponent = compiled(y, orders)
        return lambda values: -c * np.expm1(exponent(values))
    difference, smaller = compiled(Binary("-", x, y), orders), compiled(y, orders)
    return lambda values: c * np.exp(smaller(values)) * np.expm1(difference(values))


def _exponential(node: Node) -> tuple[Fraction, Node | None] | None:
    """(c, x) for c e^x, also for a product of such, (c, None) for a number c; else None."""
    number = constant(node)
    if number is not None:
        return number, None
    match node:
        case Call("exp", x):
            return Fraction(1), x
        case Negative(of):
            term = _exponential(of)
            return None if term is None else (-term[0], term[1])
        case Binary("*" | "/" as operator, left, right):
            a, b = _exponential(left), _exponential(right)
            if a is None or b is None or (operator == "/" and b[0] == 0):
                return None
            c, sign = (a[0] * b[0], "+") if operator == "*" else (a[0] / b[0], "-")
            if a[1] is None or b[1] is None:
                return c, a[1] if b[1] is None else b[1] if sign == "+" else Negative(b[1])
            return c, Binary(sign, a[1], b[1])
    return None


def _rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def _power(base: Function, exponent: Fraction) -> Function:
    if exponent.denominator == 1 and 1 <= exponent <= FEW_FACTORS:
        factors = exponent.numerator

        def product(values: Values) -> Any:
            x = base(values)
            result = x
            for _ in range(factors - 1):
                result = result * x
            return result

        return product
    p = _rounded(exponent)
    return lambda values: np.power(base(values), p)


def _quotient(numerator: Node, denominator: Node, orders: int) -> Function:
    over, under = compiled(numerator, orders), compiled(denominator, orders)
    if not orders or "V" not in names(denominator) or positive(denominator):
        return lambda values: np.divide(over(values), under(values))
    limits: list[Function] = []

    def divided(a: Any, b: Any, values: Values) -> Any:
        zero = np.abs(b) < SMALLEST
        if not np.count_nonzero(zero):  # np.any takes ten times as long for few neurons
            return np.divide(a, b)
        if not limits:
            slopes = Binary("/", derivative(numerator, "V"), derivative(denominator, "V"))
            limits.append(compiled(slopes, orders - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            limit = limits[0](values)
            return np.where(zero & (np.abs(a) < SMALLEST), limit, np.divide(a, b))

    def value(values: Values) -> Any:
        a, b = over(values), under(values)
        if isinstance(b, Noted):  # whether it is zero is known when the tape is played
            return b.notes.call(divided, a, b, b.notes.values)
        return divided(a, b, values)

    return value


def positive(node: Node) -> bool:
    """Whether an expression is above zero whatever its names are, as far as its form tells."""
    number = constant(node)
    if number is not None:
        return number > 0
    match node:
        case Call("exp" | "cosh", _):
            return True
        case Call("sqrt", argument):
            return positive(argument)
        case Binary("+" | "*" | "/", left, right):
            return positive(left) and positive(right)
        case Power(base, _):
            return positive(base)
    return False
