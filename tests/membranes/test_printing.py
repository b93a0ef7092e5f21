"""A membrane is printed as a paper would: formulas, usual values and units."""

import re
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_membranes import LTS_WITH_CALCIUM

from hhplug import membranes
from hhplug.membranes.description import Channel, Gate
from hhplug.membranes.expressions import (
    Binary,
    Call,
    InvalidExpression,
    Name,
    Negative,
    Number,
    Power,
    parse,
)
from hhplug.membranes.latex import latex
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.printing import printed, printed_number

RS = """\
Membrane RS, rates at 36 °C

C_m dV/dt = I_ext − g_Na m³h (V − E_Na) − g_K n⁴ (V − E_K) − g_M p (V − E_K)
            − g_L (V − E_L)

dm/dt = α_m (1 − m) − β_m m
    α_m = 0.32 (V − V_T − 13) / (1 − exp(−(V − V_T − 13) / 4))
    β_m = 0.28 (V − V_T − 40) / (exp((V − V_T − 40) / 5) − 1)
dh/dt = α_h (1 − h) − β_h h
    α_h = 0.128 exp(−(V − V_T − 17) / 18)
    β_h = 4 / (1 + exp(−(V − V_T − 40) / 5))
dn/dt = α_n (1 − n) − β_n n
    α_n = 0.032 (V − V_T − 15) / (1 − exp(−(V − V_T − 15) / 5))
    β_n = 0.5 exp(−(V − V_T − 10) / 40)
dp/dt = (p_∞ − p) / τ_p
    p_∞ = 1 / (1 + exp(−(V + 35) / 10))
    τ_p = tau_max / (3.3 exp((V + 35) / 20) + exp(−(V + 35) / 20))

parameter  value    unit
C_m           1     µF/cm²
g_Na         50     mS/cm²
g_K           5     mS/cm²
g_M           0.07  mS/cm²
g_L           0.1   mS/cm²
E_Na         50     mV
E_K         −90     mV
E_L         −70     mV
V_T         −55     mV
tau_max    1000     ms

V in mV, t in ms, I_ext in µA/cm², α and β in 1/ms, τ in ms"""


def test_a_membrane_is_printed_with_equations_values_and_units():
    assert str(membranes.RS) == RS


@pytest.mark.parametrize(
    ("membrane", "line"),
    [
        (membranes.WB, "m = α_m / (α_m + β_m)"),
        (membranes.WB, "dh/dt = phi (α_h (1 − h) − β_h h)"),
        (membranes.LTS, "s = 1 / (1 + exp(−(V + V_x + 57) / 6.2))"),
        (membranes.LTS, "du/dt = phi (u_∞ − u) / τ_u"),
        (membranes.squid.at(16.3), "Membrane squid at 16.3 °C"),
        (membranes.squid.at(16.3), "dm/dt = 3 (α_m (1 − m) − β_m m)"),
        (membranes.CS, "            − g_L (V − E_L)"),
        (LTS_WITH_CALCIUM, "dCa/dt = −Ca_per_current I_T − (Ca − Ca_rest) / Ca_tau"),
        (LTS_WITH_CALCIUM, "    I_T = g_T s²u (V − E_T)"),
        (LTS_WITH_CALCIUM, "Ca_per_current     5.182e-5            mM/ms per µA/cm²"),
        (LTS_WITH_CALCIUM, "V in mV, t in ms, I_ext in µA/cm², α and β in 1/ms, τ in ms, Ca in mM"),
    ],
)
def test_special_gates_and_pools_have_their_lines(membrane, line):
    assert line in str(membrane).split("\n")


def test_computed_conductances_are_in_parentheses_where_they_must_be():
    membrane = Membrane(
        "mine",
        A=Channel("m_A", g="a + b", E="c - 10", m_A=Gate(inf=0.5, tau=1.0, speed="a + b")),
        B=Channel(g="a / b", E="-c"),
        a=1.0,
        b=1.0,
        c=1.0,
    )
    lines = str(membrane).split("\n")
    assert lines[2] == ("C_m dV/dt = I_ext − (a + b) m_A (V − (c − 10)) − (a / b) (V − (−c))")
    assert "dm_A/dt = (a + b) (m_A_∞ − m_A) / τ_m_A" in lines


def test_a_repr_is_one_short_line():
    assert repr(membranes.RS) == "<Membrane RS: V m h n p, 10 parameters>"


@pytest.mark.parametrize(
    ("text", "paper"),
    [
        ("((V + 40))", "V + 40"),
        ("(2 * V) * 3", "2 V · 3"),
        ("2 * (V + 1)", "2 (V + 1)"),
        ("V / 2 * k", "(V / 2) k"),
        ("V / (2 * k)", "V / (2 k)"),
        ("V / 2 / k", "V / 2 / k"),
        ("V - (k - 1)", "V − (k − 1)"),
        ("V - k - 1", "V − k − 1"),
        ("-(V + 1)", "−(V + 1)"),
        ("-V + 1", "−V + 1"),
        ("1 + -V", "1 + (−V)"),
        ("-V * k", "−V k"),
        ("V * -k", "V (−k)"),
        ("-(-V)", "−(−V)"),
        ("(-V)**2", "(−V)²"),
        ("-V**2", "−V²"),
        ("(V + 1)**-2", "(V + 1)⁻²"),
        ("(V**2)**3", "(V²)³"),
        ("exp(V)**2", "exp(V)²"),
        ("V**(1/3)", "V^(1/3)"),
        ("V**0.5", "V^0.5"),
        ("V**-0.5", "V^(−0.5)"),
        ("5.182e-5 * V", "5.182e-5 V"),
        ("1e22 * V", "1e22 V"),
        ("120.0 * V", "120 V"),
    ],
)
def test_parentheses_are_as_few_as_possible(text, paper):
    assert printed(parse(text)) == paper


