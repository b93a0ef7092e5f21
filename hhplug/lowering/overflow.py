"""Quotients of exponentials, rewritten where both would be infinite."""

import math
from collections.abc import Mapping
from fractions import Fraction

from hhplug.lowering.canonical import (
    Coefficient,
    Exponential,
    Product,
    Sum,
    exp,
    product,
    symbol,
)


def without_overflow(
    expression: Sum, largest: float, farthest: float, usual: Mapping[str, float]
) -> Sum:
    """The expression with e^x / (1 + e^x) as 1 / (e^−x + 1), where e^x may exceed `largest`.

    A quotient of two infinite numbers isn't a number. farthest: V goes from −farthest to farthest.
    usual: the usual values of parameters.
    """

    def folded(factors: Product, c: Coefficient) -> Product:
        inner = product(
            (without_overflow(f, largest, farthest, usual) if isinstance(f, Sum) else f, p)
            for f, p in factors
        )
        slope = dict(inner).get(Exponential("V"), Fraction(0))
        size = (
            abs(slope) * farthest
            + math.log(abs(c))
            + sum(p * usual.get(f.of, 0.0) for f, p in inner if isinstance(f, Exponential))
        )
        under = [(_growth(f, slope), f, p) for f, p in inner if isinstance(f, Sum) and p < 0]
        if not slope or size < math.log(largest) or not under:
            return inner
        growth, divisor, power = max(under, key=lambda found: found[0])
        if growth <= 0:
            return inner
        moved = divisor.scaled(exp(symbol("V") * (slope / power)))
        kept = (pair for pair in inner if pair[0] not in (divisor, Exponential("V")))
        return product([*kept, (moved, power)])

    return Sum((folded(factors, c), c) for factors, c in expression.terms)


def _growth(expression: Sum, direction: Fraction) -> Fraction:
    """The steepest exponential of V in a sum, 1/mV, of those that grow in a direction."""
    slopes = (dict(factors).get(Exponential("V"), Fraction(0)) for factors, _ in expression.terms)
    return max(slope if direction > 0 else -slope for slope in slopes)
