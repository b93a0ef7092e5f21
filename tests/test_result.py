"""What a Result offers; all runs are by the reference, for a few steps."""

import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hhplug
from hhplug import HHParameters, InvalidInput, MissingExtra, Stimulus
from hhplug.recording import Spikes
from hhplug.result import Timing


def run(T=1.0, dt=0.1, parameters=None, **arguments):
    simulator = hhplug.Simulator(backend="reference", parameters=parameters)
    return simulator.run(T, dt, **arguments)


@pytest.fixture(scope="module")
def plain():
    """Three neurons, V alone, 1 ms."""
    return run(stimulus=Stimulus.constant([0.0, 10.0, 20.0]))


@pytest.fixture(scope="module")
def spiking():
    """Four neurons for 20 ms, currents in no order, all but the second well above rheobase."""
    return run(20.0, 0.05, stimulus=Stimulus.step([10.0, 0.0, 40.0, 20.0], 0.0, 20.0))


def test_samples_have_a_row_per_step_and_a_column_per_neuron():
    result = run(batch_size=3, record_all=True)
    for name in ("V", "m", "h", "n"):
        assert result[name].shape == (10, 3)
        assert result[name].dtype == np.float64
        assert getattr(result, name) is result[name]
        # Sample 0 is the initial state, at the start of step 0.
        assert_array_equal(result[name][0], result.problem.initial_state["Vmhn".index(name)])
    assert result.final_state.shape == (4, 3)
    assert result.dtype == "float64"


def test_time_counts_from_step_zero_in_steps_of_record_every():
    result = run(record_every=3, start_step=5)
    assert_array_equal(result.time, np.array([6, 9, 12]) * 0.1)  # steps 5 to 14
    assert_array_equal(result["time"], result.time)
    assert result.V.shape == (3, 1)
    assert result.next_step == 15


def test_a_run_that_record_every_skips_has_no_samples():
    result = run(record_every=100, start_step=5)
    assert result.time.shape == (0,)
    assert result.V.shape == (0, 1)


def test_columns_are_the_recorded_neurons_in_the_users_order(plain):
    chosen = run(stimulus=plain.stimulus, record_neurons=[2, 0])
    assert_array_equal(chosen.neurons, [2, 0])
    assert_array_equal(chosen.V, plain.V[:, [2, 0]])
    assert chosen.final_state.shape == (4, 3)
    assert len(chosen.spike_count) == 3


@pytest.mark.parametrize(
    ("name", "recorded", "words"),
    [
        ("m", ("V", "n"), ["m was not recorded", "V, n was", "record=('V', 'n', 'm')"]),
        ("V", (), ["V was not recorded", "nothing was", "record=('V',)"]),
        ("Vm", ("V",), ["unknown variable 'Vm'", "time, V, m, h, n"]),
        (0, ("V",), ["unknown variable 0", "time, V, m, h, n"]),
    ],
)
def test_a_variable_that_is_not_there_is_a_key_error_that_says_why(name, recorded, words):
    result = run(record=recorded)
    with pytest.raises(KeyError) as error:
        result[name]
    for word in words:
        assert word in error.value.args[0]


def test_a_run_without_spikes_says_so_when_asked_for_them():
    off = run(spikes="off")
    with pytest.raises(InvalidInput, match="not kept: the run had spikes='off'"):
        _ = off.spikes
    for ask in (lambda: off.spike_count, off.firing_rate, off.fi_curve):
        with pytest.raises(InvalidInput, match="not counted: the run had spikes='off'"):
            ask()


def test_a_run_that_counted_spikes_has_no_times_for_them(spiking):
    counted = run(20.0, 0.05, stimulus=spiking.stimulus, spikes="counts")
    assert_array_equal(counted.spike_count, spiking.spike_count)
    with pytest.raises(InvalidInput, match="not kept: the run had spikes='counts'"):
        _ = counted.spikes


def test_spike_times_and_counts_agree_with_the_crossings_of_the_recorded_voltage(spiking):
    V = np.vstack([spiking.V, spiking.final_state[0]])
    neuron, _ = np.nonzero(((V[:-1] < 0.0) & (V[1:] >= 0.0)).T)
    assert len(neuron) > 4
    assert_array_equal(spiking.spikes.neuron, neuron)
    assert_array_equal(spiking.spike_count, np.bincount(neuron, minlength=4))
    for index, time in zip(neuron, spiking.spikes.time, strict=True):
        assert abs(np.interp(time, np.arange(401) * 0.05, V[:, index])) < 1e-9
    assert repr(spiking.spikes) == f"Spikes({len(neuron)} of 3 neurons)"


