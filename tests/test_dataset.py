"""A result as a labelled Dataset."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from short_runs import run

from hhplug import HHParameters, Problem, Simulator, Stimulus, simulate

xarray = pytest.importorskip("xarray")


def test_a_dataset_has_labelled_dims_units_and_parameters():
    result = run(
        record=("V", "n"),
        record_every=2,
        record_neurons=[2, 0],
        stimulus=Stimulus.constant([1, 2, 3]),
        parameters=HHParameters(g_Na=[100, 110, 120]),
    )
    data = result.to_xarray()
    assert set(data.data_vars) == {"V", "n", "I_ext"}
    for name, unit in (("V", "mV"), ("n", "1")):
        assert data[name].dims == ("time", "neuron")
        assert data[name].attrs["units"] == unit
        assert_array_equal(data[name], result[name])
    assert_array_equal(data["time"], result.time)
    assert data["time"].attrs["units"] == "ms"
    assert_array_equal(data["neuron"], [2, 0])
    assert data["g_Na"].dims == ("neuron",)
    assert_array_equal(data["g_Na"], [120, 100])
    assert data["g_Na"].attrs["units"] == "mS/cm²"
    assert data["C_m"].dims == ()
    assert data["C_m"] == 1.0
    assert data["E_K"].attrs["units"] == "mV"
    assert data.attrs["backend"] == "reference"
    assert data.attrs["dtype"] == "float64"
    assert data.attrs["dt_ms"] == 0.1
    assert data["stimulus"] == repr(result.stimulus)
    assert_array_equal(data["drive"], [3, 1])
    assert data["drive"].attrs["units"] == "µA/cm²"
    assert_array_equal(data.sel(neuron=0)["V"], result.V[:, 1])


def test_a_dataset_of_a_run_that_recorded_nothing_has_a_summary(spiking):
    chosen = run(20.0, 0.05, stimulus=spiking.stimulus, record_neurons=[1, 2], record=())
    data = chosen.to_xarray()
    assert dict(data.sizes) == {"neuron": 2}
    assert_array_equal(data["spike_count"], spiking.spike_count[[1, 2]])
    assert data["spike_count"][0] == 0 < data["spike_count"][1]
    assert_array_equal(data["valid"], [True, True])
    assert_array_equal(data["drive"], [0.0, 40.0])
    assert "spike_count" not in run(spikes="off", record=()).to_xarray()
    # xarray would combine the counts of two halves as if they were of one run.
    assert "spike_count" not in spiking.to_xarray()


def test_a_dataset_says_which_neurons_are_valid_and_from_which_step_on_others_are_not():
    parameters = HHParameters(g_Na=np.array([120.0, 1e9, 120.0]))
    with pytest.warns(RuntimeWarning, match="1 of 3 neurons became invalid"):
        result = Simulator("numpy", parameters=parameters).run(5.0, record_neurons=[1, 2])
    data = result.to_xarray()
    assert_array_equal(result.valid, [True, False, True])
    assert data["valid"].dims == ("neuron",)
    assert_array_equal(data["valid"], [False, True])
    assert_array_equal(data["first_invalid_step"], [result.first_invalid_step[1], -1])
    assert 0 <= result.first_invalid_step[1] < 500
    assert np.isfinite(data["V"].where(data["valid"], drop=True)).all()


def test_the_amplitudes_of_a_stimulus_are_coordinates_by_name():
    stimulus = (
        Stimulus.step([1, 2, 3], 0.0, 0.5)
        + Stimulus.constant(4.0)
        + Stimulus.step(5.0, 0.2, 0.4)
        + Stimulus.ramp(0.0, [6, 7, 8], 0.0, 1.0)
        + Stimulus.sine(9.0, 100.0, offset=[0.1, 0.2, 0.3])
    )
    data = run(stimulus=stimulus, record_neurons=[2, 0]).to_xarray()
    assert_array_equal(data["step_amplitude"], [3, 1])
    assert data["step_amplitude"].attrs["units"] == "µA/cm²"
    assert (data["constant_amplitude"].dims, data["constant_amplitude"]) == ((), 4.0)
    assert data["step_amplitude_2"] == 5.0
    assert data["ramp_first"] == 0.0
    assert_array_equal(data["ramp_last"], [8, 6])
    assert data["sine_amplitude"] == 9.0
    assert_array_equal(data["sine_offset"], [0.3, 0.1])


def test_the_dataset_of_a_part_has_the_numbers_of_its_neurons_in_the_whole_population():
    problem = Problem(1.0, batch_size=5, record_neurons=[4, 1, 3])
    data = simulate(problem.take([3, 0, 4]), "reference").to_xarray()
    assert_array_equal(data.neuron, [2, 0])
    assert_array_equal(data.neuron_id, [4, 3])
    assert "neuron_id" not in simulate(problem, "reference").to_xarray().coords


@pytest.mark.parametrize("seed", [5, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")
def test_a_dataset_with_any_seed_is_written_by_zarr(seed, tmp_path):
    data = run(stimulus=Stimulus.white_noise(1.0, seed)).to_xarray()
    data.to_zarr(tmp_path / "data.zarr", consolidated=False)
    read = xarray.open_zarr(tmp_path / "data.zarr", consolidated=False)
    assert int(read["white_noise_seed"]) == seed


def test_times_per_neuron_and_the_seeds_of_noise_are_coordinates():
    stimulus = (
        Stimulus.step(5.0, start=0.1, stop=[0.4, 0.5, 0.6])
        + Stimulus.sine(1.0, [50.0, 60.0, 70.0])
        + Stimulus.ornstein_uhlenbeck(1.0, [0.1, 0.2, 0.3], tau=3.0, seed=2**64 - 1)
        + Stimulus.white_noise(0.5, seed=4)
        + Stimulus.white_noise(0.5, seed=5)
        + Stimulus.recorded([1.0, 2.0], dt=0.1, gain=[1.0, 2.0, 3.0])
    )
    data = run(stimulus=stimulus, record_neurons=[2, 0]).to_xarray()
    assert_array_equal(data["step_stop"], [0.6, 0.4])
    assert data["step_stop"].attrs["units"] == "ms"
    assert "step_start" not in data.coords
    assert_array_equal(data["sine_frequency"], [70.0, 50.0])
    assert data["sine_frequency"].attrs["units"] == "Hz"
    assert_array_equal(data["ornstein_uhlenbeck_sigma"], [0.3, 0.1])
    assert data["ornstein_uhlenbeck_mean"] == 1.0
    assert int(data["ornstein_uhlenbeck_seed"]) == 2**64 - 1
    assert data["white_noise_sigma"].attrs["units"] == "µA/cm²·√ms"
    assert (data["white_noise_seed"], data["white_noise_seed_2"]) == (4, 5)
    assert_array_equal(data["recorded_gain"], [3.0, 1.0])
    assert data["recorded_gain"].attrs["units"] == "1"


CURRENTS = {
    "times": Stimulus.step([1, 2, 3, 4], 0.2, [0.4, 0.6, 10.1, 10.9]),
    "noise": Stimulus.white_noise([1.0, 2.0, 3.0, 4.0], seed=1),
    "per neuron": Stimulus.step([1, 2, 3, 4], 0.2, 0.6) + Stimulus.sine(5.0, 700.0),
    "for all": Stimulus.step(1.0, 0.2, 0.6) + Stimulus.constant(2.0),
    "none": None,
    "array": np.arange(40, dtype=np.int16).reshape(10, 4),
    "array for all": np.linspace(0.0, 9.0, 10),
}


@pytest.mark.parametrize("current", CURRENTS)
@pytest.mark.parametrize("record_every", [1, 3])
@pytest.mark.parametrize("neurons", [None, [3, 0, 1], []])
@pytest.mark.parametrize("start_step", [0, 100])
def test_a_dataset_has_the_current_at_each_sample(current, record_every, neurons, start_step):
    stimulus = CURRENTS[current]
    result = run(
        batch_size=4,
        stimulus=stimulus,
        record_every=record_every,
        record_neurons=neurons,
        start_step=start_step,
    )
    I_ext = result.to_xarray()["I_ext"]
    if isinstance(stimulus, np.ndarray):
        every_step = stimulus
    else:
        every_step = (stimulus or Stimulus()).sample(0.1, start_step + 10)[start_step:]
    rows = [k - start_step for k in range(start_step, start_step + 10) if k % record_every == 0]
    expected = every_step[rows]
    if expected.ndim == 2 and neurons is not None:
        expected = expected[:, neurons]
    assert I_ext.dims == ("time", "neuron")[: expected.ndim]
    assert_array_equal(I_ext, expected)
    assert I_ext.attrs["units"] == "µA/cm²"
    if expected.ndim == 2 and expected.size:
        assert I_ext[1, 1] == expected[1, 1]
        assert_array_equal(I_ext[::2, [0, 2]], expected[::2, [0, 2]])
        assert_array_equal(I_ext.sel(neuron=result.neurons[0]), expected[:, 0])


@pytest.mark.parametrize("record_every", [1, 2])
def test_an_array_stimulus_is_in_the_dataset_without_a_copy(record_every, tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "current.npy", "w+", "f4", (10, 3))
    array[:] = np.arange(30).reshape(10, 3)
    data = run(stimulus=array, record_every=record_every).to_xarray()
    assert np.shares_memory(data["I_ext"].values, array)
    assert data["stimulus"] == "array of float32"
    assert_allclose(data["drive"], array[5:].mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("stop", [90.0, np.linspace(90.0, 91.0, 1000)], ids=["all", "each"])
def test_a_current_per_neuron_takes_memory_only_when_it_is_read(stop, monkeypatch):
    stimulus = Stimulus.step(np.arange(1000.0), 10.0, stop)
    result = Simulator("numpy").run(100.0, stimulus=stimulus, record_every=10)
    kind = type(result.problem.current)
    asked = []
    at = kind.at

    def noted(current, steps, neurons):
        asked.append((len(steps), len(neurons)))
        return at(current, steps, neurons)

    def refused(*_):
        pytest.fail("the rows of the whole run were computed")

    monkeypatch.setattr(kind, "at", noted)
    monkeypatch.setattr(kind, "rows", refused)
    monkeypatch.setattr(kind, "chunk", refused, raising=False)
    data = result.to_xarray()
    repr(data)
    assert asked == []
    assert data["I_ext"].isel(neuron=7, time=slice(200, 203)).values.tolist() == [7.0] * 3
    assert asked == [(3, 1)]


def test_two_calls_give_the_same_dataset(spiking):
    assert spiking.to_xarray().identical(spiking.to_xarray())
    written = spiking.to_xarray()["written"]
    assert set(written.values) == {np.datetime64(spiking.written.replace(tzinfo=None), "ns")}


def test_a_dataset_can_be_pickled(spiking):
    data = spiking.to_xarray()
    assert pickle.loads(pickle.dumps(data)).identical(data)


def test_results_under_different_stimuli_combine_by_their_coordinates():
    simulator = Simulator("numpy", "float64")
    first = simulator.run(1.0, 0.05, stimulus=Stimulus.constant([5.0, 10.0]))
    second = simulator.run(1.0, 0.05, stimulus=Stimulus.constant([7.0, 10.0]), resume=first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of xarray: its defaults will change
        combined = xarray.combine_by_coords([first.to_xarray(), second.to_xarray()])
    assert_array_equal(combined["V"], np.concatenate([first.V, second.V]))
    assert_array_equal(combined["I_ext"][:, 0], np.repeat([5.0, 7.0], 20))
    assert_array_equal(combined["constant_amplitude"][[0, -1]], [[5.0, 10.0], [7.0, 10.0]])


@pytest.mark.parametrize("stimulus", [Stimulus.constant([5.0, 30.0]), "array"])
def test_the_results_of_a_run_in_two_parts_combine_by_their_coordinates(stimulus):
    array = np.tile([5.0, 30.0], (400, 1))
    parts = [array[:200], array[200:]] if stimulus == "array" else [stimulus, stimulus]
    simulator = Simulator("numpy", "float64")
    whole = simulator.run(20.0, 0.05, stimulus=array)
    first = simulator.run(10.0, 0.05, stimulus=parts[0])
    second = simulator.run(
        10.0, 0.05, stimulus=parts[1], initial_state=first.final_state, start_step=first.next_step
    )
    assert first.spike_count[1] > 0 < second.spike_count[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of xarray: its defaults will change
        combined = xarray.combine_by_coords([second.to_xarray(), first.to_xarray()])
    assert_array_equal(combined["V"], whole.V)
    assert_array_equal(combined["I_ext"], array)
    assert_array_equal(combined["time"], whole.time)
