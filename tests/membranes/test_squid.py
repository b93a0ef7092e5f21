"""The rates agree with the formulas as Hodgkin & Huxley printed them."""

import numpy as np
import pytest
from rates import squid_rate

from hhplug.membranes import squid

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
    error = np.abs(squid_rate(rate, V) / paper(V)[rate] - 1)
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
        assert np.abs(squid_rate(rate, V) / expected - 1.0).max() < FLOAT64_RATE_BOUND


def test_the_derivatives_of_settled_gates_are_zero():
    state = squid.equations.settled(V, squid.equations.defaults)
    slopes = squid.equations.derivative(state, np.zeros(1), squid.equations.defaults)
    assert np.abs(slopes[1:]).max() < 1e-12


def test_settled_gates_at_rest_are_those_of_the_brian2_run(brian2):
    V, *gates = squid.equations.settled(-65.0, squid.equations.defaults)
    assert V == -65.0
    assert np.abs(gates - brian2["gates0"]).max() < 1e-15
