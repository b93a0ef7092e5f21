"""Running a problem: precision, warnings, blocks, sessions, timing and device arrays."""

import copy
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from under_test import seconds_to_first_result

import hhplug
from hhplug import (
    BackendUnavailable,
    HHParameters,
    InvalidInput,
    NotEnoughMemory,
    Problem,
    Simulator,
    Stimulus,
    simulate,
)
from hhplug.backend import Block, Capabilities, Session
from hhplug.plugins import choice, discovery
from hhplug.reference import ReferenceSession
from hhplug.state import State


def test_a_problem_runs_by_backend_name():
    problem = Problem(T=0.3, dt=0.01, batch_size=3, dtype="float64")
    result = simulate(problem, backend="reference")
    assert (result.backend, result.dtype) == ("reference", "float64")
    assert result.V.shape == (30, 3)


def test_a_simulator_in_place_of_a_problem_is_refused():
    with pytest.raises(hhplug.InvalidInput, match=r"problem must be a Problem, got Simulator"):
        hhplug.simulate(hhplug.Simulator("reference"))


def test_float32_is_the_default_where_the_backend_has_it():
    assert simulate(Problem(T=0.1), backend="numpy").dtype == "float32"
    assert simulate(Problem(T=0.1), backend="reference").dtype == "float64"
    assert Simulator("numpy", dtype=np.float64).run(T=0.1).V.dtype == np.float64


def test_a_precision_the_backend_does_not_have_is_refused():
    with pytest.raises(InvalidInput, match=r"'reference' computes in float64, got dtype='float32'"):
        Simulator("reference", dtype="float32")


@pytest.mark.parametrize("by", [str, choice.choose])
def test_a_problem_in_float32_runs_in_float64_on_a_backend_without_float32(by, tmp_path):
    Simulator("numpy", "float32").run(0.1).save(tmp_path / "run.npz")
    saved = hhplug.load_result(tmp_path / "run.npz").problem
    assert saved.dtype == "float32"
    assert simulate(saved, by("reference")).dtype == "float64"


def test_a_problem_in_float64_is_refused_by_a_backend_without_it_and_the_proposal_works(plugins):
    plugins.offer("toy", dtypes=("float32",))
    problem = Problem(0.1, dtype="float64")
    with pytest.raises(
        InvalidInput, match=r"'toy' computes in float32, and .* in float64"
    ) as error:
        simulate(problem, "toy")
    proposed = re.search(r"use (problem\..*\)), or", str(error.value))[1]
    assert eval(proposed).dtype == "float32"
    assert simulate(Problem(0.1, dtype="float64"), "auto").dtype == "float64"


def test_neurons_that_blow_up_give_a_warning():
    with pytest.warns(RuntimeWarning, match=r"1 of 3 neurons became invalid.*neuron 1 at 0.01 ms"):
        Simulator("numpy").run(T=1.0, stimulus=Stimulus.constant([0.0, 1e36, 0.0]))


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_a_neuron_without_a_finite_state_gives_a_warning(lost):
    state = np.zeros((4, 3))
    state[2, 1] = lost
    with (
        patch.object(ReferenceSession, "state", lambda _: State(state)),
        pytest.warns(RuntimeWarning, match=r"1 of 3 neurons became invalid.*neuron 1 at 0.1 ms"),
    ):
        result = Simulator("reference").run(T=0.1, batch_size=3)
    np.testing.assert_array_equal(result.first_invalid_step, [-1, 10, -1])


@pytest.mark.parametrize(
    "run",
    [
        lambda problem: Simulator("numpy", "float64").run(1.0, stimulus=problem.stimulus),
        lambda problem: simulate(problem, "numpy"),
    ],
)
def test_the_warning_names_the_users_line(run):
    problem = Problem(1.0, stimulus=Stimulus.constant(1e306), dtype="float64")
    with pytest.warns(RuntimeWarning, match="1 of 1 neurons") as warned:
        run(problem)
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda sim: pickle.loads(pickle.dumps(sim))])
def test_a_simulator_is_copied_by_its_arguments(copied):
    made = Simulator("numpy", "float64", HHParameters(g_Na=[100.0, 130.0]))
    ours, theirs = copied(made), made
    assert repr(ours) == repr(theirs)
    assert np.array_equal(ours.run(1.0).V, theirs.run(1.0).V)


def test_a_simulator_does_not_change_with_the_arrays_of_its_parameters():
    g_Na = np.full(3, 120.0)
    simulator = Simulator("numpy", parameters=HHParameters(g_Na=g_Na))
    g_Na[:] = 100.0
    checked = simulator.parameters.g_Na
    assert list(checked) == [120.0, 120.0, 120.0]
    with pytest.raises(ValueError, match="read-only"):
        checked[0] = 100.0
    assert simulator.run(0.1).parameters.g_Na is checked  # nothing is copied for each run


