"""Terms that are 0/0 at a voltage, such as V/(1 − e^−V): a series stands for them nearby."""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

from hhplug.lowering.canonical import (
    ONE,
    Coefficient,
    Exponential,
    Factor,
    Function,
    Product,
    Sum,
    as_sum,
    exp,
    inverse,
    names_of,
    product,
    symbol,
    times,
)
from hhplug.lowering.guards import Series, fitted, roots
from hhplug.lowering.program import Operand
from hhplug.lowering.targets import Target
from hhplug.lowering.values import LOG2_E, Env, Shared, Term, Values, Written, snapped
from hhplug.membranes.validation import HIGHEST, LOWEST

TINY = 1e-20  # added to a number near 1e-18 or more it changes nothing, and 0/0 becomes its limit
MOST_OVER = 1.4  # times `guard_error`: the bound on a rate's error is at least that


class GuardedValues(Values):
    """Values that are finite where a numerator and a denominator vanish together.

    known_roots: voltages at which sums vanish, to which those are added that are looked for. The
    other arguments are those of `Values`.
    """

    def __init__(
        self,
        target: Target,
        shared: Shared,
        varying: frozenset[str],
        defaults: Mapping[str, float],
        known_roots: dict[Sum, list[float]],
    ):
        super().__init__(target, shared, varying, defaults)
        self.known_roots = known_roots
        self.guarded: dict[str, str] = {}  # each guarded quotient, and how
        self.vanishing: dict[Operand, tuple[Operand, float]] = {}
        """Denominators that vanish at u = 0, each with u and the width of the series used there."""

    def _guarded(
        self, term: tuple[Product, Coefficient], written: Written, env: Env
    ) -> Term | None:
        """The term by a series near its removable singularity; None if it has none."""
        factors, c = term
        for factor, power in written.others:
            under = _with_V(factor)
            if under is None or power >= 0:
                continue
            scaled = self._with_parameter_slope(under, power, factors, c, env)
            if scaled:
                return scaled
            for V0 in self._roots(under):
                over = next((f for f, p in written.others if p >= 1 and self._zero(f, V0)), None)
                if over is None and not LOWEST <= V0 <= HIGHEST:
                    continue
                if over is None:
                    raise NotImplementedError(f"{Sum({factors: c})!r} at V = {V0:.4g} mV")
                powers = dict(written.others)
                varying, _ = self._split(factors)
                alone = {f for f, _ in varying} <= {over, factor, Exponential("V")}
                if powers[over] > 1 or power < -1 or not alone:
                    return self._apart(term, over, factor, env)
                return self._by_series(term, written, _with_V(over) or under, under, V0, env)
        return None

    def _apart(
        self, term: tuple[Product, Coefficient], over: Factor, under: Factor, env: Env
    ) -> Term:
        """The term as a quotient that is 0/0 at a voltage, times what else there is."""
        factors, c = term
        own = product({over: Fraction(1), under: Fraction(-1)})
        operands, coefficient = self._term(own, Fraction(1), env)
        others, rest = self._term(times(factors, inverse(own)), c, env)
        return [*operands, *others], coefficient * rest

    def _roots(self, expression: Sum) -> list[float]:
        if expression not in self.known_roots:
            self.known_roots[expression] = roots(expression, self.defaults)
        return self.known_roots[expression]

    def _zero(self, factor: Factor, V0: float) -> bool:
        """Whether a factor is zero at a voltage."""
        expression, values = _with_V(factor), {**self.defaults, "V": V0}
        if expression is None or not expression.names <= values.keys():
            return False
        return bool(abs(expression.value(values)) < 1e-6)

    def _by_series(
        self,
        term: tuple[Product, Coefficient],
        written: Written,
        over: Sum,
        under: Sum,
        V0: float,
        env: Env,
    ) -> Term:
        """The term by a series in u where u is small, and as it stands elsewhere.

        over, under: its factors that vanish together at V0 (mV), of which one is u.
        """
        factors, c = term
        u_is = over if _is_linear(over) else under
        quotient, outside = _about(factors, c, u_is)
        slopes = [
            (abs(power), self._power_of(power))
            for vanishing in (over, under)
            for inner in vanishing.sums()
            for factors_, _ in inner.terms
            for factor, power in factors_
            if factor == Exponential("V")
        ]
        if not slopes:
            raise NotImplementedError(f"{Sum({factors: c})!r} has no exponential")
        slope, power = max(slopes)
        target = self.target
        if target.tanh_linoid and u_is is over:
            by_tanh = self._by_tanh(quotient, written.coefficient, over, under, slope, env)
            if by_tanh:
                return [*written.operands, *by_tanh], as_sum(1)
        rounding = power * target.exp_error + (math.log2(power) + 2) * target.op_error
        series = fitted(quotient, float(slope), rounding, target.guard_error)
        # The rounding of an exponent grows with it, beyond what exp_error has of it.
        rounding += abs(slope * V0) * target.op_error
        if rounding / (slope * series.width) > MOST_OVER * target.guard_error:
            series = fitted(quotient, float(slope), float(rounding), target.guard_error)
        u = self.value(u_is, env)
        near = self._near(term, series, f"{series.width:g} mV", u)
        coefficient = snapped(written.coefficient / outside)
        far_operands, left = self._factors(written._replace(coefficient=coefficient), env)
        far = self.product(far_operands, left)
        self.vanishing[self.last_denominator] = u, series.width
        return [self.op("guard", u, series.width, near, far)], outside

    def _near(
        self, term: tuple[Product, Coefficient], series: Series, where: str, u: Operand
    ) -> Operand:
        """The value of a series at u, which stands for a term. where: for the notes."""
        factors, c = term
        degree = len(series.coefficients) - 1
        self.guarded[repr(Sum({factors: c}))] = (
            f"a series of degree {degree} within {where}, error {series.error:.1e}"
        )
        near: Operand = series.coefficients[-1]
        for coefficient in reversed(series.coefficients[:-1]):
            near = self.op("fma", u, near, coefficient)
        return near

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
        if found is None or power != -1:
            return None
        scale, x = found
        slopes = {f: self._ratio(x, f) for f, p in factors if p == 1 and f != under}
        linear, slope = next(((f, s) for f, s in slopes.items() if s is not None), (None, None))
        if linear is None or slope is None:
            return None
        rest = product(pair for pair in factors if pair[0] not in (under, linear))
        target = self.target
        quotient = symbol("u") / (1 - exp(symbol("u")))
        series = fitted(quotient, 1.0, target.exp_error + 2 * target.op_error, target.guard_error)
        u = self.value(x, env)
        near = self._near((factors, c), series, f"|x| < {series.width:g}", u)
        e = self.op("exp2", self.op("mul", u, LOG2_E))
        denominator = self.op("sub", 1.0, e)
        self.vanishing[denominator] = u, series.width
        far = self.op("mul", u, self.op("rcp", denominator))
        guarded = self.op("guard", u, series.width, near, far)
        operands, coefficient = [guarded], Sum({ONE: c}) / scale / slope
        if rest:
            more, other = self._term(rest, Fraction(1), env)
            operands += more
            coefficient = coefficient * other
        return operands, coefficient

    def _ratio(self, x: Sum, factor: Factor) -> Sum | None:
        """x over a factor, if both are linear in V and one is a multiple of the other."""
        L = _with_V(factor)
        over, under = (None if y is None else _coefficient_of_V(y) for y in (x, L))
        if L is None or over is None or under is None:
            return None
        ratio = over / under
        return ratio if _equal(L * ratio, x, self.defaults) else None


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


