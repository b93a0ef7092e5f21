"""Expressions in one canonical form, in which equal things look equal.

An expression is a sum of terms, each a coefficient times a product of powers of factors. A factor
is a name, e to the power of a name, a function of a sum, or a sum that isn't multiplied out. So
e^{−(V−13)/4} is e^{13/4} · (e^V)^{−1/4}: exponentials of V meet as powers of one factor, and
x/(e^x − 1) and x e^{−x}/(1 − e^{−x}) come out alike. Every order is that of the printed form, so
that the same description gives the same program in every process.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Union

import numpy as np

from hhplug.membranes import expressions
from hhplug.membranes.expressions import Binary, Call, Name, Negative, Node, Number

Coefficient = Fraction | float

LARGEST_EXPONENT = 700.0  # e^700 and e^−700 are within the range of float64


class Exponential(NamedTuple):
    """The factor e^name."""

    of: str

    def __repr__(self) -> str:
        return f"e^{self.of}"


class Function(NamedTuple):
    """A function, exp or log, that isn't resolved further."""

    name: str
    argument: "Sum"

    def __repr__(self) -> str:
        return f"{self.name}({self.argument!r})"


Factor = Union[str, Exponential, Function, "Sum"]
Product = tuple[tuple[Factor, Fraction], ...]
"""Factors with their powers, in order."""

ONE: Product = ()


def product(powers: dict[Factor, Fraction] | Iterable[tuple[Factor, Fraction]]) -> Product:
    """The product of factors to these powers, which may be zero."""
    return tuple(sorted(((f, p) for f, p in _pairs(powers) if p), key=lambda pair: _key(pair[0])))


def _pairs(given: Any) -> Iterable[tuple[Any, Any]]:
    return given.items() if isinstance(given, dict) else given


def _key(factor: Factor) -> str:
    if isinstance(factor, Sum):
        return factor.key
    return factor if isinstance(factor, str) else repr(factor)


def times(a: Product, b: Product) -> Product:
    """The product of two products."""
    if not a or not b:
        return a or b
    powers = dict(a)
    for factor, power in b:
        powers[factor] = powers.get(factor, Fraction(0)) + power
    return product(powers)


def inverse(a: Product) -> Product:
    """One over a product."""
    return tuple((factor, -power) for factor, power in a)


Terms = dict[Product, Coefficient] | Iterable[tuple[Product, Coefficient]]


