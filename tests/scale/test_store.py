"""A run on a store has the result of a run in memory, goes on from its commits, and says no."""

import json
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import xarray
from device.host_device import HostDevice, backend_on
from device.host_problems import blocks_of
from interrupted_runs import at
from numpy.testing import assert_array_equal
from scale.cells import DT, NOISE, SEGMENT, STATE, N, T, assert_same, run, segments_of

import hhplug
from hhplug import Interrupted, InvalidInput, Problem, Simulator, Stimulus, membranes, open_result
from hhplug.stores.arrays import put
from hhplug.stores.grid import grid_of
from hhplug.stores.shard import Shard
from hhplug.stores.store import RunStore

STEPS = round(T / DT)
ARRAY = np.random.default_rng(20).uniform(0.0, 40.0, (STEPS, N))
WAVES = Stimulus.sine(np.linspace(0.0, 20.0, N), 400.0, offset=15.0)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The store of a run, which tests only read."""
    path = tmp_path_factory.mktemp("stored") / "run.zarr"
    run(path)
    return path


@pytest.fixture(scope="module")
def in_memory():
    return run()


CASES = {
    "noise": {},
    "array": {"stimulus": ARRAY},
    "array for all": {"stimulus": ARRAY[:, :1], "initial_state": np.tile(STATE, N)},
    "waves of all": {"stimulus": WAVES, "record_neurons": None, "spikes": "counts"},
    "spikes alone": {"record": (), "record_every": 1},
    "nothing of spikes": {"record": ("h", "V"), "record_every": 3, "spikes": "off"},
    "few samples": {"record_every": 19},
    "a later start": {"start_step": 5, "record_every": 4},
    "no sample at all": {"start_step": 5, "record_every": 1000},
    "values that are all zero": {"stimulus": Stimulus.constant(np.zeros(N)), "spikes": "counts"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_store_holds_what_a_run_in_memory_returns(store, case):
    expected = run(**CASES[case])
    assert_same(run(store, **CASES[case]), expected)
    opened = open_result(store)
    assert_same(opened, expected)
    assert repr(opened.problem.stimulus) == repr(expected.problem.stimulus)
    assert opened.problem.arguments().keys() == expected.problem.arguments().keys()
    assert opened.parameters == expected.parameters


def test_a_membrane_of_ones_own_and_its_parameters_are_kept(store):
    simulator = Simulator("numpy", "float64", {"g_M": np.linspace(0, 1, N)}, membrane=membranes.RS)
    with segments_of(SEGMENT):
        expected = simulator.run(T, DT, stimulus=NOISE, record_all=True)
        assert_same(simulator.run(T, DT, stimulus=NOISE, record_all=True, store=store), expected)
    opened = open_result(store)
    assert opened.membrane == membranes.RS
    assert_array_equal(opened.parameters["g_M"], np.linspace(0, 1, N))
    assert_array_equal(opened.currents("M"), expected.currents("M"))


def test_invalid_neurons_keep_the_step_at_which_they_became_so(store):
    simulator = Simulator("numpy", "float64", {"g_Na": np.linspace(120.0, 4000.0, N)})
    arguments = {"T": T, "dt": DT, "stimulus": NOISE, "initial_state": STATE}
    with segments_of(SEGMENT), pytest.warns(RuntimeWarning, match="neurons became invalid"):
        expected = simulator.run(**arguments)
    with segments_of(SEGMENT), pytest.warns(RuntimeWarning, match="neurons became invalid"):
        result = simulator.run(**arguments, store=store)
    assert 0 < (~expected.valid).sum() < N
    assert_same(result, expected)


def test_a_run_that_resumes_another_may_have_a_store(store, tmp_path):
    first = run(tmp_path / "first.zarr", initial_state=STATE)
    rest = {"initial_state": None, "resume": open_result(tmp_path / "first.zarr")}
    expected = run(initial_state=None, resume=first)
    assert_same(run(store, **rest), expected)
    assert_same(run(store, **rest), expected)
    with pytest.raises(InvalidInput, match=r"another run: it has start_step=40, and this has 0"):
        run(store)


def test_simulate_takes_a_store_too(store, in_memory):
    problem = in_memory.problem
    with segments_of(SEGMENT):
        assert_same(hhplug.simulate(problem, "reference", store=store), in_memory)
    with pytest.raises(InvalidInput, match="leave device_arrays out"):
        hhplug.simulate(problem.with_device_arrays(True), "reference", store=store)


OTHER_MEAN = Stimulus.ornstein_uhlenbeck(np.linspace(1.0, 40.0, N), 9.0, tau=1.0, seed=20)


def test_a_device_goes_on_after_each_commit_as_if_there_was_none(store):
    problem = Problem(T, DT, stimulus=NOISE, dtype="float64", initial_state=STATE)
    with blocks_of(5), segments_of(SEGMENT):
        expected = hhplug.simulate(problem, backend_on(HostDevice()))
        assert_same(hhplug.simulate(problem, backend_on(HostDevice()), store=store), expected)
    assert (RunStore(store).grid.n_segments, len(expected.spikes)) == (3, N)


REFUSED = {
    r"T=2.0, and this has 2.5; name a new store for the rest, which resume=": {"T": 2.5},
    "T=2.0, and this has 1.5; name a new store$": {"T": 1.5},
    "another stimulus": {"stimulus": WAVES},
    "stimulus 0 mean has other values": {"stimulus": OTHER_MEAN},
    r"record=\['V'\], and this has \['V', 'h'\]": {"record": ("V", "h")},
    "record_neurons has other values": {"record_neurons": [0, 2, 5]},
    "7 neurons, computed 7 together, and this has 3": {"stimulus": WAVES.take([0, 5, 2])} | {
        "record_neurons": None
    },
    "spikes='times', and this has 'off'": {"spikes": "off"},
    "with the backend reference, and this is numpy": {"backend": "numpy", "dtype": "float64"},
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_another_run_is_refused_in_words(stored, words):
    with pytest.raises(InvalidInput, match=words):
        run(stored, **REFUSED[words])


def test_another_kind_of_device_is_refused(stored, monkeypatch):
    monkeypatch.setattr("hhplug.reference.cpu_name", lambda: "Another CPU")
    with pytest.raises(InvalidInput, match=r"begun with the device .*, and this is Another CPU"):
        run(stored)


def test_a_folder_that_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(InvalidInput, match="is not a store of hhplug"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InvalidInput, match=r"is not a store of hhplug, .*; load_result reads"):
        open_result(tmp_path / "thesis.txt")
    with pytest.raises(InvalidInput, match="no folder"):
        run(tmp_path / "none" / "run.zarr")
    with pytest.raises(InvalidInput, match=r"there is no store .*nothing"):
        open_result(tmp_path / "nothing")


def test_a_store_of_a_later_format_is_refused(store):
    run(store)
    file = store / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["hhplug"]["format"] = "1.7"
    file.write_text(json.dumps(content))
    open_result(store)
    content["attributes"]["hhplug"]["format"] = "2.0"
    file.write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match=r"has format 2.0, and this hhplug reads 1.0"):
        open_result(store)


def test_two_owners_of_a_run_lose_nothing_and_are_warned(store, in_memory):
    other_runs = []

    def meanwhile(done):
        if done > 0.5 and not other_runs:
            other_runs.append(None)
            other_runs[0] = run(store)

    with pytest.warns(RuntimeWarning, match="another process computes shard 0 of .* too"):
        assert_same(run(store, progress=meanwhile), in_memory)
    assert_same(other_runs[0], in_memory)
    assert_same(open_result(store), in_memory)


def test_of_two_owners_that_begin_together_one_decides_the_backend(store, monkeypatch):
    begun = []

    def meanwhile(*arguments):
        if not begun:
            begun.append(None)
            run(store)
        return put(*arguments)

    monkeypatch.setattr("hhplug.stores.shard.put", meanwhile)
    with pytest.raises(InvalidInput, match="begun with the backend reference, and this is numpy"):
        run(store, backend="numpy", dtype="float64")
    assert not list(store.rglob("*.part"))


def test_a_result_of_a_relative_path_outlives_a_change_of_folder(tmp_path, in_memory, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("run.zarr")
    monkeypatch.chdir("/")
    assert_same(result, in_memory)


def test_an_owner_that_is_behind_doesnt_take_back_a_commit(store):
    run(store)
    shard = Shard(RunStore(store), 0)
    done = shard.committed()
    assert done.segments == 3
    behind = type(done)(**vars(done) | {"segments": 1})
    with pytest.warns(RuntimeWarning, match="another process"):
        Shard(RunStore(store), 0).commit(shard.problem, behind)
    assert shard.committed().segments == 3
    assert RunStore(store).segments_done().tolist() == [3]


@pytest.mark.usefixtures("sigint_handler")
def test_ctrl_c_keeps_the_segments_that_are_done_and_the_same_call_goes_on(store, in_memory):
    with pytest.raises(Interrupted, match=r"run.zarr has 0.7 of 2 ms, and the same call") as stop:
        run(store, progress=at(0.2))
    assert_same(stop.value.result, run(T=0.7))
    assert_same(run(store), in_memory)


@pytest.mark.usefixtures("sigint_handler")
def test_ctrl_c_before_the_first_commit_has_no_result(store, monkeypatch):
    monkeypatch.setattr("hhplug.running.advancing.FINISH_SECONDS", 0.0)
    monkeypatch.setattr("hhplug.running.block_length.FIRST_STEPS", 3)
    with pytest.raises(KeyboardInterrupt, match="before anything was written") as stop:
        run(store, progress=at(0.0))
    assert not isinstance(stop.value, Interrupted)


def test_progress_goes_from_where_the_run_was_broken_off_to_its_end(store):
    seen = []

    def failing(done):
        if done > 0.5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(store, progress=failing)
    kept = open_result(store).problem.n_steps
    run(store, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] > kept / STEPS
    assert seen[-1] == 1.0


def test_samples_are_read_as_numpy_indexes(stored, in_memory):
    V, expected = open_result(stored).V, in_memory.V
    for key in (
        3, -1, slice(2, 9, 3), slice(None, None, -2), (slice(None), 1), (4, 2), (-2, [2, 0]),
        ([3, 1], slice(0, 2)), (expected[:, 0] > -60.0), ..., (slice(1, 5), np.array([True, 0, 1])),
        ([1, 2], [0, 2]), (slice(0, 0), slice(None)),
    ):  # fmt: skip
        assert_array_equal(V[key], expected[key])
    assert_array_equal(V - 1.0, expected - 1.0)
    assert_array_equal(np.abs(V), np.abs(expected))
    assert_array_equal(V.mean(axis=0), expected.mean(axis=0))
    assert V.T.shape == (3, STEPS // 2)
    with pytest.raises(AttributeError, match="'StoredSamples' object has no attribute 'maen'"):
        V.maen()
    assert len(V) == len(expected)
    with pytest.raises(IndexError):
        V[0, 3]


def test_a_dataset_of_a_store_reads_what_is_computed_with(stored, in_memory, monkeypatch):
    read = []
    outer = hhplug.stores.samples.StoredSamples.outer

    def counted(samples, rows, columns):
        values = outer(samples, rows, columns)
        read.append(values.size)
        return values

    monkeypatch.setattr("hhplug.stores.samples.StoredSamples.outer", counted)
    dataset = open_result(stored).to_xarray()
    assert dataset.V.sel(neuron=2).max() == in_memory.V[:, 2].max()
    assert read == [20]
    expected = in_memory.to_xarray()
    assert dataset.drop_vars("written").equals(expected.drop_vars("written"))


def test_xarray_and_tensorstore_read_v_with_units_without_hhplug(stored, in_memory):
    dataset = xarray.open_zarr(stored, consolidated=False)
    assert_array_equal(dataset.V, in_memory.V)
    assert dataset.V.attrs["units"] == "mV"
    assert dataset.time.attrs["units"] == "ms"
    assert_array_equal(dataset.time, in_memory.time)
    assert_array_equal(dataset.neuron, in_memory.neurons)
    assert_array_equal(dataset.spike_count, in_memory.spike_count)
    spikes = xarray.open_zarr(stored / "shards/000000/spikes/000000", consolidated=False)
    assert spikes.time.attrs["units"] == "ms"
    assert_array_equal(spikes.neuron, Shard(RunStore(stored), 0).spikes(0)[0])
    kvstore = {"driver": "file", "path": f"{stored}/V/"}
    V = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result()
    assert_array_equal(V.read().result(), in_memory.V)


def test_every_object_lies_in_one_cell():
    for n, every, steps, record in ((1, 1, 2_000_000, 1), (12_345, 7, 30_000, 2), (3_000, 1, 9, 0)):
        problem = Problem(
            steps * DT, DT, batch_size=n, record=("V", "m")[:record], record_every=every
        )
        for shards in (1, 3):
            grid = grid_of(problem, n * shards, n)
            rows = [grid.rows(j) for j in range(grid.n_segments)]
            assert rows[0].start == 0
            assert all(before.stop == after.start for before, after in pairwise(rows))
            assert rows[-1].stop == grid.shape[0]
            assert all(row.start % grid.cell[0] == 0 for row in rows)
            assert grid.width % grid.chunk[1] == 0 or shards == 1
            assert grid.cell[0] % grid.chunk[0] == grid.cell[1] % grid.chunk[1] == 0


@pytest.mark.parametrize(
    ("n", "steps"), [(1, 250_000), (10_000, 26_000), (268_000, 1000), (10**6, 1000)]
)
def test_a_segment_is_some_hundred_million_neuron_steps_or_a_thousand_steps(n, steps):
    problem = Problem(10**6 * DT, DT, batch_size=n, record=(), spikes="counts")
    assert grid_of(problem, n, n).segment == steps


MEMORY = """
import sys
from unittest.mock import patch
import psutil
from hhplug import Simulator, Stimulus
memory = []
def report(done):
    memory.append((done, psutil.Process().memory_info().rss))