def test_a_simulator_refuses_parameters_that_no_membrane_has():
    with pytest.raises(InvalidInput, match=r"g_Na must be zero or more mS/cm², got -1\.0"):
        Simulator("numpy", parameters=HHParameters(g_Na=-1.0))


def test_a_read_only_view_of_an_array_that_may_change_is_copied():
    g_Na = np.full(3, 120.0)
    view = g_Na[:]
    view.flags.writeable = False
    problem = Problem(0.1, parameters=HHParameters(g_Na=view))
    g_Na[:] = 100.0
    assert list(problem.parameters.g_Na) == [120.0, 120.0, 120.0]


def test_an_opened_backend_keeps_its_device_and_its_precision():
    chosen = choice.choose("reference")
    assert simulate(Problem(0.1), chosen).dtype == "float64"
    with pytest.raises(InvalidInput, match="'reference' is chosen with its device"):
        simulate(Problem(0.1), chosen, device=0)


def test_a_forked_process_is_refused_unless_the_backend_declares_that_it_runs(monkeypatch):
    opened = choice.choose("reference")
    undeclared = replace(opened, spec=replace(opened.spec, capabilities=Capabilities(("float64",))))
    assert simulate(Problem(0.1), undeclared).backend == "reference"
    process = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: process + 1)
    assert simulate(Problem(0.1), opened).backend == "reference"
    with pytest.raises(BackendUnavailable, match=r"'reference'.*\[forked\].*'spawn'"):
        simulate(Problem(0.1), undeclared)


def test_a_backend_without_memory_for_the_neurons_is_reported():
    full = MemoryError("Unable to allocate 2.18 GiB")
    with (
        patch("hhplug_numpy.backend.NumpyBackend.prepare", side_effect=full),
        pytest.raises(NotEnoughMemory, match=r"no room for 7 neurons: Unable .*smaller batch_size"),
    ):
        Simulator("numpy").run(T=1.0, batch_size=7)


def test_a_recording_that_does_not_fit_is_refused_before_the_backend_prepares():
    with (
        patch("hhplug.running.memory_check.free_memory", return_value=10**6),
        patch("hhplug_numpy.backend.NumpyBackend.prepare", side_effect=AssertionError),
        pytest.raises(NotEnoughMemory, match=r"needs 40.0 MB, and 1.0 MB is free"),
    ):
        Simulator("numpy").run(T=100.0, batch_size=1000)


class Log(Session):
    """A session that only logs the calls of the core."""

    def __init__(self, problem, max_steps):
        self.problem, self.max_steps, self.calls, self.closed = problem, max_steps, [], False

    def advance(self, n_steps):
        self.calls.append(("advance", n_steps))
        return LogBlock(self, n_steps)

    def state(self):
        self.calls.append(("state", 0))
        return State(np.zeros((4, self.problem.n_neurons), self.problem.dtype))

    def close(self):
        self.closed = True


class LogBlock(Block):
    def __init__(self, session, n_steps):
        self.session, self.n_steps = session, n_steps

    def read(self, out):
        self.session.calls.append(("read", self.n_steps))
        for array in out.samples.values():
            array[:] = self.n_steps


@pytest.fixture
def log():
    """Replace the NumPy session by a Log, and run."""
    sessions = []

    def prepare(_, problem, max_steps):
        sessions.append(Log(problem, max_steps))
        return sessions[-1]

    def run(sim=None, **arguments):
        (sim or Simulator("numpy")).run(**arguments)
        return sessions[-1]

    with patch("hhplug_numpy.backend.NumpyBackend.prepare", prepare):
        yield run


def test_the_next_block_is_enqueued_before_one_is_read_and_two_at_most_wait(log):
    session = log(T=100.0)
    unread, longest, reads = 0, 0, []
    for i, (call, n_steps) in enumerate(session.calls):
        unread += {"advance": 1, "read": -1, "state": 0}[call]
        longest = max(longest, unread)
        assert unread <= 2
        if call == "read":
            reads.append(n_steps)
            left = any(later == "advance" for later, _ in session.calls[i:])
            assert unread == 1 or not left
    assert longest == 2
    assert sum(reads) == 10_000
    assert reads == [n for call, n in session.calls if call == "advance"]  # in order, each once
    assert session.calls[-1] == ("state", 0)
    assert session.closed


def test_blocks_stay_within_their_bytes(log):
    size = 4 * 2 * 100 * 7
    bounds = patch("hhplug.running.preparing.ROW_BYTES", size)
    with bounds, patch("hhplug.running.memory_recorder.MemoryRecorder.sample_bytes", size):
        recorded = log(T=10.0, batch_size=100, record=("V", "m"))
        thinned = log(T=10.0, batch_size=100, record=("V", "m"), record_every=3)
        current = log(T=10.0, stimulus=np.zeros((1000, 100), np.float32), record=())
        bytewise = log(T=10.0, stimulus=np.zeros((1000, 100), np.int8), record=())
        many = log(T=10.0, stimulus=sum([Stimulus.constant(0.1)] * 50), record=())
    for session, most in (
        (recorded, 7),
        (thinned, 21),
        (current, 14),
        (bytewise, 14),
        (many, 14),
    ):
        assert session.max_steps == most
        assert max(n for _, n in session.calls) <= most


