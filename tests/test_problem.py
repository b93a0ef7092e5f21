"""A Problem checks and converts its arguments; the tests' T is 1 ms and dt is 0.1 ms."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hhplug import HHParameters, InvalidInput, Problem, Simulator, Stimulus, simulate

NAN, INF = math.nan, math.inf


class WantsGradient:
    """An object that can't become an array, like a PyTorch tensor that requires a gradient."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("use detach")


def problem(**arguments):
    return Problem(**({"T": 1.0, "dt": 0.1} | arguments))


def with_parameters(**values):
    return {"parameters": HHParameters(**values)}


def one_nan(shape, where, dtype=np.float64):
    array = np.ones(shape, dtype)
    array[where] = NAN
    return array


@pytest.mark.parametrize(
    ("arguments", "named", "given", "would_do"),
    [
        ({"dt": 0}, "dt", "got 0", "positive number of ms"),
        ({"dt": -0.01}, "dt", "-0.01", "positive number of ms"),
        ({"dt": NAN}, "dt", "nan", "positive number of ms"),
        ({"dt": INF}, "dt", "inf", "positive number of ms"),
        ({"dt": "fine"}, "dt", "'fine'", "positive number of ms"),
        ({"dt": None}, "dt", "None", "positive number of ms"),
        ({"dt": [0.1, 0.2]}, "dt", "[0.1, 0.2]", "positive number of ms"),
        ({"T": 0.0}, "T", "got 0.0", "positive number of ms"),
        ({"T": -5}, "T", "got -5", "positive number of ms"),
        ({"T": NAN}, "T", "nan", "positive number of ms"),
        ({"T": INF}, "T", "inf", "positive number of ms"),
        ({"T": "long"}, "T", "'long'", "positive number of ms"),
        ({"T": 1.04}, "T", "1.04 ms (10.4 steps)", "1 and 1.1 ms"),
        ({"T": 0.96}, "T", "0.96 ms (9.6 steps)", "0.9 and 1 ms"),
        ({"T": 1.0000002}, "T", "1.0000002 ms (10.000002 steps)", "1 and 1.1 ms"),
        ({"T": 0.03}, "T", "0.03 ms (0.3 steps)", "0.1 and 0.2 ms"),  # 0 ms would not do
        ({"T": 0.07}, "T", "0.07 ms (0.7 steps)", "0.1 and 0.2 ms"),
        ({"batch_size": 0}, "batch_size", "got 0", "1 or more"),
        ({"batch_size": -3}, "batch_size", "-3", "1 or more"),
        ({"batch_size": 2.5}, "batch_size", "2.5", "whole number"),
        ({"batch_size": True}, "batch_size", "True", "whole number"),
        ({"batch_size": "many"}, "batch_size", "'many'", "whole number"),
        ({"batch_size": 2**58}, "batch_size", f"got {2**58}", f"at most {2**58 - 1}"),
        ({"batch_size": 2**70}, "batch_size", f"got {2**70}", f"at most {2**58 - 1}"),
        ({"stimulus": 5.0}, "stimulus", "the number 5.0", "Stimulus.constant(5.0)"),
        ({"stimulus": np.ones(9)}, "stimulus", "(9,)", "(10,)"),
        ({"stimulus": np.ones((3, 10))}, "stimulus", "(3, 10)", "(10, n)"),
        ({"stimulus": np.ones(3)}, "stimulus", "(3,)", "Stimulus.constant(amplitude)"),
        ({"stimulus": np.ones((10, 0))}, "stimulus", "(10, 0)", "(10, n)"),
        ({"stimulus": np.ones((10, 2, 1))}, "stimulus", "(10, 2, 1)", "(10, n)"),
        ({"stimulus": [[1], [2, 3]]}, "stimulus", "ragged", "array of numbers"),
        ({"stimulus": np.ones(10, complex)}, "stimulus", "complex128", "real numbers"),
        ({"stimulus": np.ones(10, object)}, "stimulus", "object", "real numbers"),
        ({"stimulus": np.ones(10, bool)}, "stimulus", "bool", "real numbers"),
        ({"stimulus": ["1"] * 10}, "stimulus", "<U1", "real numbers"),
        ({"stimulus": one_nan(10, 9)}, "stimulus", "nan at row 9", "finite"),
        ({"stimulus": one_nan((10, 3), (4, 2))}, "stimulus", "nan at row 4, neuron 2", "finite"),
        ({"stimulus": one_nan((10, 3), (7, 1), "f2")}, "stimulus", "row 7, neuron 1", "finite"),
        ({"stimulus": [1.0] * 9 + [-INF]}, "stimulus", "-inf at row 9", "finite (µA/cm²)"),
        ({"stimulus": [INF, -INF] * 5}, "stimulus", "inf at row 0", "finite (µA/cm²)"),
        (with_parameters(C_m=0), "C_m", "got 0.0", "positive number of µF/cm²"),
        (with_parameters(C_m=-1.0), "C_m", "-1.0", "positive number of µF/cm²"),
        (with_parameters(C_m=[1, 1, 0]), "C_m", "0.0 for neuron 2", "positive number"),
        (with_parameters(g_Na=-1), "g_Na", "-1.0", "zero or more mS/cm²"),
        (with_parameters(g_K=[36, -36]), "g_K", "-36.0 for neuron 1", "zero or more mS/cm²"),
        (with_parameters(g_L=-1e-9), "g_L", "-1e-09", "zero or more mS/cm²"),
        (with_parameters(C_m=NAN), "C_m", "nan", "finite number of µF/cm²"),
        (with_parameters(g_L=INF), "g_L", "inf", "finite number of mS/cm²"),
        (with_parameters(E_Na=NAN), "E_Na", "nan", "finite number of mV"),
        (with_parameters(E_K=[-77, NAN]), "E_K", "nan for neuron 1", "finite number of mV"),
        (with_parameters(E_L="low"), "E_L", "'low'", "real numbers"),
        (with_parameters(E_L=[[1.0]]), "E_L", "(1, 1)", "one value per neuron"),
        (with_parameters(E_L=[]), "E_L", "empty", "one value per neuron"),
        ({"parameters": [1.0, 120.0]}, "parameters", "list", "{'g_Na': 120.0}"),
        ({"parameters": {"gNa": 1.0}}, "parameters", "'gNa'", "Did you mean 'g_Na'"),
        ({"parameters": {"g_Na": -1.0}}, "g_Na", "-1.0", "zero or more mS/cm²"),
        ({"membrane": "squid"}, "membrane", "'squid'", "hhplug.membranes.squid"),
        ({"initial_state": [-65, 1.1, 0, 0]}, "m of initial_state", "1.1", "between 0 and 1"),
        ({"initial_state": [-65, 0, -0.1, 0]}, "h of initial_state", "-0.1", "between 0 and 1"),
        ({"initial_state": [-65, 0, 0, 1.00001]}, "n of initial_state", "1.00001", "0 and 1"),
        (
            {"initial_state": [[-65, -65], [0, 0], [0, 2], [0, 0]]},
            "h of initial_state",
            "2.0 for neuron 1",
            "between 0 and 1",
        ),
        ({"initial_state": [-65, 0, 0]}, "initial_state", "(3,)", "(4,), (4, 1) or (4, n)"),
        ({"initial_state": np.zeros((5, 4))}, "initial_state", "(5, 4)", "(4, n)"),
        ({"initial_state": np.zeros((4, 0))}, "initial_state", "(4, 0)", "(4, n)"),
        ({"initial_state": np.zeros((4, 2, 1))}, "initial_state", "(4, 2, 1)", "(4, n)"),
        ({"initial_state": -65.0}, "initial_state", "()", "V, m, h, n"),
        ({"record": ("V", "nn")}, "variable", "'nn'", "Did you mean 'n'?"),
        ({"record": "v"}, "variable", "'v'", "Did you mean 'V'?"),
        ({"record": "Ca"}, "variable", "'Ca'", "choose from V, m, h, n"),
        ({"record": ("V", "m", "V")}, "record", "('V', 'm', 'V')", "each variable once"),
        ({"dtype": "flaot32"}, "dtype", "'flaot32'", "Did you mean 'float32'?"),
        ({"dtype": "float16"}, "dtype", "'float16'", "choose from float32, float64"),
        ({"dtype": "f2"}, "dtype", "'f2'", "choose from float32, float64"),
        ({"dtype": "f4,,"}, "dtype", "'f4,,'", "choose from float32, float64"),
        ({"dtype": int}, "dtype", "'int64'", "choose from float32, float64"),
        ({"dtype": 32}, "dtype", "32", "choose from float32, float64"),
        ({"spikes": "time"}, "spikes", "'time'", "Did you mean 'times'?"),
        ({"spikes": False}, "spikes", "False", "choose from times, counts, off"),
        ({"record_every": 0}, "record_every", "got 0", "1 or more"),
        ({"record_every": 0.5}, "record_every", "0.5", "whole number"),
        ({"record_neurons": [0, 1]}, "record_neurons", "got 1", "between 0 and 0"),
        ({"record_neurons": [-1], "batch_size": 4}, "record_neurons", "got -1", "0 and 3"),
        ({"record_neurons": [1, 0, 1], "batch_size": 4}, "record_neurons", "1 twice", "once"),
        ({"record_neurons": [[0], [0, 0]]}, "record_neurons", "ragged rows", "list of neuron"),
        ({"record_neurons": np.ma.array([0], mask=[1])}, "record_neurons", "masked", "fill it"),
        ({"stimulus": WantsGradient()}, "stimulus", "a WantsGradient: use detach", "of numbers"),
        ({"initial_state": WantsGradient()}, "initial_state", "use detach", "of numbers"),
        ({"record_neurons": WantsGradient()}, "record_neurons", "use detach", "of neuron indices"),
        ({"batch_size": np.float32(2.0)}, "batch_size", "2.0", "use 2"),
        ({"T": np.True_}, "T", "True", "positive number of ms"),
        ({"dt": np.float32(0.01)}, "T", "0.009999999776482582", "whole number of steps"),
        ({"record_neurons": [0.0]}, "record_neurons", "float64", "list of neuron indices"),
        ({"record_neurons": [True]}, "record_neurons", "bool", "list of neuron indices"),
        ({"record_neurons": 0}, "record_neurons", "shape ()", "list of neuron indices"),
        ({"record_neurons": [2**63]}, "record_neurons", f"got {2**63}", "between 0 and 0"),
        ({"record_neurons": "all"}, "record_neurons", "<U3", "list of neuron indices"),
        ({"spike_threshold": NAN}, "spike_threshold", "nan", "finite number of mV"),
        ({"spike_threshold": None}, "spike_threshold", "None", "finite number of mV"),
        ({"start_step": -1}, "start_step", "-1", "0 or more"),
        ({"start_step": 0.5}, "start_step", "0.5", "whole number"),
        ({"start_step": 2**53 - 9}, "start_step", f"got {2**53 - 9}", f"at most {2**53 - 10}"),
    ],
)
def test_an_argument_that_cannot_be_simulated_is_refused_by_name(arguments, named, given, would_do):
    with pytest.raises(InvalidInput) as error:
        problem(**arguments)
    message = str(error.value)
    assert message.removeprefix("unknown ").startswith(f"{named} "), message
    assert given in message
    assert would_do in message


