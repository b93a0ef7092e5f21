"""Canonical sums as operations: what varies in time; the rest becomes rows and numbers."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache

from hhplug.errors import InvalidInput
from hhplug.lowering.canonical import (
    ONE,
    ZERO,
    Coefficient,
    Exponential,
    Factor,
    Function,
    Product,
    Sum,
    as_sum,
    exp,
    names_of,
    product,
    symbol,
)
from hhplug.lowering.exponentials import Family, addition_chain, fractional
from hhplug.lowering.guards import fitted, roots
from hhplug.lowering.operations import Operations
from hhplug.lowering.program import Operand
from hhplug.lowering.targets import Target

LOG2_E = math.log2(math.e)
NEARLY = 1e-12  # what rounding leaves of a coefficient that is 1, and of a zero
TINY = 1e-20  # added to a number near 1e-18 or more it changes nothing, and 0/0 becomes its limit

Env = Mapping[str, Operand]
"""The operand of V, of each gate with a state, and of each pool."""

Shared = Sequence[tuple[Family, Sum]]
"""The families of exponentials, each with the offset of its exponent."""

Term = tuple[list[Operand], Sum]
"""Factors that vary in time, and a coefficient that doesn't."""


class Values:
    """Writes operations for sums, and collects the rows and scalars that they need.

    varying: names whose values change from step to step. defaults: usual values of parameters.
    known_roots: voltages at which sums vanish, to which those are added that are looked for.
    """

    def __init__(
        self,
        target: Target,
        shared: Shared,
        varying: frozenset[str],
        defaults: Mapping[str, float],
        known_roots: dict[Sum, list[float]],
    ):
        self.target, self.shared = target, shared
        self.varying, self.defaults, self.known_roots = varying, defaults, known_roots
        self.operations = Operations(target.fused)
        self.op = self.operations.op
        self.rows: dict[Sum, str] = {}
        self.scalars: dict[Sum, str] = {}
        self.guarded: dict[str, str] = {}  # each guarded quotient, and how
        self.vanishing: dict[Operand, tuple[Operand, float]] = {}
        """Denominators that vanish at u = 0, each with u and the width of the series used there."""
        self.last_denominator: Operand = 1.0  # of the quotient that was written last
        self.denominators: dict[Sum, int] = {}  # how often a sum is divided by in different terms

    def count_denominators(self, expressions: Sequence[Sum]) -> None:
        """Note which sums several terms are divided by: their reciprocal is computed by itself."""
        seen = set()
        for expression in expressions:
            for inner in expression.sums():
                for term in inner.terms:
                    if term in seen:
                        continue
                    seen.add(term)
                    for factor, power in term[0]:
                        if isinstance(factor, Sum) and power < 0:
                            self.denominators[factor] = self.denominators.get(factor, 0) + 1

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
            taken = number in self.varying or number in self.defaults
            table[expression] = self._name(expression, f"_{number}" if taken else number)
        return table[expression]

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
                    return name if over == 0 else f"{name}_per_C_m"
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
                terms.append((varying, _snapped(coefficient)))
            else:
                number = number + coefficient
        return self.total(terms, _snapped(number))

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
        if fractional(varying):
            return self._by_logarithm(varying, coefficient, env)
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
        coefficient = _snapped(coefficient)
        guarded = self._guarded(factors, c, operands, others, coefficient, env)
        return guarded or self._factors(operands, others, coefficient, env)

    def _split(self, factors: Product) -> tuple[Product, Product]:
        """The factors that vary in time, and those that don't."""
        varying = [pair for pair in factors if names_of(pair[0]) & self.varying]
        return product(varying), product(pair for pair in factors if pair not in varying)

    def _factors(
        self, operands: list[Operand], others: list[tuple[Factor, int]], coefficient: Sum, env: Env
    ) -> Term:
        operands, under, over = list(operands), [], []
        for factor, power in others:
            if isinstance(factor, str):
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
            alone = len(under) == 1 and under[0][1] == 1
            if alone and self.denominators.get(under[0][0], 0) <= 1 and coefficient.number != 1.0:
                scale, coefficient = 1 / coefficient, as_sum(1)  # A/(1 + c z) = 1/(1/A + (c/A) z)
            denominator: Operand = 1.0
            for factor, power in under:
                inner = factor if scale.number == 1.0 else factor.scaled(scale)
                denominator = self.op("mul", self.power(self.value(inner, env), power), denominator)
            self.last_denominator = denominator
            operands.append(self.op("rcp", denominator))
        for factor, power in over:
            if power == 1 and coefficient.number != 1.0:  # A (1 + c z) = A + (A c) z
                factor, coefficient = factor.scaled(coefficient), as_sum(1)
            operands.append(self.power(self.value(factor, env), power))
        return operands, coefficient

    def _function(self, function: Function, env: Env) -> tuple[Operand, Sum]:
        """An operand and a number that make up a function's value together."""
        if function.name == "log":
            x = self.value(function.argument, env)
            return self.op("log2", x), as_sum(1 / LOG2_E)
        return self.op("exp2", self.value(function.argument * LOG2_E, env)), as_sum(1)

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
        for family, offset in self.shared:
            if slope in family.slopes:
                power = family.power(slope)
                z = self.op("exp2", self._exponent(V, family.base, offset))
                scale = exp(offset * Fraction(-power))
                return self.power(z, power, addition_chain(family.powers)), scale
        raise KeyError(slope)

    def _exponent(self, V: Operand, base: Fraction, offset: Sum) -> Operand:
        """log₂ e · (base·V + offset)."""
        shift = offset * LOG2_E
        operand = self._named(shift) if shift.number is None else shift.number
        return self.op("fma", V, float(base) * LOG2_E, operand)

    # Removable singularities.

    def _guarded(
        self,
        factors: Product,
        c: Coefficient,
        operands: list[Operand],
        others: list[tuple[Factor, int]],
        coefficient: Sum,
        env: Env,
    ) -> Term | None:
        """The term by a series near its removable singularity; None if it has none."""
        for under, power in others:
            if not isinstance(under, Sum) or power >= 0 or "V" not in under.names:
                continue
            scaled = self._with_parameter_slope(under, power, factors, c, env)
            if scaled:
                return scaled
            for V0 in self._roots(under):
                linear = (_linear(factor) for factor, p in others if p == 1)
                over = next((f for f in linear if f and self._vanishes(f, V0)), None)
                if over is None or power != -1:
                    raise InvalidInput(
                        f"{Sum({factors: c})!r} has no finite value at V = {V0:.4g} mV"
                    )
                return self._by_series(factors, c, operands, others, coefficient, over, under, env)
        return None

    def _roots(self, expression: Sum) -> list[float]:
        if expression not in self.known_roots:
            self.known_roots[expression] = roots(expression, self.defaults)
        return self.known_roots[expression]

    def _vanishes(self, expression: Sum, V0: float) -> bool:
        values = {**self.defaults, "V": V0}
        return expression.names <= values.keys() and abs(expression.value(values)) < 1e-6

    def _by_series(
        self,
        factors: Product,
        c: Coefficient,
        operands: list[Operand],
        others: list[tuple[Factor, int]],
        coefficient: Sum,
        over: Sum,
        under: Sum,
        env: Env,
    ) -> Term:
        quotient, outside = _about(factors, c, over)
        slopes = [
            (abs(power), self._power_of(power))
            for factors_, _ in under.terms
            for factor, power in factors_
            if factor == Exponential("V")
        ]
        slope, power = max(slopes)
        target = self.target
        if target.tanh_linoid:
            by_tanh = self._by_tanh(quotient, coefficient, over, under, slope, env)
            if by_tanh:
                return [*operands, *by_tanh], as_sum(1)
        rounding = power * target.exp_error + (math.log2(power) + 2) * target.op_error
        series = fitted(quotient, float(slope), rounding, target.guard_error)
        u = self.value(over, env)
        self.guarded[repr(Sum({factors: c}))] = (
            f"a series of degree {len(series.coefficients) - 1} within {series.width:g} mV, "
            f"error {series.error:.1e}"
        )
        near: Operand = series.coefficients[-1]
        for s in reversed(series.coefficients[:-1]):
            near = self.op("fma", u, near, s)
        far_operands, left = self._factors(operands, others, _snapped(coefficient / outside), env)
        far = self.product(far_operands, left)
        self.vanishing[self.last_denominator] = u, series.width
        return [self.op("guard", u, series.width, near, far)], outside

    def _by_tanh(
        self, quotient: Sum, coefficient: Sum, over: Sum, under: Sum, slope: Fraction, env: Env
    ) -> list[Operand] | None:
        """Factors of u/(1 − e^−su) as y/(tanh y · (1 + e^−2y)), where nothing cancels; y = su/2."""
        powers = dict(quotient.terms[0][0])
        powers.pop(Exponential("u"), None)
        if len(under.terms) != 2 or powers.get("u") != 1 or len(powers) != 2:
            return None
        half = slope / 2
        scaled = Sum((product_, abs(c)) for product_, c in under.terms).scaled(half / coefficient)
        y = self.op("add", self.value(over * half, env), TINY)
        denominator = self.op("mul", self.op("tanh", y), self.value(scaled, env))
        return [y, self.op("rcp", denominator)]

    def _power_of(self, slope: Fraction) -> int:
        """The power of a shared exponential by which e^{slope·V} is computed."""
        return next(abs(f.power(slope)) for f, _ in self.shared if slope in f.slopes)

    def _with_parameter_slope(
        self, under: Sum, power: int, factors: Product, c: Coefficient, env: Env
    ) -> Term | None:
        """The term L/(1 − e^x) where x is linear in V with a parameter for its slope, L = ρ·x."""
        found = _one_minus_exp(under)
        if found is None:
            return None
        scale, x = found
        linear = next((f for f, p in factors if p == 1 and f != under and _linear(f)), None)
        L = None if linear is None else _linear(linear)
        if L is None or power != -1:
            raise NotImplementedError(f"{Sum({factors: c})!r} has no finite value everywhere")
        rest = product(pair for pair in factors if pair[0] not in (under, linear))
        slope = _coefficient_of_V(x) / _coefficient_of_V(L)
        if not _equal(L * slope, x, self.defaults):
            raise NotImplementedError(f"{Sum({factors: c})!r} has no finite value everywhere")
        target = self.target
        quotient = symbol("u") / (1 - exp(symbol("u")))
        series = fitted(quotient, 1.0, target.exp_error + 2 * target.op_error, target.guard_error)
        u = self.value(x, env)
        near: Operand = series.coefficients[-1]
        for s in reversed(series.coefficients[:-1]):
            near = self.op("fma", u, near, s)
        e = self.op("exp2", self.op("mul", u, LOG2_E))
        denominator = self.op("sub", 1.0, e)
        self.vanishing[denominator] = u, series.width
        far = self.op("mul", u, self.op("rcp", denominator))
        guarded = self.op("guard", u, series.width, near, far)
        self.guarded[repr(Sum({factors: c}))] = (
            f"a series of degree {len(series.coefficients) - 1} within |x| < {series.width:g}, "
            f"error {series.error:.1e}"
        )
        operands, coefficient = [guarded], Sum({ONE: c}) / scale / slope
        if rest:
            more, other = self._term(rest, Fraction(1), env)
            operands += more
            coefficient = coefficient * other
        return operands, coefficient


