"""Expressions are read from text, and an error points at the character."""

import math
from fractions import Fraction

import pytest

from hhplug import InvalidInput
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import (
    Binary,
    Call,
    InvalidExpression,
    Name,
    Negative,
    Number,
    Power,
    constant,
    derivative,
    names,
    parse,
    replaced,
)

V, TWO = Name("V"), Number(Fraction(2))
VALUES = {"V": 3.0, "k": 0.5, "x_1": 2.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", TWO),
        ("0.1", Number(Fraction(1, 10))),
        ("V", V),
        ("-V", Negative(V)),
        ("+V", V),
        ("V + 2", Binary("+", V, TWO)),
        ("V - 2 - V", Binary("-", Binary("-", V, TWO), V)),
        ("V * 2 / V", Binary("/", Binary("*", V, TWO), V)),
        ("-V**2", Negative(Power(V, Fraction(2)))),
        ("V**-2", Power(V, Fraction(-2))),
        ("V**(1/3)", Power(V, Fraction(1, 3))),
        ("V**0.5", Power(V, Fraction(1, 2))),
        ("exp(-V)", Call("exp", Negative(V))),
    ],
)
def test_text_becomes_a_tree(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("paper", "python"),
    [
        ("V^2", "V**2"),
        ("V²", "V**2"),
        ("V⁻¹²", "V**-12"),
        ("2·V − 1", "2*V - 1"),
        ("2 × V – 1", "2*V - 1"),
        ("  V\n + 1\t", "V + 1"),
        ("2 ⋅ V ∗ k ÷ 3 ∕ 4 ‑\u20091", "2 * V * k / 3 / 4 - 1"),
    ],
)
def test_a_papers_spelling_means_the_same_as_Pythons(paper, python):
    assert parse(paper) == parse(python)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 / 8", 6.5),
        ("2 * V ** 2", 18.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ** 2", -4.0),
        ("exp(1) + log(V) + sqrt(V)", math.e + math.log(3.0) + math.sqrt(3.0)),
        ("tanh(V) + sinh(V) - cosh(V)", math.tanh(3.0) + math.sinh(3.0) - math.cosh(3.0)),
        ("V / k / x_1", 3.0),
        ("V ** 1.5", 3.0**1.5),
        ("V ** 7", 2187.0),
        ("9 ** 0.5", 3.0),
    ],
)
def test_an_expression_has_the_value_of_its_arithmetic(text, expected):
    assert compiled(parse(text))(VALUES) == pytest.approx(expected, rel=1e-15)


def pointed_at(text, error):
    """Return the part of the text that the message of an error underlines."""
    *_, shown, marks = str(error).split("\n")
    assert shown.strip() == text.strip()
    first = marks.index("^")
    return shown[first : len(marks)]