HOLDS_NEURONS = {
    "g_Na": lambda n: with_parameters(g_Na=np.full(n, 120.0)),
    "E_L": lambda n: with_parameters(E_L=np.full(n, -54.0)),
    "stimulus amplitude": lambda n: {"stimulus": Stimulus.step(np.arange(n), 0, 1)},
    "stimulus array": lambda n: {"stimulus": np.ones((10, n))},
    "initial_state": lambda n: {"initial_state": np.full((4, n), 0.5)},
}
holders = pytest.mark.parametrize("holder", HOLDS_NEURONS)


@holders
def test_any_array_says_how_many_neurons_there_are(holder):
    assert problem(**HOLDS_NEURONS[holder](7)).n_neurons == 7
    assert problem(**HOLDS_NEURONS[holder](7), batch_size=7).n_neurons == 7


@holders
def test_batch_size_may_not_contradict_an_array(holder):
    with pytest.raises(InvalidInput) as error:
        problem(**HOLDS_NEURONS[holder](4), batch_size=3)
    assert "batch_size says 3 neurons" in str(error.value)
    assert f"{holder.split()[0]} has 4" in str(error.value)


FOR_ALL = ("initial_state", "stimulus array")  # where one column means all neurons


@pytest.mark.parametrize("holder", [name for name in HOLDS_NEURONS if name not in FOR_ALL])
def test_an_array_for_one_neuron_is_refused_for_several(holder):
    with pytest.raises(InvalidInput, match="has 1; every array must have one value per neuron"):
        problem(**HOLDS_NEURONS[holder](1), batch_size=3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("g_Na", "stimulus amplitude"),
        ("E_L", "stimulus array"),
        ("g_Na", "initial_state"),
        ("initial_state", "stimulus amplitude"),
        ("initial_state", "stimulus array"),
    ],
)
def test_arrays_may_not_contradict_each_other(one, other):
    with pytest.raises(InvalidInput) as error:
        problem(**HOLDS_NEURONS[one](2), **HOLDS_NEURONS[other](3))
    assert f"{one.split()[0]} says 2 neurons" in str(error.value)
    assert f"{other.split()[0]} has 3" in str(error.value)


