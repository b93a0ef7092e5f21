"""The rates agree with the formulas as Hodgkin & Huxley printed them."""

import numpy as np
import pytest

from hhplug import HHParameters, model

# The spacing is odd, so that −40 and −55 mV, where the paper's formulas are 0/0, are not hit.
V = np.linspace(-150.0, 150.0, 9973)

FLOAT64_RATE_BOUND = 1e-13  # relative


def paper(V_absolute):
    """Eq. 12, 13, 20, 21, 23, 24 of J. Physiol. 117 (1952) in extended precision.

    Their V is the displacement from rest in mV, negative for a depolarisation.
    """
    V = -(np.asarray(V_absolute, np.longdouble) + 65)
    exp = np.exp
    return {
        "alpha_n": 0.01 * (V + 10) / (exp((V + 10) / 10) - 1),
        "beta_n": 0.125 * exp(V / 80),
        "alpha_m": 0.1 * (V + 25) / (exp((V + 25) / 10) - 1),
        "beta_m": 4 * exp(V / 18),
        "alpha_h": 0.07 * exp(V / 20),
        "beta_h": 1 / (exp((V + 30) / 10) + 1),
    }


@pytest.mark.parametrize("rate", ["alpha_m", "beta_m", "alpha_h", "beta_h", "alpha_n", "beta_n"])
def test_rates_are_those_of_the_paper(rate):
    error = np.abs(getattr(model, rate)(V) / paper(V)[rate] - 1)
    assert error.max() < FLOAT64_RATE_BOUND


@pytest.mark.parametrize(
    ("rate", "V_singular", "limit"), [("alpha_m", -40.0, 1.0), ("alpha_n", -55.0, 0.1)]
)
def test_rates_keep_their_digits_around_the_removable_singularities(rate, V_singular, limit):
    # x/(1 − e^{−x}) = 1 + x/2 + x²/12 − …, of x = (V − V_singular)/10.
    distance = np.concatenate([[0.0], 10.0 ** np.arange(-13, -3)])
    for sign in (-1.0, 1.0):
        V = V_singular + sign * distance
        x = (V - V_singular) / 10.0
        expected = limit * (1.0 + x / 2.0 + x**2 / 12.0)
        assert np.abs(getattr(model, rate)(V) / expected - 1.0).max() < FLOAT64_RATE_BOUND


def test_the_derivatives_of_settled_gates_are_zero():
    m, h, n = model.settled_gates(V)
    still = {
        "m": model.alpha_m(V) * (1 - m) - model.beta_m(V) * m,
        "h": model.alpha_h(V) * (1 - h) - model.beta_h(V) * h,
        "n": model.alpha_n(V) * (1 - n) - model.beta_n(V) * n,
    }
    for name, derivative in still.items():
        assert np.abs(derivative).max() < 1e-12, name


def test_settled_gates_at_rest_are_those_of_the_brian2_run(brian2):
    assert np.abs(model.settled_gates(-65.0) - brian2["gates0"]).max() < 1e-15


def test_default_parameters_are_those_of_the_brian2_run(brian2):
    stored = ("p_cap", "p_gna", "p_gk", "p_gl", "p_ena", "p_ek", "p_el")
    assert list(vars(HHParameters()).values()) == pytest.approx([float(brian2[k]) for k in stored])


def test_parameters_show_all_seven_values():
    assert repr(HHParameters(g_K=30.0)) == (
        "HHParameters(C_m=1.0, g_Na=120.0, g_K=30.0, g_L=0.3, E_Na=50.0, E_K=-77.0, E_L=-54.387)"
    )
    assert "..." in repr(HHParameters(g_Na=np.linspace(90, 150, 1000)))


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("gNa", "g_Na"), ("G_K", "g_K"), ("EL", "E_L"), ("Cm", "C_m")]
)
def test_the_error_for_a_misspelt_parameter_has_a_suggestion(misspelt, meant):
    with pytest.raises(TypeError, match=f"has no argument '{misspelt}'.*Did you mean '{meant}'"):
        HHParameters(**{misspelt: 1.0})