def test_a_run_begins_with_the_block_length_of_the_last_one(log, monkeypatch):
    now, read = [0.0], LogBlock.read

    def timed_read(block, out):
        now[0] += 1e-5 * block.n_steps
        read(block, out)

    monkeypatch.setattr(LogBlock, "read", timed_read)
    monkeypatch.setattr("hhplug.running.block_length.perf_counter", lambda: now[0])

    def first_block(sim):
        return log(sim, T=1000.0, record=()).calls[0][1]

    sim = Simulator("numpy")
    assert first_block(sim) == 64  # nothing is known
    assert first_block(sim) == 10_000  # 0.1 s
    assert first_block(Simulator("numpy")) == 64


def test_a_slow_progress_function_does_not_shorten_the_blocks(log, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hhplug.running.block_length.perf_counter", lambda: now[0])

    def slow(_):
        now[0] += 10.0

    blocks = [n for call, n in log(T=1000.0, record=(), progress=slow).calls if call == "read"]
    assert blocks == [64, 64, 64 * 128, 64 * 128, 65_536, 17_952]


def test_a_session_is_closed_when_the_backend_fails(log):
    with (
        patch.object(LogBlock, "read", side_effect=ZeroDivisionError),
        patch.object(Log, "close", autospec=True) as close,
    ):
        with pytest.raises(ZeroDivisionError):
            log(T=1.0)
        close.assert_called_once()


def test_the_total_time_is_at_least_that_of_preparing_and_running():
    timing = Simulator("numpy").run(T=1.0, batch_size=100).timing
    assert 0.0 <= timing.prepare < timing.total
    assert 0.0 < timing.run < timing.total
    assert timing.prepare + timing.run <= timing.total


def test_speed_is_neurons_times_steps_over_the_time_of_stepping():
    result = Simulator("numpy").run(T=1.0, batch_size=100)
    assert result.neuron_steps_per_second == pytest.approx(100 * 100 / result.timing.run)


def test_ctrl_c_stops_within_a_second_and_leaves_the_interpreter_usable():
    script = """
import numpy as np, time
from hhplug import Simulator, Stimulus
simulator = Simulator("numpy")
print("ready", flush=True)
try:
    simulator.run(T=1e6, batch_size=20_000, record=(), spikes="counts")
except KeyboardInterrupt:
    print(len(simulator.run(T=0.1).V))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, _ = process.communicate(timeout=20)
        assert time.monotonic() - began < 1.0
    assert output == "10\n"


def test_importing_hhplug_loads_no_gpu_library_nor_any_plugin():
    script = "import sys, hhplug; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "triton", "pycuda", "matplotlib", "xarray", "scipy", "rich"}
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith(("hhplug_", "hhplug.testing"))]


def test_a_backend_by_name_gives_its_first_result_in_half_a_second():
    assert seconds_to_first_result("numpy", enough=0.5) < 0.5


def test_auto_takes_numpy_if_it_is_the_best_that_is_installed():
    best = next(entry for entry in discovery.backends() if not entry.unavailable)
    assert Simulator().backend == best.name
    assert hhplug.Simulator(dtype="float64").run(T=0.1).backend == best.name


def test_device_arrays_need_a_backend_that_has_them():
    with pytest.raises(InvalidInput, match="'numpy' keeps nothing on a device"):
        Simulator("numpy").run(T=0.1, device_arrays=True)


class OnDevice:
    """An array that must be copied to the host before use."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def get(self):
        return self.array.copy()


def test_device_arrays_come_from_the_session_and_on_host_copies_them(tmp_path):
    host = Simulator("reference").run(T=0.3, batch_size=2)

    class Device(ReferenceSession):
        def device_samples(self):
            return {"V": OnDevice(host.V)}

    chosen = choice.choose("reference")
    spec = replace(chosen.spec, capabilities=Capabilities(("float64",), device_arrays=True))
    with patch("hhplug.reference.ReferenceSession", Device):
        problem = Problem(T=0.3, batch_size=2, device_arrays=True)
        result = simulate(problem, replace(chosen, spec=spec))
    assert isinstance(result.V, OnDevice)
    np.testing.assert_array_equal(result.to_xarray()["V"], host.V)
    assert result.plot().axes
    result.save(tmp_path / "a.npz")
    np.testing.assert_array_equal(hhplug.load_result(tmp_path / "a.npz").V, host.V)
