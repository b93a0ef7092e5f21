"""The membranes of the library have the published rates, constants and states.

The formulas are written here once more, in NumPy.
"""

import subprocess
import sys

import numpy as np
import pytest
from numpy import exp

from hhplug import membranes

RELATIVE = 1e-13  # of a rate written plainly in NumPy, away from 0/0. Found: 1.9e-14
DIFFERENCE = 1e-12  # µA/cm², rounding in a difference of slopes. Found: 1.1e-14
V = np.linspace(-150.0, 150.0, 997)  # mV; no quotient is 0/0 at any of them
V_T, V_X, TAU_MAX = -55.0, 2.0, 1000.0  # mV, mV, ms

w = V - V_T
TRAUB = {
    "m": (0.32 * (w - 13) / (1 - exp(-(w - 13) / 4)), 0.28 * (w - 40) / (exp((w - 40) / 5) - 1)),
    "h": (0.128 * exp(-(w - 17) / 18), 4 / (1 + exp(-(w - 40) / 5))),
    "n": (0.032 * (w - 15) / (1 - exp(-(w - 15) / 5)), 0.5 * exp(-(w - 10) / 40)),
}
SLOW_K = {
    "p": (
        1 / (1 + exp(-(V + 35) / 10)),
        TAU_MAX / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20)),
    )
}
U = V + V_X
T_CURRENT = {
    "s": (1 / (1 + exp(-(U + 57) / 6.2)), np.zeros_like(V)),
    "u": (
        1 / (1 + exp((U + 81) / 4)),
        (30.8 + (211.4 + exp((U + 113.2) / 5)) / (1 + exp((U + 84) / 3.2))) / 3**1.2,
    ),
}
WANG_BUZSAKI = {
    "h": (5 * 0.07 * exp(-(V + 58) / 20), 5 / (1 + exp(-(V + 28) / 10))),
    "n": (5 * 0.01 * (V + 34) / (1 - exp(-(V + 34) / 10)), 5 * 0.125 * exp(-(V + 44) / 80)),
}
ALPHA_M, BETA_M = 0.1 * (V + 35) / (1 - exp(-(V + 35) / 10)), 4 * exp(-(V + 60) / 18)
CONNOR_STEVENS = {
    "m": (0.38 * (V + 29.7) / (1 - exp(-0.1 * (V + 29.7))), 15.2 * exp(-0.0556 * (V + 54.7))),
    "h": (0.266 * exp(-0.05 * (V + 48)), 3.8 / (1 + exp(-0.1 * (V + 18)))),
    "n": (0.02 * (V + 45.7) / (1 - exp(-0.1 * (V + 45.7))), 0.25 * exp(-0.0125 * (V + 55.7))),
}
A_CURRENT = {
    "a": (
        np.cbrt(0.0761 * exp(0.0314 * (V + 94.22)) / (1 + exp(0.0346 * (V + 1.17)))),
        0.3632 + 1.158 / (1 + exp(0.0497 * (V + 55.96))),
    ),
    "b": (
        (1 / (1 + exp(0.0688 * (V + 53.3)))) ** 4,
        1.24 + 2.678 / (1 + exp(0.0624 * (V + 50))),
    ),
}
BY_RATES = {"RS": TRAUB, "FS": TRAUB, "LTS": TRAUB, "WB": WANG_BUZSAKI, "CS": CONNOR_STEVENS}
BY_TIME = {
    "RS": SLOW_K,
    "FS": {},
    "LTS": SLOW_K | T_CURRENT,
    "WB": {"m": (ALPHA_M / (ALPHA_M + BETA_M), np.zeros_like(V))},
    "CS": A_CURRENT,
}


@pytest.mark.parametrize("name", BY_RATES)
def test_rates_are_the_published_formulas(name):
    rates = getattr(membranes, name).rates(V)
    assert rates.keys() == BY_RATES[name].keys() | BY_TIME[name].keys()
    for gate, (alpha, beta) in BY_RATES[name].items():
        np.testing.assert_allclose(rates[gate].alpha, alpha, rtol=RELATIVE)
        np.testing.assert_allclose(rates[gate].beta, beta, rtol=RELATIVE)
        np.testing.assert_allclose(rates[gate].inf, alpha / (alpha + beta), rtol=RELATIVE)
        np.testing.assert_allclose(rates[gate].tau, 1 / (alpha + beta), rtol=RELATIVE)
    for gate, (inf, tau) in BY_TIME[name].items():
        np.testing.assert_allclose(rates[gate].inf, inf, rtol=RELATIVE)
        np.testing.assert_allclose(rates[gate].tau, tau, rtol=RELATIVE)


