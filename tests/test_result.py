"""What a Result offers: samples, spikes, speed and labelled data."""

import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from short_runs import run

import hhplug
from hhplug import InvalidInput, MissingExtra, NotRecorded
from hhplug.results.timing import Timing
from hhplug.validity import Invalid


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
def test_a_missing_variable_raises_a_KeyError_that_says_why(name, recorded, words):
    result = run(record=recorded)
    with pytest.raises(KeyError) as error:
        result[name]
    for word in words:
        assert word in error.value.args[0]


def test_a_result_says_which_variables_it_holds():
    result = run(record=("V", "n"))
    assert list(result) == ["V", "n"]
    assert all(name in result for name in ("V", "n", "time"))
    assert not any(name in result for name in ("m", "Vm", 0))
    assert list(run(record=())) == []


def test_a_variable_that_was_not_recorded_is_a_missing_attribute():
    bare = run(record=(), spikes="off")
    for name in ("V", "m", "h", "n", "spikes", "spike_count"):
        assert not hasattr(bare, name)
        assert getattr(bare, name, None) is None
    with pytest.raises(NotRecorded) as error:
        _ = bare.m
    # The message itself, not its repr as of any other KeyError.
    assert str(error.value) == "m was not recorded (nothing was); run with record=('m',)"


def test_spikes_of_a_run_without_spikes_raise_NotRecorded():
    off = run(spikes="off")
    with pytest.raises(InvalidInput, match="not kept: the run had spikes='off'"):
        _ = off.spikes
    with pytest.raises(InvalidInput, match="not counted: the run had spikes='off'"):
        _ = off.spike_count
    for ask in (off.firing_rate, off.fi_curve):
        with pytest.raises(InvalidInput, match="not kept: the run had spikes='off'"):
            ask()


def test_spike_times_of_a_run_that_counted_spikes_raise_NotRecorded(spiking):
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
    step = (spiking.spikes.time / 0.05).astype(int)
    assert ((V[step, neuron] < 0.0) & (V[step + 1, neuron] >= 0.0)).all()
    assert repr(spiking.spikes) == f"Spikes({len(neuron)} of 3 neurons)"


def test_a_result_says_which_neurons_are_valid_and_from_which_step_on_others_are_not(spiking):
    assert spiking.valid.all()
    assert_array_equal(spiking.first_invalid_step, [-1, -1, -1, -1])
    invalid = Invalid(np.array([1, 3]), np.array([17, 4]))
    some = replace(spiking, outcome=spiking.outcome._replace(invalid=invalid))
    assert_array_equal(some.valid, [True, False, True, False])
    assert_array_equal(some.first_invalid_step, [-1, 17, -1, 4])


def test_a_result_knows_when_it_was_computed():
    before = datetime.now(UTC)
    written = run().written
    assert before <= written <= datetime.now(UTC)


def test_speed_excludes_compilation(plain):
    timed = replace(plain, timing=Timing(prepare=9.0, run=0.5, total=10.0))
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
    assert repr(run()).startswith("<hhplug.Result: 1 neuron, 1 ms")


@pytest.mark.parametrize(
    ("modules", "ask", "command"),
    [
        (["xarray"], lambda result: result.to_xarray(), r"pip install xarray"),
        (["xarray"], lambda result: result.spikes.to_xarray(), r"pip install xarray"),
        (
            ["matplotlib", "matplotlib.figure"],
            lambda result: result.plot(),
            r"pip install matplotlib",
        ),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    plain, monkeypatch, modules, ask, command
):
    for package, lazy in ((hhplug, "figure"), (hhplug.results, "dataset")):
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{lazy}", raising=False)
        monkeypatch.delattr(package, lazy, raising=False)
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=command):
        ask(plain)