def test_numbers_without_a_short_decimal_are_fractions():
    assert printed_number(Fraction(-1, 3)) == "−1 / 3"
    assert printed(Binary("*", Number(Fraction(1, 3)), Name("V"))) == "(1 / 3) V"
    assert printed(Power(Number(Fraction(1, 3)), Fraction(2))) == "(1 / 3)²"


numbers = st.builds("{}e{}".format, st.integers(0, 9999), st.integers(-8, 3)).map(parse)
symbols = st.sampled_from(["V", "k", "tau_max", "x1"]).map(Name)
exponents = st.sampled_from(["2", "13", "-1", "0.5", "1/3", "-2.5"]).map(Fraction)
expressions = st.recursive(
    numbers | symbols,
    lambda parts: st.one_of(
        st.builds(Negative, parts),
        st.builds(Binary, st.sampled_from("+-*/"), parts, parts),
        st.builds(Power, parts, exponents),
        st.builds(Call, st.sampled_from(["exp", "tanh"]), parts),
    ),
    max_leaves=12,
)


def with_dots(paper):
    """Put a · for each space that means a product, so that the text can be parsed."""
    return re.sub(r"(?<=[\w)]) (?=[\w(])", "·", paper)


def with_signs_first(node):
    """Write (−a) b as −(a b), which is printed alike and has the same bits."""
    match node:
        case Binary(operator, left, right):
            left, right = with_signs_first(left), with_signs_first(right)
            if operator in "*/" and isinstance(left, Negative):
                return Negative(Binary(operator, left.of, right))
            return Binary(operator, left, right)
        case Negative(of):
            return Negative(with_signs_first(of))
        case Power(base, exponent):
            return Power(with_signs_first(base), exponent)
        case Call(function, argument):
            return Call(function, with_signs_first(argument))
    return node


@settings(max_examples=100)
@given(expressions)
def test_printed_text_means_the_same_expression(node):
    try:
        again = parse(with_dots(printed(node)))
    except InvalidExpression as error:
        assert "a division by zero" in str(error)  # noqa: PT017
    else:
        assert with_signs_first(again) == with_signs_first(node)


@given(expressions)
def test_the_fewest_parentheses_leave_none_that_could_go(node):
    """Without a pair of parentheses that isn't a function's, the text means something else."""
    text = printed(node)
    opened = []
    for place, character in enumerate(text):
        if character == "(":
            opened.append(place)
        elif character == ")":
            first = opened.pop()
            if text[:first].endswith(("exp", "tanh", "^")) or _reads_badly(text, first, place):
                continue
            shorter = text[:first] + text[first + 1 : place] + text[place + 1 :]
            with suppress(InvalidExpression):
                again = parse(with_dots(shorter))
                assert with_signs_first(again) != with_signs_first(node), text


def _reads_badly(text, first, last):
    """Whether parentheses are for the reader: around a minus, or a quotient before a factor."""
    within = text[first + 1 : last]
    return within.startswith("−") or ("/" in within and text[last + 1 : last + 2] == " ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("g_Na * tau_max", r"g_{\mathrm{Na}} \, \tau_{\mathrm{max}}"),
        ("V_T + phi * Ca", r"V_{T} + \phi \, \mathrm{Ca}"),
        ("V / (2 * k)", r"\frac{V}{2 \, k}"),
        ("(V - 1) * 3", r"\left(V - 1\right) \cdot 3"),
        ("V - (k - 1)", r"V - \left(k - 1\right)"),
        ("V - (k + 1)", r"V - \left(k + 1\right)"),
        ("V + (k - 1)", "V + k - 1"),
        ("exp(-(V + 40) / 10)", r"e^{-\left(V + 40\right) / 10}"),
        ("exp(V)**2", r"\left(e^{V}\right)^{2}"),
        ("(V / k)**2", r"\left(\frac{V}{k}\right)^{2}"),
        ("-(V + 1)", r"-\left(V + 1\right)"),
        ("V * -k", r"V \, \left(-k\right)"),
        ("V**(1/3)", r"V^{\frac{1}{3}}"),
        ("5.182e-5 * V", r"5.182 \times 10^{-5} \, V"),
        ("sqrt(V) + log(V + 1)", r"\sqrt{V} + \ln\left(V + 1\right)"),
        ("tanh(V / 2)", r"\tanh\left(\frac{V}{2}\right)"),
    ],
)
def test_an_expression_in_LaTeX(text, expected):
    assert latex(parse(text)) == expected


@pytest.mark.parametrize(
    "membrane",
    [
        membranes.CS,
        membranes.WB,
        LTS_WITH_CALCIUM,
        membranes.squid.at(16.3),
        Membrane("mine", A=Channel("m_A", g=1.0, E=0.0, m_A=Gate(inf=0.5, tau=1.0))),
    ],
    ids=repr,
)
def test_every_equation_in_LaTeX_can_be_set(membrane):
    """Matplotlib sets a part of LaTeX that has no alignment."""
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    text = membrane._repr_latex_()
    first, *lines, last = text.split("\n")
    assert (first, last) == (r"$$\begin{aligned}", r"\end{aligned}$$")
    assert len(lines) > len(membrane.states)
    for line in lines:
        left, right = line.removesuffix(r" \\").split("&")
        mathtext.parse(f"${left or '{}'}{right}$")