def test_firing_rate_is_in_hertz(spiking):
    counted = replace(spiking, spike_counts=np.array([2, 0, 1, 5]))
    assert_allclose(counted.firing_rate(), [100.0, 0.0, 50.0, 250.0], rtol=1e-15)  # over 20 ms


def test_an_fi_curve_is_sorted_by_current(spiking):
    counted = replace(spiking, spike_counts=np.array([2, 0, 4, 3]))
    current, rate = counted.fi_curve()
    assert_array_equal(current, [0.0, 10.0, 20.0, 40.0])
    assert_allclose(rate, [0.0, 100.0, 150.0, 200.0], rtol=1e-15)


@pytest.mark.parametrize(
    ("stimulus", "expected"),
    [
        # One amplitude per neuron: it is the current, whatever else there is.
        (Stimulus.step([3, 1], 0.0, 0.2) + Stimulus.constant(9.0), [3, 1]),
        # Else the mean over the run: 9 + [3, 1] for 2 of 10 steps.
        (Stimulus.step([3, 1], 0.0, 0.2) + Stimulus.constant([9, 9]), [9.6, 9.2]),
        (np.outer(np.arange(10), [2, 1]), [9.0, 4.5]),  # 0 to 9 have the mean 4.5
        (np.arange(10.0), [4.5, 4.5]),
        (Stimulus.step(5.0, 0.0, 0.4), [2.0, 2.0]),
        (None, [0.0, 0.0]),
    ],
)
def test_what_drives_a_neuron_is_its_amplitude_or_its_mean_current(stimulus, expected):
    assert_allclose(run(batch_size=2, stimulus=stimulus).drive(), expected, rtol=1e-14)


def test_speed_leaves_compiling_out(plain):
    timed = replace(plain, timing=Timing(compile=9.0, run=0.5, total=10.0))
    assert timed.neuron_steps_per_second == 60.0  # 3 neurons × 10 steps in 0.5 s


def test_the_repr_says_what_ran_where_and_how_long():
    result = run(batch_size=1000, record=("V", "n"), record_neurons=[3, 4])
    text = repr(replace(result, timing=Timing(0.0, 1.25, 2.0), device="a fast chip"))
    for fact in (
        "1,000 neurons",
        "1 ms in 10 steps of 0.1 ms",
        "reference float64 on a fast chip",
        "1.25 s",
        "V (10, 2), n (10, 2)",
        "0 spikes",
    ):
        assert fact in text
    assert "spikes" not in repr(run(spikes="off"))
    assert "no variable" in repr(run(record=()))


STATE = [[-60, -70, -65], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.3, 0.4, 0.5]]

ROUND_TRIPS = {
    "nothing": {},
    "constant": {"stimulus": Stimulus.constant(0.1)},
    "step": {"stimulus": Stimulus.step([1, 2, 3], 0.1, 0.7)},
    "pulse train": {"stimulus": Stimulus.pulse_train(30.0, 0.1, 0.1, 1 / 3, 3)},
    "ramp": {"stimulus": Stimulus.ramp(-1.0, [5, 6, 7], 0.1, 0.8)},
    "sine": {"stimulus": Stimulus.sine([1, 2, 3], 400.0, 0.3, [4, 5, 6])},
    "sum": {"stimulus": Stimulus.constant([1, 2, 3]) + Stimulus.step([20, 10, 5], 0.2, 0.5)},
    "array for all": {"stimulus": np.linspace(0, 1, 10, dtype=np.float32), "batch_size": 3},
    "array per neuron": {"stimulus": np.arange(30, dtype=np.int16).reshape(10, 3)},
    "parameters": {"parameters": HHParameters(C_m=[1, 2, 0.5], g_K=30, E_L=[-50, -54, -60])},
    "record_neurons": {"batch_size": 5, "record_neurons": [3, 0]},
    "no neurons": {"batch_size": 5, "record_neurons": []},
    "state per neuron": {"initial_state": STATE},
    "one state": {"initial_state": [-60, 0.1, 0.5, 0.4], "batch_size": 3},
    "late": {"start_step": 7, "record_every": 3, "stimulus": Stimulus.sine(5.0, 100.0)},
    "all variables": {"record_all": True},
    "no variables": {"record": ()},
    "counts": {"spikes": "counts"},
    "off": {"spikes": "off"},
    "threshold": {"spike_threshold": -64.5, "stimulus": Stimulus.constant(20.0)},
}


