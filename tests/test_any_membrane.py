"""A run follows the states and the parameters of its membrane."""

import pickle

import numpy as np
import pytest
from made_up_membranes import CALCIUM, SLOW
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

import hhplug
from hhplug import InvalidInput, NotRecorded, Problem, Result, Simulator, Stimulus, simulate
from hhplug.membranes import WB, squid
from hhplug.plugins.discovery import entry


def paper_of_wang_and_buzsaki(state, I_ext):
    """dV/dt, dh/dt and dn/dt as J. Neurosci. 16 (1996), p. 6403, prints them."""
    V, h, n = state
    a_m, b_m = -0.1 * (V + 35) / (np.exp(-0.1 * (V + 35)) - 1), 4 * np.exp(-(V + 60) / 18)
    a_h, b_h = 0.07 * np.exp(-(V + 58) / 20), 1 / (np.exp(-0.1 * (V + 28)) + 1)
    a_n, b_n = -0.01 * (V + 34) / (np.exp(-0.1 * (V + 34)) - 1), 0.125 * np.exp(-(V + 44) / 80)
    m = a_m / (a_m + b_m)
    I_Na, I_K, I_L = 35 * m**3 * h * (V - 55), 9 * n**4 * (V + 90), 0.1 * (V + 65)
    return [
        I_ext - I_Na - I_K - I_L,
        5 * (a_h * (1 - h) - b_h * h),
        5 * (a_n * (1 - n) - b_n * n),
    ]


