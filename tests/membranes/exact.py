"""Expressions in so many digits that rounding plays no part, by mpmath."""

from functools import reduce

import mpmath
from mpmath import mpf

from hhplug.membranes.expressions import Binary, Call, Name, Negative, Number, Power

DIGITS = 60
TINY, MANY_DIGITS = 1e-20, 400  # mV, and digits that leave some of 1 − e^x with an x of 5e-324
ASIDE = mpf("1e-25")  # mV from a quotient 0/0, whose value there is its limit in 25 digits

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def value(node, values):
    """Evaluate an expression at exact values of its names, by the rules of arithmetic alone."""
    with mpmath.workdps(MANY_DIGITS if 0.0 < abs(values["V"]) < TINY else DIGITS):
        try:
            return _value(node, values)
        except ZeroDivisionError:
            return _value(node, {**values, "V": values["V"] + ASIDE})


def _value(node, values):
    match node:
        case Number(number):
            return mpf(number.numerator) / number.denominator
        case Name(name):
            return mpf(values[name])
        case Negative(of):
            return -_value(of, values)
        case Binary(operator, left, right):
            return OPERATORS[operator](_value(left, values), _value(right, values))
        case Power(base, exponent):
            return _value(base, values) ** (mpf(exponent.numerator) / exponent.denominator)
        case Call(function, argument):
            return getattr(mpmath, function)(_value(argument, values))


def worst_error(found, node, samples):
    """Return the largest relative error of found values at samples, each a dict of values."""

    def error(worst, pair):
        exact = value(node, pair[1])
        with mpmath.workdps(DIGITS):
            off = abs(mpf(float(pair[0])) - exact)
            return max(worst, float(off / abs(exact)) if exact else float(off))

    return reduce(error, zip(found, samples, strict=True), 0.0)