def assert_same_current(one, other):
    if isinstance(one, Stimulus):
        assert repr(one) == repr(other)
        for mine, theirs in zip(one.gains, other.gains, strict=True):
            assert_array_equal(mine, theirs)
    else:
        assert one.dtype == other.dtype
        assert_array_equal(one, other)


@pytest.mark.parametrize("arguments", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_a_saved_result_comes_back_whole_and_runs_again_bit_for_bit(arguments, tmp_path):
    result = run(**arguments)
    result.save(tmp_path / "run")
    loaded = hhplug.load_result(tmp_path / "run")

    assert repr(loaded) == repr(result)
    for name in ("backend", "backend_version", "device", "timing", "dtype", "next_step"):
        assert getattr(loaded, name) == getattr(result, name)
    assert loaded.samples.keys() == result.samples.keys()
    for name in result.samples:
        assert_array_equal(loaded[name], result[name])
        assert loaded[name].dtype == result[name].dtype
    assert_array_equal(loaded.final_state, result.final_state)
    assert_array_equal(loaded.time, result.time)
    assert_array_equal(loaded.spike_counts, result.spike_counts)
    assert (loaded.spike_times is None) == (result.spike_times is None)
    if result.spike_times is not None:
        assert_array_equal(loaded.spikes.neuron, result.spikes.neuron)
        assert_array_equal(loaded.spikes.time, result.spikes.time)

    for field in fields(result.problem):
        mine, theirs = getattr(result.problem, field.name), getattr(loaded.problem, field.name)
        if field.name == "parameters":
            for parameter in fields(mine):
                assert_array_equal(getattr(mine, parameter.name), getattr(theirs, parameter.name))
        elif field.name == "stimulus":
            assert_same_current(mine, theirs)
        elif field.name != "current":
            assert_array_equal(mine, theirs)

    again = hhplug.simulate(loaded.problem, backend="reference")
    for name in result.samples:
        assert_array_equal(again[name], result[name])
    assert_array_equal(again.final_state, result.final_state)
    assert_array_equal(again.spike_counts, result.spike_counts)


def test_the_threshold_round_trip_has_spikes_to_lose():
    assert run(**ROUND_TRIPS["threshold"]).spike_count == 1


def test_a_result_is_saved_under_exactly_the_name_given(plain, tmp_path):
    plain.save(str(tmp_path / "run.hh"))
    assert [file.name for file in tmp_path.iterdir()] == ["run.hh"]


def write_text(path):
    path.write_text("V,time\n")


def write_nothing(path):
    path.touch()


def write_other_npz(path):
    with path.open("wb") as file:
        np.savez(file, V=np.ones(3))


def write_other_metadata(path):
    with path.open("wb") as file:
        np.savez(file, metadata=np.array("not JSON"))


@pytest.mark.parametrize(
    "write", [write_text, write_nothing, write_other_npz, write_other_metadata]
)
def test_a_file_that_is_no_saved_result_is_refused_by_name(write, tmp_path):
    write(tmp_path / "other.npz")
    with pytest.raises(InvalidInput, match=r"other\.npz is not a result saved by hhplug"):
        hhplug.load_result(tmp_path / "other.npz")


def test_a_file_in_a_later_format_says_what_wrote_it(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("hhplug.result.FORMAT", 99)
    plain.save(tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(InvalidInput, match=f"format 99.*reads 1.*hhplug {hhplug.__version__}"):
        hhplug.load_result(tmp_path / "run")


def test_a_dataset_has_labelled_dims_units_and_parameters():
    pytest.importorskip("xarray")
    result = run(
        record=("V", "n"),
        record_every=2,
        record_neurons=[2, 0],
        stimulus=Stimulus.constant([1, 2, 3]),
        parameters=HHParameters(g_Na=[100, 110, 120]),
    )
    data = result.to_xarray()
    assert set(data.data_vars) == {"V", "n", "spike_count"}
    for name, unit in (("V", "mV"), ("n", "1")):
        assert data[name].dims == ("time", "neuron")
        assert data[name].attrs["units"] == unit
        assert_array_equal(data[name], result[name])
    assert data["spike_count"].dims == ("neuron",)
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
    assert data.attrs["stimulus"] == repr(result.stimulus)
    assert_array_equal(data.sel(neuron=0)["V"], result.V[:, 1])


def test_a_dataset_counts_the_spikes_of_the_recorded_neurons(spiking):
    pytest.importorskip("xarray")
    chosen = run(20.0, 0.05, stimulus=spiking.stimulus, record_neurons=[1, 2], record=())
    data = chosen.to_xarray()
    assert_array_equal(data["spike_count"], spiking.spike_count[[1, 2]])
    assert data["spike_count"][0] == 0 < data["spike_count"][1]
    assert "spike_count" not in run(spikes="off").to_xarray()


@pytest.mark.parametrize(
    ("modules", "ask", "command"),
    [
        (["xarray"], lambda result: result.to_xarray(), r"pip install 'hhplug\[xarray\]'"),
        (
            ["matplotlib", "matplotlib.figure"],
            lambda result: result.plot(),
            r"pip install 'hhplug\[plot\]'",
        ),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    plain, monkeypatch, modules, ask, command
):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=command):
        ask(plain)


TRACES = ("time (ms)", "V (mV)")
RASTER = ("time (ms)", "neuron")
CURVE = ("I_ext (µA/cm²)", "firing rate (Hz)")
RATES = ("neuron", "firing rate (Hz)")


@pytest.mark.parametrize(
    ("arguments", "panels"),
    [
        ({"stimulus": Stimulus.constant([1, 2, 3])}, [TRACES, RASTER, CURVE]),
        ({}, [TRACES, RASTER, RATES]),
        ({"batch_size": 100}, [TRACES, RASTER, RATES]),
        ({"stimulus": Stimulus.constant([1, 2, 3]), "spikes": "counts"}, [TRACES, CURVE]),
        ({"spikes": "counts"}, [TRACES, RATES]),
        ({"spikes": "off", "batch_size": 3}, [TRACES]),
        ({"record": (), "batch_size": 3}, [RASTER, RATES]),
        ({"record": ("n",)}, [RASTER, RATES]),
        ({"record_neurons": [], "batch_size": 3}, [RASTER, RATES]),
    ],
)
def test_a_plot_shows_what_was_kept_with_units_on_its_axes(arguments, panels):
    pytest.importorskip("matplotlib")
    figure = run(**arguments).plot()
    figure.canvas.draw()
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes] == panels


def test_a_plot_draws_the_samples_and_every_spike(spiking):
    pytest.importorskip("matplotlib")
    traces, raster, curve = spiking.plot().axes
    assert_array_equal([line.get_ydata() for line in traces.lines], spiking.V.T)
    assert_array_equal(traces.lines[0].get_xdata(), spiking.time)
    assert_array_equal(raster.lines[0].get_xdata(), spiking.spikes.time)
    assert_array_equal(raster.lines[0].get_ydata(), spiking.spikes.neuron)
    assert_array_equal(curve.lines[0].get_xydata().T, spiking.fi_curve())


def test_a_plot_names_the_neurons_that_the_columns_hold_and_what_drives_them():
    pytest.importorskip("matplotlib")
    sweep = Stimulus.constant(np.arange(9) / 2)
    figure = run(stimulus=sweep, record_neurons=[7, 2]).plot()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["neuron 7, 3.5 µA/cm²", "neuron 2, 1 µA/cm²"]


def test_a_plot_of_many_neurons_shows_a_few_traces_and_part_of_the_raster():
    pytest.importorskip("matplotlib")
    n = 5000
    many = run(batch_size=n)
    every = Spikes(np.arange(n), np.full(n, 0.5))
    traces, raster, _ = replace(many, spike_times=every).plot().axes
    assert len(traces.lines) == 5
    shown = raster.lines[0].get_ydata()
    assert len(shown) == 2000
    assert (shown[0], shown[-1]) == (0, n - 1)


@pytest.mark.parametrize("arguments", [{"record": ()}, {"record": ("m",)}, {"record_neurons": []}])
def test_there_is_nothing_to_plot_without_voltage_and_spikes(arguments):
    pytest.importorskip("matplotlib")
    with pytest.raises(InvalidInput, match=r"nothing to plot: .* neither V nor spikes"):
        run(spikes="off", **arguments).plot()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no archive"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: np.save(path.open("wb"), np.ones(3)),
        lambda path: np.savez(path.open("wb"), metadata=np.array("[1, 2]")),
        lambda path: np.savez(path.open("wb"), metadata=np.array('{"format": 1, "hhplug": "0"}')),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the lines above
def test_any_other_file_is_refused(spoil, tmp_path):
    path = tmp_path / "a.npz"
    hhplug.Simulator("reference").run(T=0.1).save(path)
    hhplug.load_result(path)
    spoil(path)
    with pytest.raises(InvalidInput, match="is not a result saved by hhplug, or damaged"):
        hhplug.load_result(path)