# Values, currents and states as the papers have them: g and E in mS/cm² and mV.
CORTICAL = {"C_m": 1, "g_Na": 50, "E_Na": 50, "E_K": -90, "E_L": -70, "V_T": -55}
PARAMETERS = {
    "squid": {
        "C_m": 1,
        "g_Na": 120,
        "g_K": 36,
        "g_L": 0.3,
        "E_Na": 50,
        "E_K": -77,
        "E_L": -54.387,
    },
    "RS": CORTICAL | {"g_K": 5, "g_M": 0.07, "g_L": 0.1, "tau_max": 1000},
    "FS": CORTICAL | {"g_K": 10, "g_L": 0.15},
    "LTS": CORTICAL
    | {"g_K": 5, "g_M": 0.03, "g_L": 0.01, "tau_max": 1000, "g_T": 0.4, "E_T": 120}
    | {"V_x": 2, "phi": 3**1.2},
    "WB": {
        "C_m": 1,
        "g_Na": 35,
        "E_Na": 55,
        "g_K": 9,
        "E_K": -90,
        "g_L": 0.1,
        "E_L": -65,
        "phi": 5,
    },
    "CS": {"C_m": 1, "g_Na": 120, "g_K": 20, "g_A": 47.7, "g_L": 0.3}
    | {"E_Na": 55, "E_K": -72, "E_A": -75, "E_L": -17},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_have_the_published_values_and_a_unit(name):
    parameters = getattr(membranes, name).parameters
    assert {key: p.value for key, p in parameters.items()} == PARAMETERS[name]
    units = {"C": "µF/cm²", "g": "mS/cm²", "E": "mV", "V": "mV", "tau": "ms", "phi": ""}
    assert {key: p.unit for key, p in parameters.items()} == {
        key: units[key.partition("_")[0]] for key in parameters
    }


STATES = {
    "squid": "V m h n",
    "RS": "V m h n p",
    "FS": "V m h n",
    "LTS": "V m h n p u",
    "WB": "V h n",
    "CS": "V m h n a b",
}


@pytest.mark.parametrize("name", STATES)
def test_states_have_the_order_of_the_channels(name):
    assert getattr(membranes, name).states == tuple(STATES[name].split())


def products(name, x, p, V):
    """Return the currents as the papers write them."""
    na_k = {
        "Na": p["g_Na"] * x["m"] ** 3 * x["h"] * (V - p["E_Na"]),
        "K": p["g_K"] * x["n"] ** 4 * (V - p["E_K"]),
        "L": p["g_L"] * (V - p["E_L"]),
    }
    more = {}
    if name in ("RS", "LTS"):
        more["M"] = p["g_M"] * x["p"] * (V - p["E_K"])
    if name == "LTS":
        more["T"] = p["g_T"] * x["s"] ** 2 * x["u"] * (V - p["E_T"])
    if name == "CS":
        more["A"] = p["g_A"] * x["a"] ** 3 * x["b"] * (V - p["E_A"])
    return na_k | more


@pytest.mark.parametrize("name", STATES)
def test_currents_and_derivatives_are_those_of_the_paper(name):
    membrane = getattr(membranes, name)
    p, voltages = PARAMETERS[name], np.array([-80.0, -51.0, 3.0])
    rates = membrane.rates(voltages)
    state = np.full((len(membrane.states), 3), 0.25)
    state[0] = voltages
    x = {gate: r.inf if np.all(r.tau == 0.0) else 0.25 for gate, r in rates.items()}
    currents = products(name, x, p, voltages)
    slopes = membrane.equations.derivative(state, 7.0, membrane.equations.defaults)
    np.testing.assert_allclose(slopes[0], 7.0 - sum(currents.values()), rtol=RELATIVE)
    for row, gate in enumerate(membrane.states[1:], 1):
        np.testing.assert_allclose(
            slopes[row], (rates[gate].inf - 0.25) / rates[gate].tau, rtol=RELATIVE
        )
    for channel, current in currents.items():  # C_m is 1 µF/cm², so dV/dt is I_ext − ΣI
        without = {**membrane.equations.defaults, f"g_{channel}": 0.0}
        more = membrane.equations.derivative(state, 7.0, without)[0] - slopes[0]
        np.testing.assert_allclose(more, current, atol=DIFFERENCE)


def test_a_misspelt_membrane_is_an_AttributeError_with_the_right_name():
    with pytest.raises(AttributeError, match=r"it has CS, FS, .*squid\. Did you mean 'WB'"):
        membranes.Wb  # noqa: B018


def test_other_membranes_than_squid_are_made_when_they_are_used():
    script = (
        "import sys; from hhplug import membranes\n"
        "before = 'hhplug.membranes.pospischil' in sys.modules\n"
        "print(before, membranes.RS.name, dir(membranes).count('WB'), membranes.squid.name)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False RS 1 squid\n", "")