class Sum:
    """A sum of products with coefficients; it never changes."""

    def __init__(self, terms: Terms):
        terms = list(_pairs(terms))
        if len(terms) > 1:
            merged: dict[Product, Coefficient] = {}
            for factors, coefficient in terms:
                merged[factors] = merged.get(factors, 0) + coefficient
            terms = sorted(merged.items(), key=lambda term: [_key(f) for f, _ in term[0]])
        self.terms = tuple((factors, c) for factors, c in terms if c != 0)

    @cached_property
    def key(self) -> str:
        return f"({self!r})"

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and self.terms == other.terms

    def __repr__(self) -> str:
        def spelled(factors: Product, c: Coefficient) -> str:
            powers = [_key(f) + ("" if p == 1 else f"^{p}") for f, p in factors]
            return " ".join([str(c), *powers] if c != 1 or not powers else powers)

        return " + ".join(spelled(*term) for term in self.terms) or "0"

    def __add__(self, other: "Sum | Coefficient") -> "Sum":
        return Sum((*self.terms, *as_sum(other).terms))

    def __neg__(self) -> "Sum":
        return Sum((factors, -c) for factors, c in self.terms)

    def __sub__(self, other: "Sum | Coefficient") -> "Sum":
        return self + -as_sum(other)

    def __rsub__(self, other: Coefficient) -> "Sum":
        return as_sum(other) - self

    def __mul__(self, other: "Sum | Coefficient") -> "Sum":
        if not isinstance(other, Sum):
            return self._times_number(other)
        if not self.terms or not other.terms:
            return ZERO
        for one, two in ((self, other), (other, self)):
            if one.number is not None:
                return two._times_number(one.terms[0][1])
        (c, factors), (d, others) = self.as_product(), other.as_product()
        return Sum({times(factors, others): c * d})

    def _times_number(self, number: Coefficient) -> "Sum":
        """This with a number in each coefficient."""
        if number == 1:
            return self
        return Sum((factors, number * c) for factors, c in self.terms)

    def __pow__(self, power: Fraction | int) -> "Sum":
        power = Fraction(power)
        if power == 0:
            return as_sum(1)
        if power == 1 or (power > 0 and not self.terms):
            return self
        if power < 0 and len(self.terms) > 1:
            over = self._denominators()
            if over:  # 1/(a + b/c) = c/(a c + b)
                return self._expanded(over)._multiplied_out() ** power * Sum({over: 1}) ** -power
        c, factors = self.as_product()
        if power.denominator == 1:
            return Sum({_raised(factors, power): c**power.numerator})
        # √(x²) is |x|, and √(x y) isn't √x √y where both are negative.
        free = product((f, p) for f, p in factors if is_positive(f))
        bound = product((f, p) for f, p in factors if not is_positive(f))
        even = any(p.numerator % 2 == 0 for _, p in bound)
        if bound and (c < 0 or len(bound) > 1 or even):
            inner = _signed(bound, 1 if c > 0 else -1)
            bound = product({inner: Fraction(1)})
        return Sum({_raised(times(free, bound), power): float(abs(c)) ** float(power)})

    def __truediv__(self, other: "Sum | Coefficient") -> "Sum":
        return self * as_sum(other) ** -1

    def __rtruediv__(self, other: Coefficient) -> "Sum":
        return as_sum(other) * self**-1

    __radd__, __rmul__ = __add__, __mul__

    @property
    def number(self) -> float | None:
        """Its value if it is a number, else None."""
        if not self.terms:
            return 0.0
        (factors, c), *others = self.terms
        return None if factors or others else float(c)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(names_of(f) for factors, _ in self.terms for f, _ in factors))

    @property
    def may_vanish(self) -> bool:
        """Whether some V could make this or a part of it zero, as far as its form tells."""
        return any(
            c < 0 or any(f == "V" or (isinstance(f, Sum) and f.may_vanish) for f, _ in factors)
            for factors, c in self.terms
        )

    def scaled(self, by: "Sum") -> "Sum":
        """Each term times `by`, which has one term: the sum stays a sum."""
        ((factors, c),) = by.terms
        return Sum((times(own, factors), d * c) for own, d in self.terms)

    def as_product(self) -> tuple[Coefficient, Product]:
        """This as one coefficient and product.

        Of several terms the leading one gives the coefficient and the exponentials, and the rest
        becomes a factor: 0.5 e^V + 2 is 0.5 · e^V · (1 + 4 e^−V).
        """
        if len(self.terms) == 1:
            ((factors, c),) = self.terms
            return c, factors
        lead, c = max(self.terms, key=_leads)
        outside = dict(pair for pair in lead if isinstance(pair[0], Exponential))
        common = set.intersection(*(set(factors) for factors, _ in self.terms))
        if self._divides_by_zero:  # the quotient that is 0/0 keeps its numerator
            common = set()
        outside |= {factor: power for factor, power in common if factor not in outside}
        out = product(outside)
        inner = Sum((times(factors, inverse(out)), d / c) for factors, d in self.terms)
        return c, times(out, ((inner, Fraction(1)),))

    @property
    def _sums_with_powers(self) -> list[tuple["Sum", Fraction]]:
        """The sums that are factors of terms."""
        pairs = (pair for factors, _ in self.terms for pair in factors)
        return [(factor, power) for factor, power in pairs if isinstance(factor, Sum)]

    @property
    def _divides_by_zero(self) -> bool:
        """Whether some V could make a sum zero by which a term is divided, as far as forms tell."""
        return any(power < 0 and factor.may_vanish for factor, power in self._sums_with_powers)

    def _denominators(self) -> Product:
        """The product of the sums that terms are divided by; without those to fractional powers.

        It is ONE if any of them may be zero: multiplied out, a quotient that is 0/0 at some voltage
        couldn't be guarded any more.
        """
        if self._divides_by_zero:
            return ONE
        powers = self._sums_with_powers
        fractional = {factor for factor, power in powers if power.denominator != 1}
        worst: dict[Factor, Fraction] = {}
        for factor, power in powers:
            if power < 0 and factor not in fractional:
                worst[factor] = max(worst.get(factor, Fraction(0)), -power)
        return product(worst)

    def _expanded(self, by: Product) -> "Sum":
        """This times the sums in `by`; where a term isn't divided by one, it is multiplied out."""
        total: list[tuple[Product, Coefficient]] = []
        for factors, c in self.terms:
            powers = dict(factors)
            partial = [(ONE, c)]
            for factor, power in by:
                left = powers.pop(factor, Fraction(0)) + power
                for _ in range(int(left)):
                    assert isinstance(factor, Sum)
                    partial = [(times(a, b), x * y) for a, x in partial for b, y in factor.terms]
            total += [(times(a, product(powers)), x) for a, x in partial]
        return Sum(total)

    def _multiplied_out(self) -> "Sum":
        """Without sums as factors of terms, so that equal exponentials meet."""
        total: list[tuple[Product, Coefficient]] = []
        for factors, c in self.terms:
            sums = [
                pair for pair in factors
                if isinstance(pair[0], Sum) and pair[1] > 0 and pair[1].denominator == 1
            ]  # fmt: skip
            rest = product(pair for pair in factors if pair not in sums)
            total += Sum({rest: c})._expanded(product(sums)).terms
        return Sum(total)

    def value(self, values: Mapping[str, Any]) -> Any:
        """This in float64. values: a number or an array for each name.

        What is divided by zero is infinite, as of arrays so of numbers, and without a warning.
        """
        numbers = {name: np.float64(x) for name, x in values.items() if isinstance(x, float)}
        with np.errstate(all="ignore"):
            return self._value({**values, **numbers})

    def _value(self, values: Mapping[str, Any]) -> Any:
        total: Any = np.float64(0.0)
        for factors, c in self.terms:
            exponent: Any = 0.0
            term: Any = np.float64(c)
            for factor, power in factors:
                p = int(power) if power.denominator == 1 else float(power)
                if isinstance(factor, Exponential):
                    exponent = exponent + values[factor.of] * float(power)
                elif isinstance(factor, str):
                    term = term * values[factor] ** p
                elif isinstance(factor, Sum):
                    term = term * factor._value(values) ** p
                else:
                    term = term * getattr(np, factor.name)(factor.argument._value(values)) ** p
            if isinstance(exponent, np.ndarray) or exponent:
                term = term * np.exp(exponent)
            total = total + term
        return total

    def substituted(self, name: str, by: "Sum") -> "Sum":
        """This with an expression in place of a name."""
        total = ZERO
        for factors, c in self.terms:
            term = Sum({ONE: c})
            for factor, power in factors:
                if isinstance(factor, Exponential):
                    own = exp(by * power) if factor.of == name else Sum({((factor, power),): 1})
                elif isinstance(factor, str):
                    own = (by if factor == name else symbol(factor)) ** power
                elif isinstance(factor, Sum):
                    own = factor.substituted(name, by) ** power
                else:
                    argument = factor.argument.substituted(name, by)
                    own = Sum({((Function(factor.name, argument), power),): 1})
                term = term * own
            total = total + term
        return total

    def sums(self) -> Iterator["Sum"]:
        """Every sum within this one, itself included."""
        yield self
        for factors, _ in self.terms:
            for factor, _ in factors:
                if isinstance(factor, Sum):
                    yield from factor.sums()
                elif isinstance(factor, Function):
                    yield from factor.argument.sums()