@cache
def _about(factors: Product, c: Coefficient, over: Sum) -> tuple[Sum, Sum]:
    """A term as a function of u = over, which is V and parameters, and a factor of parameters."""
    term = Sum({factors: c})
    ((powers, d),) = term.substituted("V", symbol("u") - (over - symbol("V"))).terms
    inside = product(pair for pair in powers if "u" in names_of(pair[0]))
    outside = Sum({product(pair for pair in powers if pair not in inside): 1})
    quotient = Sum({inside: d})
    if quotient.names != {"u"}:
        raise NotImplementedError(f"the series of {term!r} depends on parameters")
    return quotient, outside


def _one_minus_exp(under: Sum) -> tuple[Sum, Sum] | None:
    """(scale, x) of scale·(1 − e^x) where e^x isn't a product of powers; None for other sums."""
    if len(under.terms) != 2:
        return None
    for (one, a), (other, b) in (under.terms, under.terms[::-1]):
        match other:
            case ((Function("exp", x), p),) if not one and p == 1 and b == -a and "V" in x.names:
                return as_sum(a), x
    return None


def _linear(factor: Factor) -> Sum | None:
    """A factor that may be linear in V, as a sum."""
    if factor == "V":
        return symbol("V")
    return factor if isinstance(factor, Sum) and "V" in factor.names else None