@pytest.mark.parametrize(
    ("text", "wrong", "message"),
    [
        ("", "", "the expression is empty"),
        ("exp -V", "exp", "exp is a function; write exp(…)"),
        ("2 * e^(V / 10)", "e", "write exp(…) for a power of e"),
        ("V ** k", "k", "the exponent of a power must be a number"),
        ("1/(1+exp((V+35)/10)", "(", "'(' was never closed"),
        ("0.1 (V + 40)", "0.1 (V + 40)", "a product needs a *"),
        ("2 V", "V", "a product needs a *"),
        ("1 + + ", "+", "invalid syntax"),
        ("0.1 * ", "*", "invalid syntax"),
        ("10^(V / 10)", "V / 10", "a^x is exp(x * log(a))"),
        ("ln(V)", "ln", "Did you mean 'log'?"),
        ("Exp(V)", "Exp", "Did you mean 'exp'?"),
        ("log10(V)", "log10", "log is the natural logarithm"),
        ("1 + np.exp(V)", "np.exp", "write exp(…), without a module"),
        ("exp(V, 1)", "exp(V, 1)", "exp takes one argument"),
        ("exp(x=V)", "exp(x=V)", "exp takes one argument"),
        ("V / (2 - 2)", "2 - 2", "a division by zero"),
        ("1e999 * V", "1e999", "this number is too large"),
        ("V > 0", "V > 0", "only numbers, names"),
        ("V if V else 1", "V if V else 1", "only numbers, names"),
        ("lambda V: V", "lambda V: V", "only numbers, names"),
        ("'V'", "'V'", "only numbers, names"),
        ("True * V", "True", "only numbers, names"),
        ("V.real", "V.real", "only numbers, names"),
        ("V[0]", "V[0]", "only numbers, names"),
        ("V % 2", "V % 2", "only numbers, names"),
        ("__import__('os').system('x')", "__import__('os').system('x')", "a product needs"),
        ("1−α²·exp(β) + τ > 0", "1−α²·exp(β) + τ > 0", "only numbers"),
        ("α²·ln(β)", "ln", "unknown function 'ln'"),
        ("α² + V)", ")", "unmatched"),
    ],
)
def test_an_error_points_at_the_character(text, wrong, message):
    with pytest.raises(InvalidExpression) as error:
        parse(text, "alpha of gate m")
    assert str(error.value).startswith("alpha of gate m: ")
    assert message in str(error.value)
    if wrong:
        assert pointed_at(text, error.value) == wrong


def test_the_error_of_a_text_with_a_lone_surrogate_can_be_printed():
    with pytest.raises(InvalidExpression) as error:
        parse("V + \ud800")
    assert pointed_at("V + ?", error.value) == "?"
    assert str(error.value).encode()


def test_an_objection_to_a_name_points_at_it():
    def objection(name):
        return "" if name in ("V", "tau_max") else f"{name} is unknown"

    assert parse("V + tau_max", "", objection) == parse("V + tau_max")
    with pytest.raises(InvalidExpression, match="V_m is unknown") as error:
        parse("V + exp(V_m / 10)", "", objection)
    assert pointed_at("V + exp(V_m / 10)", error.value) == "V_m"
    with pytest.raises(InvalidExpression, match="a product needs a"):
        parse("tau_max (V + 3)", "", objection)


@pytest.mark.parametrize("text", ["-" * 5000 + "V", "1" + " + V" * 5000, "(" * 500 + "V"])
def test_a_text_of_any_depth_is_refused_without_a_crash(text):
    with pytest.raises(InvalidExpression, match="nested"):
        parse(text)


def test_huge_powers_of_numbers_are_not_computed():
    assert constant(parse("10**10**10")) is None
    assert compiled(parse("10**400 + V"))(VALUES) == math.inf


def test_only_text_is_an_expression():
    with pytest.raises(InvalidInput, match="an expression must be text or a number, got None"):
        parse(None)


def test_names_are_listed_and_replaced():
    node = parse("k * exp(-V / x_1)**2 - 1")
    assert names(node) == {"k", "V", "x_1"}
    assert replaced(node, {"x_1": parse("V + 1")}.get) == parse("k * exp(-V / (V + 1))**2 - 1")


STEP = 1e-6  # of a central difference
SLOPE_TOLERANCE = 1e-8  # relative: rounding over the step, and its square. Found: 3.2e-10


@pytest.mark.parametrize(
    "text",
    [
        "k",
        "V * k + 2 * V",
        "V / (V + k)",
        "-V**3 - k**2",
        "V**-0.5",
        "exp(-V / k)",
        "log(V * k) + sqrt(V)",
        "tanh(V) * sinh(k * V) - cosh(V)",
        "V * (V + 1) / (1 - exp(-(V + 1) / 10))",
    ],
)
def test_a_derivative_is_the_limit_of_a_difference(text):
    f = compiled(parse(text))
    high, low = (f({**VALUES, "V": 3.0 + step}) for step in (STEP, -STEP))
    slope = compiled(derivative(parse(text), "V"))(VALUES)
    assert slope == pytest.approx((high - low) / (2.0 * STEP), rel=SLOPE_TOLERANCE)