def is_positive(factor: Factor) -> bool:
    """Whether a factor is above zero whatever its names are, as far as its form tells."""
    if isinstance(factor, Sum):
        return all(
            c > 0 and all(is_positive(f) or p % 2 == 0 for f, p in factors)
            for factors, c in factor.terms
        )
    return isinstance(factor, Exponential) or (
        isinstance(factor, Function) and factor.name == "exp"
    )


def _raised(factors: Product, power: Fraction) -> Product:
    return tuple((factor, p * power) for factor, p in factors)


def _signed(factors: Product, sign: int) -> "Sum":
    """The product of factors times 1 or −1, which goes into a sum that stands alone."""
    match factors:
        case ((Sum() as inner, power),) if power == 1:
            return inner if sign > 0 else -inner
    return Sum({factors: Fraction(sign)})


def names_of(factor: Factor) -> frozenset[str]:
    """The names in a factor."""
    if isinstance(factor, str):
        return frozenset((factor,))
    if isinstance(factor, Exponential):
        return frozenset((factor.of,))
    return factor.names if isinstance(factor, Sum) else factor.argument.names


def _leads(term: tuple[Product, Coefficient]) -> tuple[Any, ...]:
    """The order of terms: the greatest power of e^V, then of V, then the fewest factors."""
    powers = dict(term[0])
    zero = Fraction(0)
    return (
        powers.get(Exponential("V"), zero),
        powers.get("V", zero),
        -len(powers),
        [_key(factor) for factor in powers],
    )


