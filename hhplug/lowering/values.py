"""Canonical sums as operations: what varies in time; the rest becomes rows and numbers."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from hhplug.lowering.canonical import (
    ZERO,
    Coefficient,
    Exponential,
    Factor,
    Function,
    Product,
    Sum,
    as_sum,
    exp,
    is_positive,
    names_of,
    product,
    symbol,
)
from hhplug.lowering.exponentials import Family, addition_chain, fractional
from hhplug.lowering.operations import Operations
from hhplug.lowering.program import Operand
from hhplug.lowering.targets import Target

LOG2_E = math.log2(math.e)
NEARLY = 1e-12  # what rounding leaves of a coefficient that is 1, and of a zero

Env = Mapping[str, Operand]
"""The operand of V, of each gate with a state, and of each pool."""

Shared = Sequence[tuple[Family, Sum]]
"""The families of exponentials, each with the offset of its exponent."""

Term = tuple[list[Operand], Sum]
"""Factors that vary in time, and a coefficient that doesn't."""


class Written(NamedTuple):
    """A term whose exponentials are written as operands, and whose other factors aren't yet."""

    operands: list[Operand]
    others: list[tuple[Factor, int]]  # with their powers
    coefficient: Sum


class Values:
    """Writes operations for sums, and collects the rows and scalars that they need.

    varying: names whose values change from step to step. defaults: usual values of parameters.
    """

    def __init__(
        self,
        target: Target,
        shared: Shared,
        varying: frozenset[str],
        defaults: Mapping[str, float],
    ):
        self.target, self.shared = target, shared
        # Of each slope its family, the offset, and the coefficient of its power of z.
        self._sharing = {
            slope: (family, offset, exp(offset * Fraction(-family.power(slope))))
            for family, offset in shared
            for slope in family.slopes
        }
        self.varying, self.defaults = varying, defaults
        self.operations = Operations(target.fused)
        self.op = self.operations.op
        self.rows: dict[Sum, str] = {}
        self.scalars: dict[Sum, str] = {}
        self.last_denominator: Operand = 1.0  # of the quotient that was written last
        self.denominators: Mapping[Sum, int] = {}
        """See `count_of_denominators`. What several terms are divided by has its own reciprocal."""

    # What is known before the run.

    def fixed(self, expression: Sum) -> tuple[Operand, int]:
        """An operand and its sign for an expression of parameters and dt: a number or a name."""
        number = expression.number
        if number is not None:
            return number, 1
        sign = -1 if expression.terms[0][1] < 0 else 1
        return self._named(expression * sign), sign

    def _named(self, expression: Sum) -> str:
        """The name of the row or scalar that has the value of an expression."""
        scalar = expression.names <= {"dt"}
        table = self.scalars if scalar else self.rows
        if expression not in table:
            number = f"{'s' if scalar else 'r'}{len(table)}"
            number = f"_{number}" if self._is_taken(number) else number
            table[expression] = self._name(expression, number)
        return table[expression]

    def _is_taken(self, name: str) -> bool:
        return name in self.varying or name in self.defaults

    def _name(self, expression: Sum, otherwise: str) -> str:
        """The name of the parameter where a row is that parameter, or it over C_m."""
        if len(expression.terms) == 1:
            ((factors, c),) = expression.terms
            powers = dict(factors)
            powers.pop("C_m", None)
            if c == 1 and len(powers) == 1:
                ((name, power),) = powers.items()
                over = dict(factors).get("C_m", Fraction(0))
                if isinstance(name, str) and power == 1 and over in (0, -1) and name != "dt":
                    found = name if over == 0 else f"{name}_per_C_m"
                    return otherwise if over and self._is_taken(found) else found
        return otherwise

    def row(self, expression: Sum) -> Operand:
        """The operand of an expression of parameters and dt."""
        operand, sign = self.fixed(expression)
        if sign > 0:
            return operand
        return -operand if isinstance(operand, float) else self.op("mul", operand, -1.0)

    # Sums.

    def value(self, expression: Sum, env: Env) -> Operand:
        """The operand of an expression."""
        number = ZERO
        terms: list[Term] = []
        for factors, c in expression.terms:
            varying, coefficient = self._term(factors, c, env)
            if varying:
                terms.append((varying, snapped(coefficient)))
            else:
                number = number + coefficient
        return self.total(terms, snapped(number))

    def total(self, terms: list[Term], number: Sum = ZERO) -> Operand:
        """Σ coefficient · Π factors + number, by fused operations."""
        terms = list(terms)
        if not terms:
            return self.row(number)
        whole = [term for term in terms if term[1].number == 1.0]
        bare = [term for term in whole if len(term[0]) == 1]
        if bare:
            first = bare[0]
            terms.remove(first)
            total = first[0][0]
        elif number.number != 0.0:
            total, number = self.row(number), ZERO
        else:
            first = whole[0] if whole else terms[0]
            terms.remove(first)
            total = self.product(*first)
        for factors, coefficient in terms:
            total = self._added(total, factors, coefficient)
        operand, sign = self.fixed(number)
        return total if operand == 0.0 else self.op("add" if sign > 0 else "sub", total, operand)

    def _added(self, total: Operand, factors: list[Operand], coefficient: Sum) -> Operand:
        if coefficient.number in (1.0, -1.0):
            up = coefficient.number == 1.0
            *others, last = factors
            if not others:
                return self.op("add" if up else "sub", total, last)
            return self.op("fma" if up else "fnma", self.product(others), last, total)
        operand, sign = self.fixed(coefficient)
        return self.op("fma" if sign > 0 else "fnma", self.product(factors), operand, total)

    def product(self, factors: list[Operand], coefficient: Sum | None = None) -> Operand:
        """Π factors · coefficient."""
        result = factors[0]
        for factor in factors[1:]:
            result = self.op("mul", result, factor)
        if coefficient is None or coefficient.number == 1.0:
            return result
        return self.op("mul", result, self.row(coefficient))

    def _term(self, factors: Product, c: Coefficient, env: Env) -> Term:
        varying, constant = self._split(factors)
        coefficient = Sum({constant: c})
        if not varying:
            return [], coefficient
        if fractional(varying, self.varying):
            return self._with_fractional_powers(varying, coefficient, env)
        operands: list[Operand] = []
        others: list[tuple[Factor, int]] = []
        for factor, power in varying:
            if factor == Exponential("V"):
                z, scale = self._exponential(env["V"], power)
                operands.append(z)
                coefficient = coefficient * scale
            elif isinstance(factor, Exponential):
                x = self.op("mul", env[factor.of], float(power) * LOG2_E)
                operands.append(self.op("exp2", x))
            else:
                others.append((factor, int(power)))
        written = Written(operands, others, snapped(coefficient))
        return self._guarded((factors, c), written, env) or self._factors(written, env)

    def _guarded(
        self,
        term: tuple[Product, Coefficient],  # noqa: ARG002
        written: Written,  # noqa: ARG002
        env: Env,  # noqa: ARG002
    ) -> Term | None:
        """The term in a form that is finite where it is 0/0 as it stands; None if it never is."""
        return None

    def _split(self, factors: Product) -> tuple[Product, Product]:
        """The factors that vary in time, and those that don't."""
        varying = [pair for pair in factors if names_of(pair[0]) & self.varying]
        return product(varying), product(pair for pair in factors if pair not in varying)

    def _factors(self, written: Written, env: Env) -> Term:
        """The term with its other factors."""
        operands, coefficient = list(written.operands), written.coefficient
        denominator: Operand = 1.0
        under, over = [], []
        for factor, power in written.others:
            if isinstance(factor, str) and power < 0:
                under.append((symbol(factor), -power))
            elif isinstance(factor, str):
                operands.append(self.power(env[factor], power))
            elif isinstance(factor, Function):
                operand, scale = self._function(factor, env)
                operands.append(self.power(operand, power))
                coefficient = coefficient * scale**power
            elif power > 0:
                over.append((factor, power))
            else:
                under.append((factor, -power))
        if under:
            scale = as_sum(1)
            alone = len(under) == 1 and under[0][1] == 1 and len(under[0][0].terms) > 1
            if alone and self.denominators.get(under[0][0], 0) <= 1 and coefficient.number != 1.0:
                scale, coefficient = 1 / coefficient, as_sum(1)  # A/(1 + c z) = 1/(1/A + (c/A) z)
            for factor, power in under:
                inner = factor if scale.number == 1.0 else factor.scaled(scale)
                denominator = self.op("mul", self.power(self.value(inner, env), power), denominator)
            operands.append(self.op("rcp", denominator))
        for factor, power in over:
            if power == 1 and coefficient.number != 1.0:  # A (1 + c z) = A + (A c) z
                factor, coefficient = factor.scaled(coefficient), as_sum(1)
            operands.append(self.power(self.value(factor, env), power))
        self.last_denominator = denominator  # not one of a quotient within a factor
        return operands, coefficient

    def _function(self, function: Function, env: Env) -> tuple[Operand, Sum]:
        """An operand and a number that make up a function's value together."""
        if function.name == "log":
            x = self.value(function.argument, env)
            return self.op("log2", x), as_sum(1 / LOG2_E)
        return self.op("exp2", self.value(function.argument * LOG2_E, env)), as_sum(1)

    def _with_fractional_powers(self, factors: Product, coefficient: Sum, env: Env) -> Term:
        """A term with fractional powers; a factor that may be negative has no logarithm."""
        signed = product((f, p) for f, p in factors if p.denominator == 1 and not is_positive(f))
        positive = product(pair for pair in factors if pair not in signed)
        operands, coefficient = self._by_logarithm(positive, coefficient, env)
        if signed:
            more, factor = self._term(signed, Fraction(1), env)
            operands, coefficient = [*operands, *more], coefficient * factor
        return operands, coefficient

    def _by_logarithm(self, factors: Product, coefficient: Sum, env: Env) -> Term:
        """Fractional powers: 2^(Σ p·log₂ x + slope·V + log₂ coefficient)."""
        terms: list[Term] = []
        for factor, power in factors:
            if isinstance(factor, Exponential):
                terms.append(([env[factor.of]], as_sum(float(power) * LOG2_E)))
            elif isinstance(factor, Function):
                operand, scale = self._function(factor, env)
                terms.append(([self.op("log2", self.product([operand], scale))],
                              as_sum(float(power))))  # fmt: skip
            else:
                x = env[factor] if isinstance(factor, str) else self.value(factor, env)
                terms.append(([self.op("log2", x)], as_sum(float(power))))
        shift = ZERO
        if coefficient.number is not None and coefficient.number > 0.0:
            shift, coefficient = as_sum(math.log2(coefficient.number)), as_sum(1)
        return [self.op("exp2", self.total(terms, shift))], coefficient

    # Powers and exponentials.

    def power(
        self, x: Operand, n: int, chain: Mapping[int, tuple[int, int]] | None = None
    ) -> Operand:
        """x^n. chain: for each power the two smaller ones whose product it is."""
        if n < 0:
            return self.op("rcp", self.power(x, -n, chain))
        if n == 1:
            return x
        a, b = (chain or {}).get(n, (n // 2, n - n // 2))
        return self.op("mul", self.power(x, a, chain), self.power(x, b, chain))

    def _exponential(self, V: Operand, slope: Fraction) -> tuple[Operand, Sum]:
        """An operand and a coefficient whose product is e^{slope·V}."""
        family, offset, scale = self._sharing[slope]
        z = self.op("exp2", self._exponent(V, family.base, offset))
        return self.power(z, family.power(slope), addition_chain(family.powers)), scale

    def _exponent(self, V: Operand, base: Fraction, offset: Sum) -> Operand:
        """log₂ e · (base·V + offset)."""
        shift = offset * LOG2_E
        operand = self._named(shift) if shift.number is None else shift.number
        return self.op("fma", V, float(base) * LOG2_E, operand)


def count_of_denominators(expressions: Iterable[Sum]) -> dict[Sum, int]:
    """How many different terms of expressions are divided by a sum, for each sum."""
    terms = {term for x in expressions for inner in x.sums() for term in inner.terms}
    return Counter(
        factor
        for factors, _ in terms
        for factor, power in factors
        if isinstance(factor, Sum) and power < 0
    )


def snapped(expression: Sum) -> Sum:
    """1, −1 and 0 where rounding has left almost that."""
    number = expression.number
    if number is not None:
        for whole in (1, -1):
            if abs(number - whole) < NEARLY:
                return as_sum(whole)
    return expression
