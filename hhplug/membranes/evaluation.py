"""Expressions as functions of NumPy arrays, in float64 and accurate at removable singularities.

Each node becomes the NumPy call that the text says, with three exceptions. A sum that is linear in
V is formed as a·(V + b), so that a numerator and an exponent that vanish together are rounded
alike. 1 − e^x is −expm1(x), whose digits don't cancel. A quotient 0/0 is its limit, by L'Hôpital's
rule.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from hhplug.membranes.expressions import (
    Binary,
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    constant,
    derivative,
    names,
)

Values = Mapping[str, Any]
"""A float or an array for each name."""

Function = Callable[[Values], Any]

FEW_FACTORS = 4  # powers up to this are products, which are faster than NumPy's power


def compiled(node: Node) -> Function:
    """The expression as a function of the values of its names."""
    terms = linear(node)
    if terms is not None and "V" in terms:
        return _linear_in_V(terms)
    match node:
        case Number(value):
            number = float(value)
            return lambda values: number  # noqa: ARG005
        case Name(name):
            return lambda values: values[name]
        case Negative(of):
            x = compiled(of)
            return lambda values: -x(values)
        case Binary("/", numerator, denominator):
            return _quotient(numerator, denominator)
        case Binary("*", left, right):
            a, b = compiled(left), compiled(right)
            return lambda values: a(values) * b(values)
        case Binary(operator, left, right):
            exponent, sign = _one_minus_exp(node)
            if exponent is not None:
                x = compiled(exponent)
                return lambda values: sign * np.expm1(x(values))
            a, b = compiled(left), compiled(right)
            if operator == "+":
                return lambda values: a(values) + b(values)
            return lambda values: a(values) - b(values)
        case Power(base, exponent):
            return _power(compiled(base), exponent)
        case Call(function, argument):
            f, x = getattr(np, function), compiled(argument)
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
        (name, float(factor / slope))
        for name, factor in sorted((n, f) for n, f in terms.items() if n not in (None, "V"))
    ]
    number = float(terms.get(None, Fraction(0)) / slope)
    factor = float(slope)

    def value(values: Values) -> Any:
        x = values["V"]
        for name, by in others:
            x = x + values[name] if by == 1.0 else x + by * values[name]
        if number:
            x = x + number
        return x if factor == 1.0 else factor * x

    return value


def _one_minus_exp(node: Binary) -> tuple[Node | None, float]:
    """(x, −1) for 1 − e^x, (x, 1) for e^x − 1, in any order; else (None, 0)."""
    right = Negative(node.right) if node.operator == "-" else node.right
    for one, other in ((node.left, right), (right, node.left)):
        number = constant(one)
        match other:
            case Call("exp", x) if number == -1:
                return x, 1.0
            case Negative(Call("exp", x)) if number == 1:
                return x, -1.0
    return None, 0.0


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
    p = float(exponent)
    return lambda values: base(values) ** p


def _quotient(numerator: Node, denominator: Node) -> Function:
    over, under = compiled(numerator), compiled(denominator)
    if "V" not in names(denominator) or positive(denominator):
        return lambda values: over(values) / under(values)
    slopes: list[Function] = []

    def value(values: Values) -> Any:
        a, b = over(values), under(values)
        zero = b == 0.0
        if not np.count_nonzero(zero):  # np.any takes ten times as long for few neurons
            return a / b
        if not slopes:
            slopes.extend(compiled(derivative(part, "V")) for part in (numerator, denominator))
        with np.errstate(divide="ignore", invalid="ignore"):
            limit = slopes[0](values) / slopes[1](values)
            return np.where(zero & (a == 0.0), limit, a / b)

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
