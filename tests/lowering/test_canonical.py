"""The canonical form has the value of the expression, and equal things look equal."""

from fractions import Fraction
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from made_membranes import rates

from hhplug.lowering.canonical import canonical
from hhplug.lowering.exponentials import addition_chain, partitions
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import parse

SOON = 10.0  # s; it takes 0.6
ALONE = sum(TARGETS["cpu-float64"].cost[kind] for kind in ("fma", "exp2"))
BOUND = 1e-9  # relative, at voltages that are no singular points: the canonical form has no expm1


@settings(max_examples=40, deadline=None)
@given(text=rates())
def test_its_value_is_that_of_the_expression(text):
    node = parse(text)
    values = {"V": np.linspace(-149.87, 150.13, 51), "V_T": -5.03}
    assert np.abs(canonical(node).value(values) / compiled(node)(values) - 1.0).max() < BOUND


@pytest.mark.parametrize(
    "spellings",
    [
        ("V / (exp(V / 5) - 1)", "V * exp(-V / 5) / (1 - exp(-V / 5))", "-V / (1 - exp(V / 5))"),
        ("1 / (1 + exp(-V / 4))", "exp(V / 4) / (exp(V / 4) + 1)"),
        ("exp(-(V - 13) / 4)", "exp(13 / 4) * exp(-V / 4)", "1 / exp((V - 13) / 4)"),
        ("1 / (2 / exp(V / 9) + exp(V / 9))", "exp(V / 9) / (2 + exp(V / 9)**2)"),
    ],
)
def test_spellings_of_one_thing_look_equal(spellings):
    first, *others = map(repr, map(canonical, map(parse, spellings)))
    assert others == [first] * len(others)


@pytest.mark.parametrize(
    ("powers", "products"), [({1}, 0), ({8}, 3), ({1, 4, 8}, 3), ({7}, 4), ({3, 5, 8}, 4)]
)
def test_an_addition_chain_has_the_fewest_products(powers, products):
    chain = addition_chain(frozenset(powers))
    assert len(chain) == products
    assert powers <= {1, *chain}
    assert all(a + b == n for n, (a, b) in chain.items())


def test_ways_to_share_many_exponentials_are_found_soon():
    """All of 20 slopes may share one exponential, in 5e13 ways, and 3 have none to share with."""
    related = {Fraction(k, 40) for k in range(-10, 11) if k}
    alone = {Fraction(1, prime) for prime in (13, 17, 19)}
    begin = process_time()
    ways = partitions(related | alone, TARGETS["cpu-float64"], 6)
    assert process_time() - begin < SOON
    for _, families in ways:
        slopes = [slope for family in families for slope in family.slopes]
        assert sorted(slopes) == sorted(related | alone)
    positive, negative = addition_chain(frozenset(range(1, 11))), 2
    best = len(positive) * negative + (len(alone) + negative) * ALONE
    assert ways[0][0] <= best