with patch("hhplug.stores.grid.SEGMENT_BYTES", 2**20):
    Simulator("numpy").run(200.0, 0.05, stimulus=Stimulus.constant([10.0] * 1000), record_all=True,
                           features=("isi_cv", "V_std"), store=sys.argv[1], progress=report)
print((max(rss for _, rss in memory) - max(rss for done, rss in memory if done < 1 / 16)) / 1e6)
"""
MORE_MEMORY = 20.0  # MB; after the first sixteenth, 60 MB more are recorded


def test_memory_stays_flat_as_the_recording_grows_sixteenfold(store):
    assert float(output_of(MEMORY, store)) < MORE_MEMORY


def output_of(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_zarr_and_dask_are_imported_only_when_they_are_used():
    script = (
        "import sys, hhplug; hhplug.open_result, hhplug.Simulator('numpy').run(1.0)\n"
        "print({'zarr', 'dask', 'distributed', 'xarray'} & set(sys.modules))"
    )
    assert output_of(script) == "set()\n"


def test_a_process_killed_by_the_system_loses_nothing(store):
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2])\n"
        "from scale.cells import run\n"
        "run(sys.argv[1], progress=lambda done: done > 0.5 and os.kill(os.getpid(), 9))"
    )
    command = [sys.executable, "-c", script, store, Path(__file__).parent.parent]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert open_result(store).problem.n_steps >= SEGMENT
    assert_same(run(store), run())


def test_without_zarr_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hhplug.running.stored", None)
    with pytest.raises(
        hhplug.MissingExtra, match=r"needs zarr .*: pip install 'zarr>=3\.1\.6' xarray"
    ):
        run(tmp_path / "run.zarr")