@pytest.mark.parametrize("n", [1, 31, 257])
def test_the_interneuron_of_wang_and_buzsaki_is_that_of_the_paper(n):
    current = np.linspace(0.0, 3.0, n)
    start = [-64.0, 0.78, 0.09]
    run = Simulator("reference", membrane=WB).run(
        10.0, dt=0.005, stimulus=Stimulus.constant(current), record_all=True, initial_state=start
    )
    assert list(run) == ["V", "h", "n"]
    assert run.final_state.shape == (3, n)
    for neuron in {0, n // 2, n - 1}:
        exact = solve_ivp(
            lambda _, y, i=neuron: paper_of_wang_and_buzsaki(y, current[i]),
            (0.0, 10.0), start, method="DOP853", rtol=1e-11, atol=1e-11,
        ).y[:, -1]  # fmt: skip
        assert_allclose(run.final_state[:, neuron], exact, rtol=0.0, atol=1e-4)


def test_the_reference_runs_a_membrane_with_a_pool_and_continues_it_bit_for_bit():
    simulator = Simulator("reference", membrane=CALCIUM, parameters={"g_Ca": [0.1, 0.2, 0.4]})
    stimulus = Stimulus.constant(10.0)
    whole = simulator.run(4.0, stimulus=stimulus, record_all=True, record_every=7)
    first = simulator.run(1.5, stimulus=stimulus, record_all=True, record_every=7)
    second = simulator.run(2.5, stimulus=stimulus, record_all=True, record_every=7, resume=first)
    joined = hhplug.concat([first, second])
    for name in CALCIUM.states:
        assert_array_equal(joined[name], whole[name])
    assert_array_equal(second.final_state, whole.final_state)
    assert (np.diff(whole["Ca_i"][-1]) > 0.0).all(), "more Ca current fills the pool more"


def test_a_run_begins_at_minus_65_with_the_gates_settled_by_the_neurons_own_parameters():
    V_p = np.array([-50.0, -35.0, -20.0])
    state = Problem(1.0, membrane=SLOW, parameters={"V_p": V_p}).initial_state
    assert state.shape == (5, 3)
    assert_array_equal(state[0], -65.0)
    assert_allclose(state[4], 1.0 / (1.0 + np.exp((65.0 + V_p) / 10.0)), rtol=1e-14)
    assert_array_equal(state[1:4], np.repeat(Problem(1.0).initial_state[1:], 3, axis=1))
    at_rest = Problem(1.0, membrane=CALCIUM, parameters={"Ca_i_rest": [1e-4, 2e-4]}).initial_state
    assert_array_equal(at_rest[CALCIUM.states.index("Ca_i")], [1e-4, 2e-4])


@pytest.mark.parametrize("initial_state", [None, "rest"])
def test_parameters_of_different_lengths_are_refused_before_they_meet(initial_state):
    parameters = {"g_M": [0.0, 0.1], "V_p": [-40.0, -35.0, -30.0]}
    with pytest.raises(InvalidInput, match="g_M says 2 neurons, but V_p has 3"):
        Problem(1.0, membrane=SLOW, parameters=parameters, initial_state=initial_state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"record": ("m",)}, "'m'; choose from V, h, n"),
        ({"record": None}, "record must be names of V, h, n, got None"),
        ({"initial_state": [-65.0, 0.1, 0.2, 0.3]}, r"hold V, h, n in shape \(3,\), \(3, 1\) or"),
        ({"initial_state": [-65.0, 0.1, 1.2]}, "n of initial_state must be between 0 and 1"),
        ({"initial_state": "settled"}, "an array of V, h, n or 'rest', got 'settled'"),
        ({"parameters": {"g_M": 1.0}}, "parameters has 'g_M', but the membrane WB has C_m"),
    ],
)
def test_errors_name_the_states_and_parameters_of_the_membrane(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        Problem(1.0, membrane=WB, **arguments)


def test_a_negative_concentration_is_refused():
    state = Problem(1.0, membrane=CALCIUM).initial_state[:, 0].copy()
    state[CALCIUM.states.index("Ca_i")] = -1e-9
    with pytest.raises(InvalidInput, match="Ca_i of initial_state must be zero or more mM"):
        Problem(1.0, membrane=CALCIUM, initial_state=state)


def test_a_labelled_state_is_taken_in_the_order_of_the_membrane():
    xarray = pytest.importorskip("xarray")
    values = [[0.1, 0.2], [0.3, 0.4], [-65.0, -60.0]]
    state = xarray.DataArray(values, {"state": ["h", "n", "V"]}, ("state", "neuron"))
    with pytest.raises(InvalidInput, match="labelled V, h, n in this order along 'state'"):
        Problem(1.0, membrane=WB, initial_state=state)
    taken = Problem(1.0, membrane=WB, initial_state=state.sel(state=["V", "h", "n"])).initial_state
    assert_array_equal(taken, [[-65.0, -60.0], [0.1, 0.2], [0.3, 0.4]])


def test_a_result_of_other_states_cannot_be_continued():
    other = Simulator("reference", membrane=WB).run(0.1)
    with pytest.raises(InvalidInput, match=r"resume has the states V, h, n of the membrane WB"):
        Simulator("reference").run(0.1, resume=other)


def test_a_variable_that_the_membrane_does_not_have_is_a_KeyError_and_an_AttributeError():
    result = Simulator("reference", membrane=WB).run(0.1)
    with pytest.raises(KeyError, match="unknown variable 'm'; choose from time, V, h, n"):
        result["m"]
    assert not hasattr(result, "m")
    with pytest.raises(NotRecorded, match="h was not recorded"):
        _ = result.h
    assert "1 neuron of WB, " in repr(result)


@pytest.fixture
def for_squid():
    """Let the backends numpy and numba say that they compute the squid's membrane alone."""
    capabilities = [backend.spec.capabilities for backend in map(entry, ("numpy", "numba"))]
    for each in capabilities:
        object.__setattr__(each, "membranes", "squid")
    yield
    for each in capabilities:
        object.__setattr__(each, "membranes", "any")


@pytest.mark.usefixtures("for_squid")
def test_a_backend_written_for_the_squid_refuses_another_membrane_and_names_one_that_does():
    message = "'numpy' computes the squid membrane alone, got membrane WB; use one .*: .*reference"
    with pytest.raises(InvalidInput, match=message):
        Simulator("numpy", membrane=WB)
    with pytest.raises(InvalidInput, match=message):
        simulate(Problem(0.1, membrane=WB), "numpy")
    opened = hhplug.plugins.choice.choose("numpy")
    with pytest.raises(InvalidInput, match=message):
        simulate(Problem(0.1, membrane=WB), opened)


def test_auto_takes_the_fastest_backend_that_computes_the_membrane():
    assert Simulator(membrane=WB).backend == Simulator().backend != "reference"


@pytest.mark.usefixtures("for_squid")
def test_auto_takes_no_backend_that_does_not_compute_the_membrane():
    assert Simulator(membrane=WB).backend == "reference"
    assert simulate(Problem(0.1, membrane=WB)).backend == "reference"
    with pytest.raises(hhplug.BackendUnavailable, match="in float32 for the membrane WB"):
        Simulator(dtype="float32", membrane=WB)


@pytest.mark.usefixtures("for_squid")
def test_other_defaults_of_the_squids_equations_are_still_the_squid():
    cold = squid.replace("cold", g_Na=100.0, E_K=-80.0)
    stimulus = Stimulus.constant([0.0, 10.0])
    ours = Simulator("numpy", "float64", membrane=cold).run(2.0, stimulus=stimulus)
    by_parameters = Simulator("numpy", "float64", {"g_Na": 100.0, "E_K": -80.0})
    assert_array_equal(ours.V, by_parameters.run(2.0, stimulus=stimulus).V)
    warm = squid.at(celsius=16.3)  # has other equations
    with pytest.raises(InvalidInput, match=r"got membrane squid at 16\.3"):
        Simulator("numpy", membrane=warm)


def test_a_simulator_keeps_its_membrane_when_it_is_pickled_and_shows_it():
    simulator = Simulator("reference", membrane=SLOW, parameters={"g_M": [0.0, 0.1]})
    again = pickle.loads(pickle.dumps(simulator))
    assert again.membrane == SLOW
    assert again.parameters == simulator.parameters
    assert "membrane=slow, method='rk4', parameters=ParameterValues(C_m=1.0" in repr(again)


def test_parts_of_a_population_join_to_the_whole():
    problem = Problem(
        1.0,
        membrane=CALCIUM,
        stimulus=Stimulus.constant(np.linspace(0.0, 20.0, 7)),
        parameters={"g_Ca": np.linspace(0.0, 0.3, 7), "Ca_i_tau": 20.0},
        record=CALCIUM.states,
    )
    whole = simulate(problem, "reference")
    parts = [simulate(problem.take(some), "reference") for some in ([5, 0, 3], slice(1, 3), [4, 6])]
    joined = Result.join(parts)
    assert joined.parameters == whole.parameters
    assert joined.membrane == CALCIUM
    for name in CALCIUM.states:
        assert_array_equal(joined[name], whole[name])
    assert_array_equal(joined.final_state, whole.final_state)


def test_results_of_different_membranes_are_not_joined():
    first = Simulator("reference").run(0.1)
    warm = Simulator("reference", membrane=squid.at(celsius=10.0)).run(0.1, resume=first)
    with pytest.raises(InvalidInput, match="must have the same membrane to be joined"):
        hhplug.concat([first, warm])


@pytest.mark.parametrize("membrane", [squid, SLOW, CALCIUM, squid.at(celsius=16.3)])
def test_a_saved_result_keeps_its_membrane(membrane, tmp_path):
    record = ("V", membrane.states[-1])
    result = Simulator("reference", membrane=membrane, parameters={"g_K": [30.0, 36.0]}).run(
        0.2, stimulus=Stimulus.constant(5.0), record=record
    )
    result.save(tmp_path / "run.npz")
    loaded = hhplug.load_result(tmp_path / "run.npz")
    assert loaded.membrane == membrane
    assert loaded.membrane.name == membrane.name
    assert loaded.parameters == result.parameters
    assert_array_equal(loaded[record[1]], result[record[1]])
    again = simulate(loaded.problem, "reference")
    assert_array_equal(again.final_state, result.final_state)


def test_a_dataset_has_the_units_of_pools_and_parameters():
    pytest.importorskip("xarray")
    result = Simulator("reference", membrane=CALCIUM, parameters={"g_Ca": [0.1, 0.2]}).run(
        0.2, record=("V", "s", "Ca_i")
    )
    dataset = result.to_xarray()
    assert {name: dataset[name].units for name in ("V", "s", "Ca_i")} == {
        "V": "mV",
        "s": "1",
        "Ca_i": "mM",
    }
    assert dataset["Ca_i_per_current"].units == "mM/ms per µA/cm²"
    assert dataset["g_Ca"].dims == ("neuron",)
    assert dataset.attrs["membrane"] == "calcium"
    assert dataset["s"].long_name == "gate s of channel Ca"