def test_two_parameters_may_not_be_for_different_numbers_of_neurons():
    with pytest.raises(InvalidInput, match="g_Na says 2 neurons, but g_K has 3"):
        problem(**with_parameters(g_Na=[120, 110], g_K=[36, 35, 34]))


def test_a_problem_is_one_resting_neuron_by_default():
    plain = problem()
    assert plain.n_neurons == 1
    assert plain.dtype is None
    # α/(α+β) of the rates at −65 mV as printed in Hodgkin & Huxley 1952, where their V is 0:
    # α_m = 2.5/(e^2.5 − 1), β_m = 4; α_h = 0.07, β_h = 1/(e^3 + 1); α_n = 0.1/(e − 1), β_n = 0.125.
    alpha = np.array([2.5 / (math.exp(2.5) - 1), 0.07, 0.1 / (math.e - 1)])
    beta = np.array([4.0, 1 / (math.exp(3) + 1), 0.125])
    resting = [-65.0, *(alpha / (alpha + beta))]
    np.testing.assert_allclose(plain.initial_state[:, 0], resting, rtol=1e-14)


@pytest.mark.parametrize("outside", [1.0 + 1e-8, -1e-8, np.float32(1.0) + np.float32(2e-7)])
def test_a_gate_outside_0_to_1_by_a_rounding_error_is_accepted(outside):
    state = [-65.0, outside, outside, outside]
    assert_array_equal(problem(initial_state=state).initial_state[1:, 0], [outside] * 3)


