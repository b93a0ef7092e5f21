"""The canonical form has the value of the expression, and equal things look equal."""

import numpy as np
import pytest
from hypothesis import given, settings
from made_membranes import rates

from hhplug.lowering.canonical import canonical
from hhplug.lowering.exponentials import addition_chain
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import parse

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
