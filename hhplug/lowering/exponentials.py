"""Exponentials of V that share one: with z = e^{sV + c}, e^{4sV} is a multiple of z⁴."""

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from hhplug.lowering.canonical import (
    Exponential,
    Factor,
    Function,
    Product,
    Sum,
    as_sum,
    names_of,
    product,
)
from hhplug.lowering.targets import Target

E_V = Exponential("V")
MOST_TOGETHER = 12  # slopes for which all ways to share are tried, which takes up to 1.5 s


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


Way = tuple[float, int, list[Family]]
"""A way to share exponentials: its cost in additions, its largest power, its families."""

Places = tuple[int, ...]


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
        fixed = [pair for pair in factors if not names_of(pair[0]) & varying]
        if not fractional(factors, varying):
            alone = all(isinstance(factor, Exponential) for factor, _ in factors)
            for factor, power in factors:
                if factor == E_V:
                    found.append(Use(power, float(c) if alone else 1.0, _shift(fixed), alone))
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


def _shift(factors: Iterable[tuple[Factor, Fraction]]) -> Sum:
    """The exponent of a product's exponentials of parameters."""
    powers = (
        (product({factor.of: Fraction(1)}), power)
        for factor, power in factors
        if isinstance(factor, Exponential)
    )
    return Sum(powers)


def partitions(
    slopes: Iterable[Fraction], target: Target, most: int
) -> list[tuple[float, list[Family]]]:
    """The cheapest ways to share exponentials, at most `most`, each with its cost in additions."""
    best: list[Way] = [(0.0, 0, [])]
    for some in _groups(slopes, target):
        ways = _ways_to_share(some, target, most)
        pairs = itertools.product(best, ways)
        both = [(a + b, max(p, q), [*one, *other]) for (a, p, one), (b, q, other) in pairs]
        best = _cheapest(both, most)
    return [(cost, sorted(found, key=lambda own: min(own.slopes))) for cost, _, found in best]


def _cheapest(ways: list[Way], most: int) -> list[Way]:
    return sorted(ways, key=lambda way: way[:2])[:most]


def _groups(slopes: Iterable[Fraction], target: Target) -> Iterator[list[Fraction]]:
    """Slopes in groups, none of which can share an exponential with another group's.

    A group of more than MOST_TOGETHER is divided: the time to try all ways triples with each slope.
    Slopes of one sign stay together, since a power of the other sign costs a reciprocal.
    """
    groups: list[list[Fraction]] = []
    for slope in sorted(slopes):
        near = [g for g in groups if any(_family((slope, other), target) for other in g)]
        groups = [g for g in groups if g not in near]
        groups.append(sorted([*itertools.chain(*near), slope]))
    for group in groups:
        size = math.ceil(len(group) / math.ceil(len(group) / MOST_TOGETHER))
        yield from (group[k : k + size] for k in range(0, len(group), size))


def _family(members: Collection[Fraction], target: Target) -> Family | None:
    """The family of some slopes; None if they can't share an exponential."""
    common = math.lcm(*(slope.denominator for slope in members))
    base = Fraction(math.gcd(*(int(slope * common) for slope in members)), common)
    if max(map(abs, members)) > target.most_powers * base:
        return None
    negative = 2 * sum(slope < 0 for slope in members) >= len(members)
    return Family(-base if negative else base, frozenset(members))


def _ways_to_share(slopes: Iterable[Fraction], target: Target, most: int) -> list[Way]:
    """The cheapest ways for some slopes, at most `most`."""
    ordered = sorted(slopes)  # slopes are meant by their places, which are hashed sooner

    @cache
    def family(members: Places) -> tuple[Family, float, int] | None:
        """The family of some slopes, its cost and its largest power."""
        own = _family([ordered[k] for k in members], target)
        return own and (own, _cost(own, target), max(own.powers))

    def families(members: Places, others: Places) -> Iterator[Places]:
        """Every set of slopes that has these members, may have others, and can share one base."""
        yield members
        for place, k in enumerate(others):
            more = (*members, k)
            if family(more):  # a set that can't share has no larger one that can
                yield from families(more, others[place + 1 :])

    @cache
    def ways(left: Places) -> list[Way]:
        """The cheapest ways for the slopes that are left."""
        if not left:
            return [(0.0, 0, [])]
        found: list[Way] = []
        for members in families(left[:1], left[1:]):
            own = family(members)
            if own is None:
                continue
            first, cost, largest = own
            rest = tuple(k for k in left if k not in members)
            found += [
                (cost + other, max(largest, power), [first, *others])
                for other, power, others in ways(rest)
            ]
        return _cheapest(found, most)

    return ways(tuple(range(len(ordered))))


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
