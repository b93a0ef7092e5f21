"""Features that are computed while a run goes on, against their definitions and each other."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from features.described import features as described
from numpy.testing import assert_allclose, assert_array_equal
from under_test import NAMES

import hhplug
from hhplug import InvalidInput, NotRecorded, Problem, Result, Simulator, Stimulus, simulate
from hhplug.features.definitions import FEATURES
from hhplug.features.sums import FeatureSums
from hhplug.plugins import choice
from hhplug.running.block_length import BlockLength

DT = 0.025  # ms
STEPS = 1600
N = 9
ALL = tuple(FEATURES)
WINDOW = (5.0, 37.5)  # ms
# From silent to 3 spikes, and V crosses the threshold in the noise.
NOISY = Stimulus.ornstein_uhlenbeck(np.linspace(0.0, 24.0, N), 6.0, 2.0, seed=4)
RELATIVE = 1e-9  # of float64 sums, whose order differs
ROUNDING = 5e-12  # mV, ms; the same of values near zero
SINGLE = 2e-5  # mV; of V's mean and standard deviation in float32, measured 7e-6 over 1300 samples


def problem(**changes):
    given = {"T": STEPS * DT, "dt": DT, "stimulus": NOISY, "features": ALL, "window": WINDOW}
    return Problem(**{**given, "record": ()} | changes)


def assert_same_features(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert_array_equal(one[name], other[name], name)


@pytest.mark.parametrize("threshold", [0.0, -62.0])
@pytest.mark.parametrize("backend", [name for name in NAMES if name != "triton"])
def test_features_are_those_of_the_trace_and_the_spikes(backend, threshold):
    result = simulate(problem(record=("V",), spike_threshold=threshold), backend)
    assert result.spike_count.max() > 3
    for i in range(N):
        spikes = result.spikes.time[result.spikes.neuron == i]
        steps = tuple(round(time / DT) for time in WINDOW)
        expected = described(result.V[:, i], DT, spikes, steps, threshold)
        assert tuple(expected) == ALL
        for name, value in expected.items():
            summed = name in ("V_mean", "V_std") and result.V.dtype == np.float32
            rounding = SINGLE if summed else ROUNDING
            assert_allclose(result.features[name][i], value, RELATIVE, rounding, err_msg=name)


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "triton"])
def test_what_is_recorded_changes_no_feature_and_features_change_no_record(backend):
    plain = simulate(problem(features=(), window=None, record=("n", "V")), backend)
    kept = {"record": ("n", "V"), "record_every": 3, "record_neurons": [7, 2]}
    some = simulate(problem(**kept), backend)
    assert_array_equal(some.V, plain.V[::3, [7, 2]])
    assert_array_equal(some["n"], plain["n"][::3, [7, 2]])
    assert_array_equal(some.spikes.time, plain.spikes.time)
    assert_array_equal(some.final_state, plain.final_state)
    off = simulate(problem(spikes="off"), backend)
    assert_same_features(off.features, some.features)
    assert not off.samples
    with pytest.raises(NotRecorded):
        _ = off.spike_count


@pytest.mark.parametrize(
    ("backend", "window", "steps"),
    [("numpy", WINDOW, STEPS), ("numpy", None, STEPS), ("reference", WINDOW, 420)],
)
def test_cuts_in_time_and_in_the_population_change_no_bit(backend, window, steps, monkeypatch):
    whole = simulate(problem(T=steps * DT, window=window), backend)
    monkeypatch.setattr(BlockLength, "_possible", lambda _: 37)
    part, done = None, 0
    for end in (203, 411, steps):
        begun = {} if part is None else {"resume": part}
        part = simulate(problem(T=(end - done) * DT, window=window, **begun), backend)
        done = end
    assert_same_features(part.features, whole.features)
    parts = [simulate(problem(T=steps * DT, window=window).take(some), backend)
             for some in ([8, 1, 3], slice(4, 8), [2, 0])]  # fmt: skip
    assert_same_features(Result.join(parts).features, whole.features)


def test_a_mean_over_many_steps_in_float32_loses_no_digits():
    step = np.arange(100_000)[:, np.newaxis]
    spikes = -60.0 + 100.0 * np.exp(-((0.01 * step) % [14.0, 17.0]))
    slow = -40.0 + 0.01 * np.sin(step / 1000.0)
    V = np.concatenate([spikes, slow, np.full_like(slow, -40.123)], axis=1).astype(np.float32)
    sums = FeatureSums(("V_mean", "V_std"), (5, 10**9), 4, 0.0, 0.01)
    sums.samples(0, V)
    found, V = sums.values(len(V), np.ones(4, bool)), V[5:].astype(np.float64)
    # mV. Plain sums in float32 are off by 2e-2 and 7e-3.
    assert (np.abs(found["V_mean"] - V.mean(axis=0)) < [2e-6, 2e-6, 1e-12, 1e-12]).all()
    assert (np.abs(found["V_std"] - V.std(axis=0)) < [2e-6, 2e-6, 1e-9, 1e-9]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_neuron_alone_and_steps_one_by_one_have_the_same_sums(dtype):
    V = np.random.default_rng(1).normal(-40.0, 30.0, (700, 3)).astype(dtype)
    window, names = (130, 650), ALL[4:]  # those of V

    def sums(V, cuts):
        taken = FeatureSums(names, window, V.shape[1], 0.0, DT)
        for first, end in pairwise([0, *cuts, len(V)]):
            taken.samples(first, V[first:end])
        return taken.rows

    whole = sums(V, [])
    assert_array_equal(sums(V, range(1, 700)), whole)
    for i in range(3):
        assert_array_equal(sums(V[:, [i]], []), whole[:, [i]])
        assert_array_equal(sums(V[:, [i]], [131, 200, 512]), whole[:, [i]])


def test_a_saved_result_and_joined_runs_have_the_features(tmp_path):
    whole = simulate(problem(window=None), "numpy")
    first = simulate(problem(T=600 * DT, window=None), "numpy")
    first.save(tmp_path / "first.npz")
    first = hhplug.load_result(tmp_path / "first.npz")
    second = simulate(problem(T=(STEPS - 600) * DT, window=None, resume=first), "numpy")
    second.save(tmp_path / "second.npz")
    second = hhplug.load_result(tmp_path / "second.npz")
    assert_same_features(second.features, whole.features)
    assert second.problem.window_steps == whole.problem.window_steps
    assert_same_features(hhplug.concat([first, second]).features, whole.features)
    assert_same_features(simulate(second.problem, "numpy").features, whole.features)


@pytest.mark.parametrize("window", [None, (20.0, 100.0)])
def test_runs_in_which_neurons_settle_may_be_joined_to_the_one_with_features(window):
    settling = {"features": (), "window": None, "T": 300 * DT}
    first = simulate(problem(**settling), "numpy")
    second = simulate(problem(**settling, resume=first), "numpy")
    third = simulate(problem(T=800 * DT, window=window, resume=second), "numpy")
    joined = hhplug.concat([first, second, third])
    assert joined.time.shape == (1400,)
    assert_same_features(joined.features, third.features)
    assert_same_features(simulate(joined.problem, "numpy").features, third.features)
    fourth = simulate(problem(**settling, resume=third), "numpy")
    with pytest.raises(InvalidInput, match="must have the same features to be joined, but"):
        hhplug.concat([first, second, third, fourth])


@pytest.mark.parametrize("given", [np.array([2.0, 8.0]), [np.float32(2), 8], iter([2.0, 8.0])])
def test_a_window_of_any_kind_is_two_floats_so_that_files_and_resumed_runs_know_it(given, tmp_path):
    asked = {"features": ("V_min",), "window": given, "T": 5.0}
    first = simulate(problem(**asked), "numpy")
    assert first.problem.window == (2.0, 8.0)
    first.save(tmp_path / "first.npz")
    loaded = hhplug.load_result(tmp_path / "first.npz")
    assert loaded.problem.window == first.problem.window
    again = {} if isinstance(given, Iterator) else {"window": given}
    resumed = problem(**asked | {"window": (2.0, 8.0), "resume": loaded} | again)
    assert resumed.window_steps == (80, 320)


def test_features_in_another_order_go_on_too():
    whole = simulate(problem(window=None), "numpy").features
    first = simulate(problem(T=600 * DT, window=None), "numpy")
    rest = {"T": (STEPS - 600) * DT, "window": None, "resume": first}
    second = simulate(problem(**rest, features=ALL[::-1]), "numpy").features
    assert tuple(second) == ALL[::-1]
    assert_same_features(second, whole)


@pytest.mark.parametrize(
    "change", [{"window": (12.0, 18.0)}, {"dt": 2 * DT}, {"spike_threshold": -30.0}]
)
def test_features_of_another_window_dt_or_threshold_begin_anew(change):
    begin = {"window": None, "T": 10.0}
    run, unmeasured = (simulate(problem(**begin, features=f), "numpy") for f in (ALL, ()))
    after, anew = (
        simulate(problem(**begin | change, resume=before), "numpy") for before in (run, unmeasured)
    )
    assert_same_features(after.features, anew.features)
    assert after.problem.window_steps == anew.problem.window_steps


def test_a_window_begins_and_ends_at_the_same_step_as_a_current_does():
    window = (3 * DT / 2, 9 * DT / 2)  # ms; half steps are rounded up, 1.5 to 2 and 4.5 to 5
    current = Stimulus.step(1.0, *window).sample(DT, 10)
    assert problem(window=window).window_steps == (2, 5)
    assert problem(window=(0.0, DT)).window_steps == (0, 1)
    assert_array_equal(np.flatnonzero(current), range(2, 5))


def test_the_window_of_a_run_that_ends_before_it_is_empty():
    assert problem(window=(20.0, 30.0)).shortened(400).window_done == (20.0, 20.0)


def test_a_run_after_one_without_features_begins_its_window_anew():
    settled = simulate(problem(features=(), window=None), "numpy")
    after = simulate(problem(resume=settled, window=None, T=20.0), "numpy")
    begins = settled.next_step * DT
    firsts = [after.spikes.time[after.spikes.neuron == i].min(initial=np.inf) for i in range(N)]
    latency = np.nan_to_num(after.features["latency"], nan=np.inf)
    assert_allclose(latency, np.array(firsts) - begins, RELATIVE)
    other = simulate(problem(resume=after, features=("V_max",), window=None, T=1.0), "numpy")
    assert (other.features["V_max"] < after.features["V_max"].max()).all()
    with pytest.raises(InvalidInput, match="before this run, which begins at 40 ms"):
        problem(resume=settled)


def test_the_features_of_an_invalid_neuron_are_nan():
    stiff = {"parameters": {"g_Na": np.where(np.arange(N) == 2, 4000.0, 120.0)}}
    with pytest.warns(RuntimeWarning, match="1 of 9 neurons became invalid"):
        result = simulate(problem(**stiff), "numpy")
    assert not result.valid[2]
    for values in result.features.values():
        assert np.isnan(values[2])
    assert np.isfinite(result.features["V_mean"][result.valid]).all()


def test_a_dataset_has_the_features_with_their_units_and_their_window():
    pytest.importorskip("xarray")
    result = simulate(problem(), "numpy")
    data = result.to_xarray()
    assert_array_equal(data.isi_mean, result.features["isi_mean"])
    assert data.isi_mean.units == "ms"
    assert data.isi_mean.window_ms == [5.0, 37.5]
    cut = simulate(problem(T=20.0), "numpy").to_xarray()
    assert cut.isi_mean.window_ms == [5.0, 20.0]
    assert data.V_std.units == "mV"


def test_a_simulator_computes_features_without_keeping_a_trace():
    result = Simulator("numpy").run(20.0, DT, stimulus=NOISY, record=(), features="V_max")
    trace = Simulator("numpy").run(20.0, DT, stimulus=NOISY)
    assert_array_equal(result.features["V_max"], trace.V.max(axis=0))
    with pytest.raises(NotRecorded, match="no features were computed"):
        _ = trace.features


@pytest.mark.parametrize("features", ["all", ["all"]])
def test_all_features_have_one_name(features):
    result = Simulator("numpy").run(1.0, record=(), features=features)
    assert tuple(result.features) == tuple(FEATURES)


def test_every_wrong_request_is_refused_by_name():
    refused = {
        "unknown feature 'all'": {"features": ("V_min", "all")},
        "unknown feature 'isi_vc'": {"features": ("isi_vc",)},
        "features must name each feature once": {"features": ("V_min", "V_min")},
        "features must be names of spike_count": {"features": 3},
        r"window must be \(start, stop\)": {"window": 3.0},
        "start of window must be a finite number of ms": {"window": (np.nan, 3.0)},
        "window must lie between 0 and the last possible step, got .-1": {"window": (-1.0, 3.0)},
        "window must lie between 0 and the last possible step, got .0": {"window": (0.0, 1e15)},
        "must stop at least a step": {"window": (3.0, 3.0)},
        "when this run has ended, at 40 ms": {"window": (40.0, 50.0)},
        "window is that of features": {"features": ()},
    }
    for message, changes in refused.items():
        with pytest.raises(InvalidInput, match=message):
            problem(**changes)


def test_a_backend_that_gives_v_to_the_sums_records_nothing_for_them():
    opened = choice.choose("reference")
    assert opened.spec.capabilities.features == "samples"
    given = []
    prepare = opened.backend.prepare
    object.__setattr__(opened.backend, "prepare", lambda p, m: given.append(p) or prepare(p, m))
    simulate(problem(T=1.0, window=None), opened)
    assert given[0].record == ()
