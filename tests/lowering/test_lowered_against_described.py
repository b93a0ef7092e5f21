"""A lowered step is the step that the description gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from made_membranes import made_membranes
from program_steps import described, population, stepped

from hhplug.lowering.lower import lowered
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.description import CalciumPool, Channel, Gate
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.squid import squid

BOUND = 1e-12  # of a state's largest value, after one step in float64
DOUBLE = [name for name in TARGETS if name.endswith("64")]
SINGLE = [name for name in TARGETS if name.endswith("32")]
SINGLE_BOUND = 2e-6  # the same in float32, of which one rounding is 6e-8

VOLTAGES = np.linspace(-150.0, 150.0, 301)  # mV

LEAK = Channel(g=0.2, E=-65.0)
FORMS = {
    "slopes that are parameters": Membrane(
        "m",
        K=Channel(
            "n**2 * q",
            g=10.0,
            E=-80.0,
            n=Gate(alpha="0.05 * (V - V_h) / (1 - exp(-(V - V_h) / k))", beta="0.2 * exp(-V / k2)"),
            q=Gate(inf="1 / (1 + exp(-(V + 30) / k))", tau="2 + 50 / (exp(V / k) + exp(-V / 25))"),
        ),
        L=LEAK, V_h=-40.0, k=9.0, k2=33.0,
    ),
    "a Nernst potential and calcium in alpha": Membrane(
        "m",
        T=Channel("s * s", g=0.3, E="12.9 * log(Ca_o / Ca)",
                  s=Gate(inf="0.5 * (1 + tanh((V + 20) / 9))", tau="1 / cosh((V + 20) / 18)")),
        H=Channel("w", g=2.0, E=-85.0, w=Gate(alpha="100 * Ca / (0.001 + Ca)", beta=0.5)),
        Ca=CalciumPool("T", per_current=1e-4, rest=1e-4, tau=80.0),
        Ca_o=2.0, L=LEAK,
    ),
    "a linoid times calcium, in two ways": Membrane(
        "m",
        T=Channel("s * w", g=0.3, E=120.0,
                  s=Gate(alpha="2e3 * Ca * (V + 40) / (1 - exp(-(V + 40) / 9))", beta=0.5),
                  w=Gate(alpha="exp(-90 * Ca) * (V + 9) / (exp((V + 9) / 7) - 1)", beta=0.1)),
        Ca=CalciumPool("T", per_current=1e-4, rest=1e-4, tau=80.0),
        L=LEAK,
    ),
    "half-activations that calcium shifts": Membrane(
        "m",
        T=Channel("s * w", g=0.3, E=120.0,
                  s=Gate(inf="1 / (1 + exp(-(V + 20 + 1000 * Ca) / 9))", tau="1 + exp(V / 18)"),
                  w=Gate(alpha="0.1 * (V - 1e5 * Ca) / (1 - exp(-(V - 1e5 * Ca) / 9))", beta=0.5)),
        Ca=CalciumPool("T", per_current=1e-4, rest=1e-4, tau=80.0),
        L=LEAK,
    ),
    "roots and fractional powers": Membrane(
        "m", L=LEAK,
        K=Channel("n", g=10.0, E=-80.0,
                  n=Gate(alpha="sqrt(0.1 + 0.01 * exp(V / 20))", beta="(1 + exp(-V / 15))^(-1/2)")),
    ),
    "rates that are numbers": Membrane(
        "m", L=LEAK, K=Channel("n", g=10.0, E=-80.0, n=Gate(inf=0.3, tau=5.0))
    ),
    "no gate": Membrane("m", L=LEAK),
    "a conductance that is an expression": Membrane(
        "m", L=LEAK, M=Channel(g="0.5 * g_L + g_0", E="E_L - 10"), g_0=0.1
    ),
}  # fmt: skip


@pytest.mark.parametrize("target", DOUBLE)
@pytest.mark.parametrize("form", FORMS)
def test_a_step_of_every_form_is_that_of_the_description(form, target):
    membrane = FORMS[form]
    inputs = population(membrane)
    expected = described(membrane, *inputs)
    error = np.abs(stepped(lowered(membrane, target), *inputs) - expected)
    assert (error.max(axis=1) < BOUND * np.abs(expected).max(axis=1)).all()


@settings(max_examples=8, deadline=None)
@given(membrane=made_membranes())
def test_a_step_of_a_made_membrane_is_that_of_the_description(membrane):
    inputs = population(membrane, n=65)
    fastest = min(
        rates.tau.min() for rates in membrane.rates(VOLTAGES).values() if rates.alpha is not None
    )
    dt = min(0.01, 0.1 * fastest)  # ms; a step beyond the stability limit magnifies roundings
    expected = described(membrane, *inputs, dt)
    for target in DOUBLE:
        error = np.abs(stepped(lowered(membrane, target), *inputs, dt=dt) - expected)
        assert (error.max(axis=1) < BOUND * np.abs(expected).max(axis=1)).all(), target


@pytest.mark.parametrize("target", SINGLE)
def test_a_step_in_float32_has_the_error_of_float32(target):
    inputs = population(squid)
    expected = described(squid, *inputs)
    error = np.abs(stepped(lowered(squid, target), *inputs, dtype=np.float32) - expected)
    assert (error.max(axis=1) < SINGLE_BOUND * np.abs(expected).max(axis=1)).all()


@pytest.mark.parametrize("target", TARGETS)
def test_gates_and_parameters_may_have_names_like_those_of_operations(target):
    gate = Gate(alpha="0.1 * exp(V / t8) + r8", beta="s0 * exp(-V / 20)")
    other = Gate(inf="1 / (1 + exp(-V / m0))", tau="2 + t30")
    membrane = Membrane(
        "m",
        K=Channel("t3 * t14", g=10.0, E=-80.0, t3=gate, t14=other),
        L=LEAK,
        t8=20.0, r8=0.1, s0=0.3, m0=9.0, t30=1.0,
    )  # fmt: skip
    inputs = population(membrane)
    expected = described(membrane, *inputs)
    error = np.abs(stepped(lowered(membrane, target), *inputs) - expected)
    assert (error.max(axis=1) < BOUND * np.abs(expected).max(axis=1)).all()
