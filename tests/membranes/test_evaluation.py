"""Expressions are computed to nearly all digits of float64, also where a quotient is 0/0.

The exact values are those of mpmath, in 60 digits.
"""

import numpy as np
import pytest
from exact import worst_error
from hypothesis import given, settings
from hypothesis import strategies as st

from hhplug import membranes
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import parse

RELATIVE = 1e-13  # what hhplug promises of rates in float64
GENERATOR = np.random.default_rng(17)
# mV at which some rate of the library is 0/0 with its usual parameters.
SINGULAR = (-40.0, -55.0, -42.0, -15.0, -35.0, -34.0, -29.7, -45.7)


def beside(voltages):
    """Return each voltage, the floats next to it, and some a little further away."""
    V = np.asarray(voltages, float)
    near = [np.nextafter(V, -np.inf), np.nextafter(V, np.inf)]
    near += [V + sign * 10.0**-power for sign in (-1, 1) for power in (13, 10, 7, 4, 2)]
    return np.concatenate([V, *near])


def error_of(node, values):
    """Return the worst relative error of an expression at arrays of values."""
    found = np.broadcast_to(compiled(node)(values), values["V"].shape)
    samples = [
        {name: float(value[k]) if np.ndim(value) else value for name, value in values.items()}
        for k in range(len(found))
    ]
    return worst_error(found, node, samples)


LIBRARY = [
    pytest.param(name, gate, id=f"{name} {gate}")
    for name in membranes.__all__
    for gate in getattr(membranes, name).reading.gates
]


@pytest.mark.parametrize(("name", "gate"), LIBRARY)
def test_rates_of_the_library_are_accurate(name, gate):
    membrane = getattr(membranes, name)
    V = np.concatenate([beside(SINGULAR), GENERATOR.uniform(-150.0, 150.0, 24), [-150.0, 150.0]])
    for node in membrane.reading.gates[gate].given().values():
        assert error_of(node, {**membrane.equations.defaults, "V": V}) < RELATIVE


@pytest.mark.parametrize("gate", ["m", "h", "n"])
def test_rates_are_accurate_with_a_V_T_for_each_neuron(gate):
    """V − V_T − 13 is rounded, and exactly zero for the first neurons."""
    V_T = GENERATOR.uniform(-70.0, -40.0, 60)
    zero = np.repeat([13.0, 15.0, 40.0], 20)
    V = V_T + zero
    V[30:] = GENERATOR.uniform(-150.0, 150.0, 30)
    V[5:15] = np.nextafter(V[5:15], np.inf)
    values = {**membranes.RS.equations.defaults, "V": V, "V_T": V_T}
    for node in membranes.RS.reading.gates[gate].given().values():
        assert error_of(node, values) < RELATIVE


tenths = st.integers(-900, 900).map(lambda tenths: tenths / 10.0)
slopes = st.integers(30, 400).map(lambda tenths: tenths / 10.0)
SHAPES = [
    "{A} * (V - {c}) / (1 - exp(-(V - {c}) / {k}))",
    "{A} * (V - {c}) / (exp((V - {c}) / {k}) - 1)",
    "{A} * (V - {c}) / (-1 + exp((V - {c}) / {k}))",
    "({c} - V) * {A} / (exp(({c} - V) / {k}) - 1)",
    "({A} * V - {A} * {c}) / (1 - exp(-V / {k} + {c} / {k}))",
    "{A} * (V - {c}) / (3 - 3 * exp(-(V - {c}) / {k}))",
    "{A} * (V - {c}) / (exp((V - {c}) / {k}) - exp(-(V - {c}) / {k}))",
    "{A} * (V - {c}) / (2 * exp((V - {c}) / {k}) - exp(-(V - {c}) / {k}) * 2)",
    "{A} * (V - {c}) / tanh((V - {c}) / {k})",
    "{A} * (V - {c}) / sinh((V - {c}) / {k})",
    "(1 - exp(-(V - {c}) / {k})) / ({A} * (V - {c}))",
    "{A} * (V - half) / (1 - exp(-(V - half) / steep))",
    "1 / (1 + exp(-(V - {c}) / {k}))",
    "{A} / (3.3 * exp((V - {c}) / {k}) + exp(-(V - {c}) / {k}))",
    "(1 / (1 + exp((V - half) / steep))) ** 4",
    "{A} + 2 * exp((V - {c}) / {k}) ** (1 / 3)",
]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=4)
@given(A=slopes, c=tenths, k=slopes, V=st.floats(-150.0, 150.0))
def test_rates_of_any_usual_shape_are_accurate(shape, A, c, k, V):
    node = parse(shape.format(A=A, c=f"({c})", k=k))
    values = {"V": np.concatenate([beside([c]), [V]]), "half": c, "steep": k}
    assert error_of(node, values) < RELATIVE


def test_a_quotient_of_zero_by_zero_is_its_limit():
    """x/(1 − e^{−x/k}) is k at 0, and its derivative there is 1/2."""
    node = parse("(V + 40) / (1 - exp(-(V + 40) / 10))")
    V = np.array([-40.0, np.nextafter(-40.0, 0.0), -39.0])
    found = compiled(node)({"V": V})
    assert found[0] == 10.0
    assert found[1] == pytest.approx(10.0, rel=1e-15)
    assert found[2] == pytest.approx(1.0 / -np.expm1(-0.1), rel=1e-15)
    assert compiled(node)({"V": -40.0}) == 10.0


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("(V + 40)^2 / (1 - exp(-(V + 40) / 10))^2", 100.0),
        ("(V + 40)^2 / (cosh((V + 40) / 10) - 1)", 200.0),
        ("(V + 40)^3 / (exp((V + 40) / 10) - 1)^3", 1000.0),
    ],
)
def test_zeros_of_higher_order_have_their_limit(text, limit):
    assert compiled(parse(text))({"V": np.array([-40.0, 0.0])})[0] == pytest.approx(
        limit, rel=1e-14
    )


def test_a_true_pole_stays_infinite_and_NaN_stays_NaN():
    pole = compiled(parse("1 / (V + 40)"))
    with np.errstate(divide="ignore"):
        assert pole({"V": np.array([-40.0])})[0] == np.inf
    linoid = compiled(parse("(V + 40) / (1 - exp(-(V + 40) / 10))"))
    assert np.isnan(linoid({"V": np.array([np.nan])})[0])


@pytest.mark.parametrize(
    ("text", "V", "expected"),
    [
        ("V / sqrt(V * (1 + V))", 0.0, 0.0),
        ("1 / sqrt(V / (exp(V / 9) - 1))", 1e5, np.inf),  # where e^(V/9) overflows
    ],
)
def test_the_limit_of_a_quotient_by_a_root_of_zero_has_an_end(text, V, expected):
    with np.errstate(all="ignore"):
        found = compiled(parse(text))({"V": np.array([V])})
    assert found == expected
