"""The resting state agrees with SciPy's brentq, and loses stability at the known current."""

import numpy as np
import pytest
from made_up_membranes import CALCIUM, SLOW
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq

from hhplug import HHParameters, InvalidInput, Problem, Simulator
from hhplug.membranes import WB, squid
from hhplug.membranes.parameters import checked_parameters
from hhplug.rest import resting_state, steady_current

VOLTAGE_TOLERANCE = 1e-9  # mV; brentq's
# µA/cm², the current at which the axon's resting state loses stability, by continuation (Rinzel &
# Miller 1980, Hassard 1978).
HOPF = 9.78


def values_of(**changes):
    return checked_parameters(changes, squid)


def rest_by_brentq(**changes):
    p = values_of(**changes)

    def outward(V):
        state = squid.equations.settled(V, p)[:, np.newaxis]
        return -squid.equations.derivative(state, np.zeros(1), p)[0, 0]

    voltages = np.arange(-100.0, 60.0, 0.01)
    first = next(V for V in voltages if outward(V) >= 0.0)
    return brentq(outward, first - 0.01, first, xtol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [{}, {"g_Na": 100.0}, {"g_K": 30.0, "g_L": 0.4}, {"E_K": -90.0}, {"g_Na": 0.0, "g_K": 0.0}],
)
def test_rest_is_the_root_of_the_steady_current(changes):
    state = resting_state(squid, values_of(**changes))
    V = state[0]
    assert abs(V[0] - rest_by_brentq(**changes)) < VOLTAGE_TOLERANCE
    assert_allclose(state, squid.equations.settled(V, values_of(**changes)), rtol=1e-15)


def test_a_population_at_rest_stays_there():
    parameters = HHParameters(g_Na=np.linspace(100.0, 130.0, 7), E_L=np.linspace(-56.0, -53.0, 7))
    run = Simulator("numpy", "float64", parameters).run(20.0, initial_state="rest")
    assert run.V.shape == (2000, 7)
    assert np.ptp(run.V, axis=0).max() < VOLTAGE_TOLERANCE
    assert len(np.unique(run.V[0])) == 7


def test_the_lowest_of_three_roots_is_taken():
    # With little K current there are a resting state, a threshold and a depolarised state.
    changes = {"g_K": 3.0, "g_L": 0.5, "E_L": -70.0}
    p = values_of(**changes)
    voltages = np.arange(-80.0, 50.0, 0.01)
    signs = np.sign(steady_current(squid.equations, voltages, dict(p)))
    assert np.count_nonzero(np.diff(signs)) == 3
    state = resting_state(squid, p)
    assert abs(state[0, 0] - rest_by_brentq(**changes)) < VOLTAGE_TOLERANCE
    assert state[0, 0] < -60.0


def test_an_unstable_resting_state_gives_a_warning():
    # A current I is a leak whose reversal potential is higher by I/g_L.
    def with_current(I_ext):
        return values_of(E_L=-54.387 + np.asarray(I_ext) / 0.3)

    resting_state(squid, with_current(HOPF - 0.02))
    with pytest.warns(RuntimeWarning, match="state of 1 of 3 neurons is unstable, the first neur"):
        resting_state(squid, with_current([0.0, HOPF + 0.02, 5.0]))


def test_a_membrane_without_a_conductance_raises_InvalidInput():
    parameters = HHParameters(g_Na=[1.0, 0.0], g_K=[0.0, 0.0], g_L=[0.3, 0.0])
    with pytest.raises(InvalidInput, match="needs a conductance above zero in every neuron"):
        Problem(1.0, parameters=parameters, initial_state="rest")


@pytest.mark.parametrize("word", ["resting", "Rest", ""])
def test_other_strings_are_refused_as_initial_state(word):
    with pytest.raises(InvalidInput, match=f"an array of V, m, h, n or 'rest', got '{word}'"):
        Problem(1.0, initial_state=word)


@pytest.mark.filterwarnings("ignore:the resting state of")
def test_the_resting_state_does_not_depend_on_the_other_neurons():
    rng = np.random.default_rng(7)
    low, high = (90.0, 30.0, 0.2, 45.0, -95.0, -60.0), (150.0, 42.0, 0.4, 55.0, -70.0, -50.0)
    names = ("g_Na", "g_K", "g_L", "E_Na", "E_K", "E_L")
    values = dict(zip(names, rng.uniform(low, high, (200, 6)).T, strict=True))
    together = resting_state(squid, values_of(**values))
    for neuron in range(200):
        alone = values_of(**{name: value[neuron] for name, value in values.items()})
        assert_array_equal(resting_state(squid, alone)[:, 0], together[:, neuron])


def test_reversal_potentials_far_apart_are_searched_too():
    p = values_of(g_Na=1e-9, E_Na=1e6, g_K=1e-9, E_K=-1e6, g_L=[0.3, 0.3])
    assert np.abs(resting_state(squid, p)[0] + 54.387).max() < 0.01


@pytest.mark.parametrize("membrane", [WB, SLOW, CALCIUM], ids=lambda membrane: membrane.name)
def test_any_membrane_at_rest_stays_there(membrane):
    # The tolerance is relative to 1 mV, to a gate's 1, and to a concentration.
    parameters = {"g_L": np.linspace(0.15, 0.4, 7)}
    simulator = Simulator("reference", membrane=membrane, parameters=parameters)
    run = simulator.run(5.0, initial_state="rest", record_all=True, record_every=50)
    assert run.final_state.shape == (len(membrane.states), 7)
    for name in membrane.states:
        size = run[name].max() if name in membrane.reading.pools else 1.0
        assert np.ptp(run[name], axis=0).max() < VOLTAGE_TOLERANCE * size, name
    assert len(np.unique(run.V[0])) == 7


def test_a_pool_at_rest_balances_the_current_that_fills_it():
    p = checked_parameters({"g_Ca": 0.5, "g_Na": 0.0}, CALCIUM)
    state = dict(zip(CALCIUM.states, resting_state(CALCIUM, p)[:, 0], strict=True))
    V, s, Ca = state["V"], state["s"], state["Ca_i"]
    inward = -0.5 * s**2 * (V - 13.3 * np.log(2.0 / Ca))
    assert inward > 0.0
    assert_allclose(Ca, 1e-4 + 50.0 * 2e-4 * inward, rtol=1e-9)
    slopes = CALCIUM.equations.derivative(resting_state(CALCIUM, p), np.zeros(1), p)
    assert np.abs(slopes).max() < VOLTAGE_TOLERANCE


@pytest.mark.filterwarnings("ignore:the resting state of")
def test_concentrations_at_rest_do_not_depend_on_the_other_neurons():
    rng = np.random.default_rng(1)
    names, low, high = ("g_Ca", "E_L", "g_L", "Ca_i_tau"), (0, -75, 0.1, 5), (0.6, -45, 0.5, 200)
    values = dict(zip(names, rng.uniform(low, high, (31, 4)).T, strict=True))
    together = resting_state(CALCIUM, checked_parameters(values, CALCIUM))
    for neuron in range(31):
        alone = checked_parameters({name: v[neuron] for name, v in values.items()}, CALCIUM)
        assert_array_equal(resting_state(CALCIUM, alone)[:, 0], together[:, neuron])