@pytest.mark.parametrize("state", [[-60, 0.1, 0.5, 0.25], [[-60], [0.1], [0.5], [0.25]]])
def test_one_initial_state_serves_all_neurons(state):
    expected = np.repeat([[-60], [0.1], [0.5], [0.25]], 3, axis=1)
    assert_array_equal(problem(initial_state=state, batch_size=3).initial_state, expected)


def test_an_initial_state_per_neuron_is_kept_as_given():
    state = np.array([[-60, -70], [0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32)
    kept = problem(initial_state=state).initial_state
    assert_array_equal(kept, state)
    assert not np.shares_memory(kept, state)


def test_a_finite_float16_current_whose_sum_overflows_is_accepted():
    assert problem(stimulus=np.full(10, 60_000, np.float16)).n_steps == 10


@pytest.mark.parametrize("scan_bytes", [1, 100, 2**24])
def test_a_nan_in_a_memory_mapped_current_is_found_in_any_piece(monkeypatch, tmp_path, scan_bytes):
    monkeypatch.setattr("hhplug.currents.array_stimulus.SCAN_BYTES", scan_bytes)
    mapped = np.memmap(tmp_path / "I_ext", np.float32, "w+", shape=(1000, 7))
    assert Problem(10.0, 0.01, stimulus=mapped).n_neurons == 7
    for step, neuron in ((999, 6), (501, 3), (0, 0)):
        mapped[step, neuron] = NAN
        with pytest.raises(InvalidInput, match=f"got nan at row {step}, neuron {neuron}"):
            Problem(10.0, 0.01, stimulus=mapped)


def test_an_array_current_is_never_copied(tmp_path):
    mapped = np.memmap(tmp_path / "I_ext", np.float16, "w+", shape=(10, 3))
    for array in (np.zeros(10), np.zeros((10, 3), np.int16), np.zeros((3, 10)).T, mapped):
        made = problem(stimulus=array)
        assert np.shares_memory(made.current.array.values, array)
        assert made.current.array.values.dtype == array.dtype
        assert made.stimulus is made.current.array.values


def test_an_array_current_begins_at_start_step():
    array = np.arange(10.0)
    assert_array_equal(problem(stimulus=array, start_step=40).current.chunk(43, 2), [3, 4])


def test_a_stimulus_becomes_a_separable_current_of_the_same_dt():
    stimulus = Stimulus.step([1, 2], 0.2, 0.4)
    made = problem(stimulus=stimulus)
    assert made.current.separable
    assert made.stimulus is stimulus
    assert_array_equal(list(made.current.rows(1, 4)), [[0, 0], [1, 2], [1, 2], [0, 0]])


def test_a_problem_does_not_change_with_the_arrays_it_was_made_from():
    g_Na, state, chosen = np.full(3, 120.0), np.full((4, 3), 0.5), np.array([2, 0])
    made = problem(parameters=HHParameters(g_Na=g_Na), initial_state=state, record_neurons=chosen)
    g_Na[:], state[:], chosen[:] = 1.0, 0.0, 1
    assert_array_equal(made.parameters.g_Na, [120, 120, 120])
    assert_array_equal(made.initial_state, np.full((4, 3), 0.5))
    assert_array_equal(made.neurons, [2, 0])


def test_the_arrays_of_a_problem_are_read_only():
    made = problem(
        parameters=HHParameters(g_Na=[120, 110], E_L=[-54, -55]),
        stimulus=Stimulus.constant([1, 2]),
        record_neurons=[1],
    )
    parameters = made.parameters
    for array in (
        parameters.g_Na,
        parameters.E_L,
        made.initial_state,
        made.current.gain,
        made.record_neurons,
        made.neurons,
        problem().neurons,
    ):
        assert not array.flags.writeable


def test_parameters_are_floats_or_float64_arrays():
    made = problem(parameters=HHParameters(C_m=np.float32(2), g_Na=[120, 110], g_K=0))
    assert type(made.parameters.C_m) is type(made.parameters.g_K) is float
    assert made.parameters.g_Na.dtype == np.float64


def test_one_variable_may_be_recorded_by_its_bare_name():
    assert problem(record="V").record == ("V",)
    assert problem(record=[]).record == ()
    assert problem(record=["n", "V"]).record == ("n", "V")
    assert problem(record=(), record_all=True).record == ("V", "m", "h", "n")


@pytest.mark.parametrize("dtype", ["float32", np.float32, "f4", np.dtype("float32")])
def test_a_dtype_may_be_given_in_any_way_numpy_knows(dtype):
    assert problem(dtype=dtype).dtype == "float32"


def test_recorded_neurons_keep_the_users_order():
    assert_array_equal(problem(batch_size=5, record_neurons=(4, 0, 2)).neurons, [4, 0, 2])
    assert_array_equal(problem(batch_size=5, record_neurons=range(1, 3)).neurons, [1, 2])
    assert_array_equal(problem(batch_size=3).neurons, [0, 1, 2])
    small = np.array([127, 5], np.int8)
    assert_array_equal(problem(batch_size=1000, record_neurons=small).neurons, [127, 5])
    assert len(problem(batch_size=3, record_neurons=[]).neurons) == 0


def test_the_largest_numbers_of_neurons_and_steps_are_accepted():
    assert problem(batch_size=2**58 - 1).initial_state.shape == (4, 2**58 - 1)
    assert problem(start_step=2**53 - 10).end_step == 2**53


def test_a_backend_may_ask_for_the_neurons_at_every_sample():
    made = problem(batch_size=1000)
    assert made.neurons is made.neurons
    for copied in (made.with_dtype("float32"), made.with_device_arrays(True)):
        assert_array_equal(copied.neurons, np.arange(1000))


def test_another_precision_makes_the_same_problem():
    single = problem(stimulus=Stimulus.constant([1, 2]), dtype="float32")
    double = single.with_dtype("float64")
    assert (single.dtype, double.dtype) == ("float32", "float64")
    assert_array_equal(double.current.gain, single.current.gain)


def test_a_problem_cannot_be_changed():
    with pytest.raises(AttributeError):
        problem().dt = 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"T": 10**400}, "T must be a positive number of ms"),
        ({"T": 1.0, "dt": "0.1"}, "dt must be a positive number of ms, got '0.1'"),
        ({"T": True}, "T must be a positive number of ms, got True"),
        ({"T": 1e300, "dt": 0.1}, "more than can be counted"),
        ({"T": 1e300, "dt": 1e-300}, "more than can be counted"),
        ({"T": 1.0, "record": None}, "to keep none use record=()"),
        ({"T": 1.0, "record": 5}, "record must be names of V, m, h, n, got 5"),
        ({"T": 1.0, "record_neurons": [[0], [1, 2]]}, "record_neurons must be a list"),
        ({"T": 1.0, "batch_size": 1e6}, "got the float 1000000.0; use 1000000"),
        ({"T": 1.0, "stimulus": np.ma.ones(100)}, "must not be a masked array"),
    ],
)
def test_a_value_that_a_run_could_not_use_is_refused_when_the_problem_is_made(arguments, said):
    with pytest.raises(InvalidInput) as error:
        Problem(**arguments)
    assert said in str(error.value)


def test_the_error_for_a_misspelt_argument_has_a_suggestion():
    for make in (Problem, Simulator("reference").run):
        with pytest.raises(TypeError, match="Did you mean 'stimulus'"):
            make(1.0, stimulos=None)
    with pytest.raises(TypeError, match="Did you mean 'parameters'"):
        Simulator("reference", parametrs=None)
    with pytest.raises(TypeError, match="Did you mean 'backend'"):
        simulate(problem(), bakend="reference")