def as_sum(value: "Sum | Coefficient | int") -> Sum:
    """A sum as it is, or the sum that is a number."""
    if isinstance(value, Sum):
        return value
    return Sum({ONE: value if isinstance(value, Fraction | float) else Fraction(value)})


ZERO = Sum({})


def symbol(name: str) -> Sum:
    """The sum that is a name alone."""
    return Sum({((name, Fraction(1)),): Fraction(1)})


def exp(x: Sum) -> Sum:
    """e^x: a product of powers of e^name, if x is linear in its names with numbers for slopes."""
    coefficient: Coefficient = Fraction(1)
    powers: dict[Factor, Fraction] = {}
    for factors, c in x.terms:
        if not factors and abs(c) < LARGEST_EXPONENT:
            coefficient = math.exp(c)
        elif (
            len(factors) == 1
            and isinstance(factors[0][0], str)
            and factors[0][1] == 1
            and isinstance(c, Fraction)
        ):
            powers[Exponential(factors[0][0])] = c
        else:
            return Sum({((Function("exp", x), Fraction(1)),): Fraction(1)})
    return Sum({product(powers): coefficient})


def canonical(node: Node) -> Sum:
    """The canonical form of a parsed expression."""
    match node:
        case Number(value):
            return as_sum(value)
        case Name(name):
            return symbol(name)
        case Negative(of):
            return -canonical(of)
        case Binary(operator, left, right):
            a, b = canonical(left), canonical(right)
            return {"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__}[operator](b)
        case expressions.Power(base, exponent):
            return canonical(base) ** exponent
        case Call(function, argument):
            return _called(function, canonical(argument))
    raise TypeError(node)


def _called(function: str, x: Sum) -> Sum:
    if function == "exp":
        return exp(x)
    if function == "log":
        return Sum({((Function("log", x), Fraction(1)),): Fraction(1)})
    if function == "sqrt":
        return x ** Fraction(1, 2)
    if function == "tanh":
        return 2 / (1 + exp(-2 * x)) - 1
    sign = 1 if function == "cosh" else -1
    return Fraction(1, 2) * (exp(x) + sign * exp(-x))