def _with_V(factor: Factor) -> Sum | None:
    """A factor that depends on V, as a sum; None for a function and for any other factor."""
    if factor == "V":
        return symbol("V")
    return factor if isinstance(factor, Sum) and "V" in factor.names else None


def _is_linear(expression: Sum) -> bool:
    """Whether an expression is V and a shift."""
    rest = expression - symbol("V")
    return "V" not in rest.names


def _coefficient_of_V(expression: Sum) -> Sum | None:
    """∂/∂V of an expression that is linear in V; None for any other."""
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
            inner = _with_V(factor)
            slope = _coefficient_of_V(inner) if inner and p == 1 else None
            if slope is not None:
                rest = product(pair for pair in factors if pair[0] != factor)
                return Sum({rest: c}) * slope
    return None


def _equal(a: Sum, b: Sum, defaults: Mapping[str, float]) -> bool:
    """Whether two expressions agree at some voltages and other than the usual parameters."""
    for k, V in enumerate((-71.3, 12.9, 88.1)):
        # Zeros are moved too, each by another amount.
        moves = {name: 0.1 * k * (1 + i) for i, name in enumerate(defaults)}
        values = {name: v * (1 + moves[name]) + moves[name] for name, v in defaults.items()}
        x, y = a.value({**values, "V": V}), b.value({**values, "V": V})
        if not abs(x - y) <= 1e-9 * (abs(x) + abs(y) + 1e-9):
            return False
    return True
