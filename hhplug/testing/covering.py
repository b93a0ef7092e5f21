"""Covering arrays: few combinations of factors in which every pair of levels occurs."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from random import Random

Factors = Mapping[str, Sequence[str]]
"""Name of each factor → its levels."""
Row = dict[str, str]
"""A level of each factor."""
Group = tuple[str, ...]
"""Names of factors whose levels are combined."""


def covering_array(factors: Factors, strength: int, more: Iterable[Group] = ()) -> list[Row]:
    """Rows in which the levels of any `strength` factors occur in every combination.

    more: further groups of factors, of which every combination occurs as well. The rows are the
    same in every process. A greedy method finds them: each row begins with a combination that is
    missing, and takes for every other factor the level that adds most of the missing ones. Among
    equals it draws: in turns, two factors of two levels would always go together.
    """
    groups = [*combinations(factors, strength), *more]
    missing = {
        group: dict.fromkeys(product(*(factors[name] for name in group))) for group in groups
    }
    touching = {name: [group for group in groups if name in group] for name in factors}
    random = Random(1952)
    rows = []
    while group := next((group for group in groups if missing[group]), None):
        row = dict(zip(group, next(iter(missing[group])), strict=True))
        for name in factors:
            if name not in row:
                row[name] = max(
                    factors[name],
                    key=lambda level: (
                        _added(row | {name: level}, touching[name], missing),
                        random.random(),
                    ),
                )
        for group in groups:
            missing[group].pop(tuple(row[name] for name in group), None)
        rows.append({name: row[name] for name in factors})
    return rows


def _added(row: Row, groups: Sequence[Group], missing: Mapping[Group, dict]) -> int:
    """How many missing combinations the levels chosen so far add."""
    return sum(
        tuple(row[name] for name in group) in missing[group]
        for group in groups
        if all(name in row for name in group)
    )