def _coefficient_of_V(expression: Sum) -> Sum:
    """∂/∂V of an expression that is linear in V."""
    found = [
        (product((f, p) for f, p in factors if f != "V"), c)
        for factors, c in expression.terms
        if ("V", Fraction(1)) in factors
    ]
    if found:
        return Sum(found)
    # A sum as a factor: (V + …)/k.
    for factors, c in expression.terms:
        for factor, p in factors:
            inner = _linear(factor)
            if inner and p == 1:
                rest = product(pair for pair in factors if pair[0] != factor)
                return Sum({rest: c}) * _coefficient_of_V(inner)
    raise NotImplementedError(f"{expression!r} isn't linear in V")


def _equal(a: Sum, b: Sum, defaults: Mapping[str, float]) -> bool:
    """Whether two expressions agree at some voltages and other than the usual parameters."""
    for k, V in enumerate((-71.3, 12.9, 88.1)):
        values = {n: v * (1 + 0.1 * k * (1 + i)) for i, (n, v) in enumerate(defaults.items())}
        x, y = a.value({**values, "V": V}), b.value({**values, "V": V})
        if not abs(x - y) <= 1e-9 * (abs(x) + abs(y) + 1e-9):
            return False
    return True


def _snapped(expression: Sum) -> Sum:
    """1, −1 and 0 where rounding has left almost that."""
    number = expression.number
    if number is not None:
        for whole in (1, -1):
            if abs(number - whole) < NEARLY:
                return as_sum(whole)
    return expression
