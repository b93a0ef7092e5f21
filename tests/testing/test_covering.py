"""The covering array has every combination that it promises, and few rows."""

import os
import subprocess
import sys
from itertools import combinations, product

import pytest

from hhplug.testing.covering import covering_array
from hhplug.testing.varied import FACTORS, PAIRS, TRIPLES, described, rows

SMALL = {"a": ["0", "1"], "b": ["x", "y", "z"], "c": ["0", "1"], "d": ["k", "l", "m"]}


def missing(found, factors, groups):
    """Return the combinations of levels that no row has."""
    return [
        (group, levels)
        for group in groups
        for levels in product(*(factors[name] for name in group))
        if not any(tuple(row[name] for name in group) == levels for row in found)
    ]


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_every_combination_of_levels_occurs(strength):
    found = covering_array(SMALL, strength)
    assert missing(found, SMALL, combinations(SMALL, strength)) == []
    assert len(found) < 2 * 3 * 2 * 3  # all combinations


def test_pairs_need_hardly_more_rows_than_the_two_largest_factors():
    assert len(covering_array(SMALL, 2)) <= 3 * 3 + 2


def test_further_groups_are_covered_too():
    group = ("a", "b", "d")
    assert missing(covering_array(SMALL, 2), SMALL, [group])
    assert not missing(covering_array(SMALL, 2, [group]), SMALL, [group])


def test_two_factors_of_two_levels_dont_go_together_throughout():
    found = rows(short=False)
    twos = [name for name, levels in FACTORS.items() if len(levels) == 2]
    for one, other in combinations(twos, 2):
        alike = sum(FACTORS[one].index(r[one]) == FACTORS[other].index(r[other]) for r in found)
        assert 0.3 < alike / len(found) < 0.7


def test_the_kits_problems_have_every_pair_and_the_triples():
    found = rows(short=False)
    assert missing(found, FACTORS, [*combinations(FACTORS, 2), *TRIPLES]) == []
    assert missing(found[1:], FACTORS, combinations(FACTORS, 2)), "no row is superfluous"


def test_a_short_horizon_has_every_level():
    found = rows(short=True)
    assert missing(found, FACTORS, combinations(FACTORS, 1)) == []
    assert missing(found, FACTORS, PAIRS) == []
    assert len(found) <= max(map(len, FACTORS.values())) + 3


def test_the_problems_are_the_same_in_every_process():
    script = "from hhplug.testing.varied import *; print(*map(described, rows(False)), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [described(row) for row in rows(short=False)]
