"""A wrong run gives no time, and an absent backend is skipped."""

import sys

import numpy as np
import pytest

from benchmarks import peers, runs
from benchmarks.inputs import CURRENTS, DT, DTYPES, LENGTHS, Population
from benchmarks.runs import InvalidRun, TimedRuns, check, checked_run
from hhplug import BackendUnavailable, Simulator

STEPS = LENGTHS[3]
SMALL = Population(100)


def test_a_run_with_a_wrong_spike_count_has_no_time():
    counts = SMALL.spike_count(STEPS)
    check(np.zeros((4, 100)), counts, SMALL, STEPS)
    counts[7] += 1
    with pytest.raises(InvalidRun, match="1 of 100 neurons have a wrong spike count"):
        check(np.zeros((4, 100)), counts, SMALL, STEPS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_whose_final_state_is_not_finite_has_no_time(value):
    state = np.zeros((4, 100))
    state[2, 5] = value
    with pytest.raises(InvalidRun, match="1 values are not finite"):
        check(state, SMALL.spike_count(STEPS), SMALL, STEPS)


def test_a_run_with_other_parameters_is_detected():
    wrong = Simulator("numpy", "float32")  # without the population's parameters
    with pytest.raises(InvalidRun):
        checked_run(wrong, SMALL, LENGTHS[-2])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_textbook_counts_the_spikes_that_the_reference_counts(dtype):
    population = Population(100, varied=False)
    run = peers.textbook(population.row("I_ext"), population.row("state"), DT, dtype)
    state, counts = run(LENGTHS[4])
    assert state.dtype == dtype
    check(state, counts, population, LENGTHS[4])


@pytest.mark.parametrize("name", ["numpy", "peer-textbook"])
def test_timed_runs_give_the_time_of_a_step(name):
    timed = TimedRuns(name, "float32", 100)
    assert 1e-7 < timed.seconds_per_step() < 1e-2  # s; 5e-5 and 1e-4 are usual


@pytest.mark.parametrize("current", CURRENTS)
def test_noise_and_a_recorded_waveform_are_as_weak_as_the_counts_of_spikes_need(current):
    TimedRuns(
        "numpy", "float32", 10, current=current
    ).seconds_per_step()  # raises InvalidRun otherwise


def test_the_recorded_waveform_changes_in_float32_so_that_it_is_not_held():
    separable = SMALL.current("recorded").current(DT).separable
    assert separable
    assert len(np.unique(separable.waveform(0, 20).astype(np.float32))) > 5


def test_the_fixed_cost_of_a_run_is_not_part_of_the_time_of_a_step(monkeypatch):
    timed = TimedRuns("numpy", "float32", 100)
    monkeypatch.setattr(timed, "_run", lambda steps: 5.0 + 2e-3 * steps)
    assert timed.seconds_per_step() == pytest.approx(2e-3)


@pytest.fixture
def lacking(monkeypatch):
    """Make every backend unavailable."""

    def unavailable(name, *_):
        raise BackendUnavailable("no_driver", "none found", backend=name)

    monkeypatch.setattr(runs, "Simulator", unavailable)


@pytest.mark.usefixtures("lacking")
def test_a_backend_that_is_absent_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.delenv(runs.REQUIRE, raising=False)
    with pytest.raises(NotImplementedError, match=r"\[no_driver\] none found"):
        TimedRuns("numpy", "float32", 1)


@pytest.mark.usefixtures("lacking")
def test_a_backend_that_is_required_and_absent_is_a_failure(monkeypatch):
    monkeypatch.setenv(runs.REQUIRE, "numba,numpy")
    with pytest.raises(RuntimeError, match="numpy is required by HHPLUG_BENCH_REQUIRE, but: "):
        TimedRuns("numpy", "float32", 1)


def test_an_absent_peer_is_skipped_or_fails_like_a_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delenv(runs.REQUIRE, raising=False)
    with pytest.raises(NotImplementedError, match="cupy"):
        TimedRuns("peer-launches", "float32", 1)
    monkeypatch.setenv(runs.REQUIRE, "peer-launches")
    with pytest.raises(RuntimeError, match="peer-launches is required"):
        TimedRuns("peer-launches", "float32", 1)


def test_a_dtype_that_a_backend_does_not_have_is_skipped_even_where_it_is_required(monkeypatch):
    monkeypatch.setenv(runs.REQUIRE, "reference")
    with pytest.raises(NotImplementedError, match="float64"):
        TimedRuns("reference", "float32", 1)


def test_a_benchmark_that_would_take_too_long_is_skipped():
    with pytest.raises(
        NotImplementedError, match="1,000,000 neurons would take reference too long"
    ):
        TimedRuns("reference", "float64", 1_000_000)
