"""Exponentials of V that share one: with z = e^{sV + c}, e^{4sV} is a multiple of z⁴."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from hhplug.lowering.canonical import (
    Exponential,
    Function,
    Product,
    Sum,
    as_sum,
    names_of,
    product,
)
from hhplug.lowering.targets import Target

E_V = Exponential("V")


@dataclass(frozen=True)
class Family:
    """Slopes (1/mV) that are whole multiples of one, the base."""

    base: Fraction
    slopes: frozenset[Fraction]

    def power(self, slope: Fraction) -> int:
        return int(slope / self.base)

    @property
    def powers(self) -> frozenset[int]:
        return frozenset(abs(self.power(slope)) for slope in self.slopes)


@dataclass(frozen=True)
class Use:
    """One exponential in an expression: coefficient · e^{slope·V + shift}."""

    slope: Fraction
    coefficient: float
    shift: Sum  # of parameters
    alone: bool  # whether it is a whole term, so that a coefficient of 1 spares a product


def uses(expression: Sum, varying: frozenset[str]) -> list[Use]:
    """The exponentials of V in an expression, whose powers are computed.

    varying: names whose values change from step to step.
    """
    found = []
    for factors, c in expression.terms:
        if not fractional(factors, varying):
            alone = all(isinstance(factor, Exponential) for factor, _ in factors)
            for factor, power in factors:
                if factor == E_V:
                    found.append(Use(power, float(c) if alone else 1.0, _shift(factors), alone))
        for factor, _ in factors:
            if isinstance(factor, Sum):
                found += uses(factor, varying)
            elif isinstance(factor, Function):
                found += uses(factor.argument, varying)
    return found


def fractional(factors: Product, varying: frozenset[str]) -> bool:
    """Whether a product has a power of what varies that only a logarithm can compute."""
    return any(
        power.denominator != 1
        and not isinstance(factor, Exponential)
        and not varying.isdisjoint(names_of(factor))
        for factor, power in factors
    )


def _shift(factors: Product) -> Sum:
    """The exponent of a product's exponentials of parameters."""
    powers = (
        (product({factor.of: Fraction(1)}), power)
        for factor, power in factors
        if isinstance(factor, Exponential) and factor.of != "V"
    )
    return Sum(powers)


def partitions(
    slopes: Iterable[Fraction], target: Target, most: int
) -> list[tuple[float, list[Family]]]:
    """The cheapest ways to share exponentials, at most `most`, each with its cost in additions."""
    ordered = sorted(slopes)
    common = math.lcm(*(slope.denominator for slope in ordered))
    whole = [int(slope * common) for slope in ordered]

    def family(members: tuple[int, ...]) -> Family | None:
        base = math.gcd(*(whole[k] for k in members))
        if max(abs(whole[k]) for k in members) > target.most_powers * base:
            return None
        negative = 2 * sum(whole[k] < 0 for k in members) >= len(members)
        step = Fraction(-base if negative else base, common)
        return Family(step, frozenset(ordered[k] for k in members))

    def families(members: tuple[int, ...], others: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Every set of slopes that has these members, may have others, and can share one base."""
        yield members
        for place, k in enumerate(others):
            more = (*members, k)
            if family(more):  # a set that can't share has no larger one that can
                yield from families(more, others[place + 1 :])

    @cache
    def ways(left: tuple[int, ...]) -> list[tuple[float, int, list[Family]]]:
        """The cheapest ways for the slopes that are left: cost, largest power, families."""
        if not left:
            return [(0.0, 0, [])]
        found = []
        for members in families(left[:1], left[1:]):
            own = family(members)
            if own is None:
                continue
            cost = _cost(own, target)
            rest = tuple(k for k in left if k not in members)
            found += [
                (cost + other, max(max(own.powers), power), [own, *others])
                for other, power, others in ways(rest)
            ]
        found.sort(key=lambda way: way[:2])
        return found[:most]

    return [(cost, found) for cost, _, found in ways(tuple(range(len(ordered))))]


def _cost(family: Family, target: Target) -> float:
    """What a family costs in each stage, in additions."""
    cost = target.cost
    negative = sum(family.power(slope) < 0 for slope in family.slopes)
    products = len(addition_chain(family.powers))
    return cost["fma"] + cost["exp2"] + cost["rcp"] * negative + cost["mul"] * products


def offsets(family: Family, found: Sequence[Use], target: Target) -> list[Sum]:
    """Offsets c of a family's z = e^{base·V + c}, each of which makes one use a bare power of z.

    None is bare where slopes are multiplied by dt/2, so that no offset may then be best.
    """
    mine = [use for use in found if use.slope in family.slopes]
    shifts: dict[Sum, int] = {}
    for use in mine:
        shift = use.shift * (1 / Fraction(family.power(use.slope)))
        shifts[shift] = shifts.get(shift, 0) + 1
    usual = max(shifts, key=lambda shift: (shifts[shift], repr(shift)), default=as_sum(0))
    found_offsets: list[Sum] = [usual] if target.scaled_by_step else []
    for use in mine:
        power = family.power(use.slope)
        if use.coefficient > 0.0 and use.shift == usual * Fraction(power):
            offset = usual + math.log(use.coefficient) / power
            if offset not in found_offsets:
                found_offsets.append(offset)
    return found_offsets or [usual]


@cache
def addition_chain(powers: frozenset[int]) -> dict[int, tuple[int, int]]:
    """The fewest products that give all these powers: n → (a, b) with z^n = z^a · z^b."""

    def search(have: frozenset[int], left: int) -> dict[int, tuple[int, int]] | None:
        missing = powers - have
        if not missing:
            return {}
        if left < len(missing):
            return None
        largest = max(missing)
        tried = set()
        for a, b in itertools.combinations_with_replacement(sorted(have, reverse=True), 2):
            n = a + b
            if n > largest or n in have or n in tried:
                continue
            tried.add(n)
            rest = search(have | {n}, left - 1)
            if rest is not None:
                return {**rest, n: (a, b)}
        return None

    for length in itertools.count():
        chain = search(frozenset({1}), length)
        if chain is not None:
            return chain
    raise AssertionError
