"""Ctrl-C keeps the completed steps, which equal one whole run when joined with the rest."""

import pickle
import re
import signal
import subprocess
import sys
import time
from code import InteractiveInterpreter
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import psutil
import pytest
from device.host_device import HostDevice, backend_on
from device.host_problems import blocks_of
from end_to_end import assert_end_to_end
from interrupted_runs import ARRAY, BLOCK, DT, NOISE, STEPS, WAVES, N, at, ctrl_c, interrupted, run
from numpy.testing import assert_array_equal
from under_test import NAMES

import hhplug
from hhplug import Interrupted, InvalidInput, Problem, Simulator, Stimulus, cli
from hhplug.backend import Session
from hhplug.reference import ReferenceBlock, ReferenceSession

pytestmark = pytest.mark.usefixtures("sigint_handler")


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("stimulus", [ARRAY, WAVES, NOISE], ids=["array", "waves", "noise"])
@pytest.mark.parametrize("backend", NAMES)
def test_an_interrupted_run_and_its_continuation_equal_one_run(backend, stimulus, fraction):
    first = interrupted(backend, stimulus=stimulus, progress=at(fraction)).result
    steps = first.problem.n_steps
    # One more block was enqueued.
    assert steps == max(1, np.ceil(fraction * STEPS / BLOCK)) * BLOCK + BLOCK
    second = run(backend, steps, stimulus=stimulus, resume=first)
    assert_end_to_end([first, second], run(backend, stimulus=stimulus))


@pytest.mark.parametrize("spikes", ["counts", "off"])
def test_spikes_are_kept_as_requested(spikes):
    first = interrupted(progress=at(0.9), spikes=spikes, record=()).result
    whole = run(last=first.problem.n_steps, spikes=spikes, record=())
    assert first.outcome.spikes is None
    assert_array_equal(first.outcome.spike_count, whole.outcome.spike_count)
    assert_array_equal(first.final_state, whole.final_state)


@pytest.mark.parametrize("how", ["last block", "state"])
def test_an_interruption_after_the_last_step_has_the_whole_result(how):
    state = ReferenceSession.state

    def slow_state(session):
        ctrl_c()
        return state(session)

    if how == "state":
        with patch.object(ReferenceSession, "state", slow_state):
            stop = interrupted(progress=None)
    else:
        stop = interrupted(progress=at(1.0))
    assert str(stop).startswith("interrupted when all 3.01 ms were done; ")
    assert_end_to_end([stop.result], run())


def test_no_block_is_enqueued_after_an_interruption():
    advance, enqueued = ReferenceSession.advance, []

    def counted(session, n_steps):
        enqueued.append(n_steps)
        return advance(session, n_steps)

    with patch.object(ReferenceSession, "advance", counted):
        result = interrupted(progress=at(0.3)).result
    assert sum(enqueued) == result.problem.n_steps


def test_the_message_says_how_far_the_run_got_and_its_proposal_works():
    stop = interrupted(progress=at(0.5))
    text = str(stop)
    assert text.startswith("interrupted after 1.76 of 3.01 ms; ")
    proposed = re.search(r"T=([\d.]+), resume=result and stimulus\[(\d+):\] goes on$", text)
    rest = Simulator("reference").run(
        float(proposed[1]), DT, stimulus=ARRAY[int(proposed[2]) :], record_all=True,
        record_every=7, resume=stop.result,
    )  # fmt: skip
    assert_end_to_end([stop.result, rest], run())
    assert str(interrupted(stimulus=WAVES, progress=at(0.5))).endswith("=result goes on")


def test_an_interactive_session_keeps_the_result_as_the_message_says(monkeypatch, capsys):
    for name in ("last_type", "last_value", "last_traceback"):
        monkeypatch.setattr(sys, name, None, raising=False)
    session = InteractiveInterpreter({"run": lambda: run(progress=at(0.5))})
    session.runsource("run()")
    assert "sys.last_value.result" in capsys.readouterr().err
    assert sys.last_value.result.problem.n_steps == 176


def test_an_interruption_can_be_pickled_with_its_result():
    stop = interrupted(progress=at(0.5))
    again = pickle.loads(pickle.dumps(stop))
    assert str(again) == str(stop)
    assert_array_equal(again.result.V, stop.result.V)


def test_an_interrupted_result_can_be_saved_plotted_and_labelled(tmp_path):
    result = interrupted(progress=at(0.5)).result
    steps = result.problem.n_steps
    assert result.problem.stimulus.shape == (steps, N)
    assert np.shares_memory(result.problem.stimulus, ARRAY)
    assert result.V.shape == (len(range(0, steps, 7)), N)
    assert result.to_xarray().sizes["time"] == len(result.time)
    assert result.plot().axes
    result.save(tmp_path / "part.npz")
    loaded = hhplug.load_result(tmp_path / "part.npz")
    assert_end_to_end([loaded, run(first=steps, resume=loaded)], run())
    assert_array_equal(hhplug.simulate(loaded.problem, "reference").V, result.V)


@contextmanager
def interrupting(block_number):
    """Press Ctrl-C while the reference reads a block."""
    read, left = ReferenceBlock.read, [block_number]

    def reading(block, out):
        left[0] -= 1
        if left[0] == 0:
            ctrl_c()
        read(block, out)

    with patch.object(ReferenceBlock, "read", reading):
        yield


def on_device(first=0, last=STEPS, **arguments):
    problem = Problem((last - first) * DT, DT, stimulus=ARRAY[first:last], record_all=True,
                      record_every=7, device_arrays=True, **arguments)  # fmt: skip
    return problem, backend_on(HostDevice())


@pytest.mark.parametrize("fraction", [0.2, 1.0])
def test_device_arrays_are_cut_to_the_completed_steps(fraction):
    with blocks_of(BLOCK):
        with pytest.raises(Interrupted) as stop:
            hhplug.simulate(*on_device(), progress=at(fraction))
        first = stop.value.result
        steps = first.problem.n_steps
        parts = [first.on_host()]
        if fraction < 1.0:
            assert first.problem.device_arrays
            rest = hhplug.simulate(*on_device(steps, resume=first))
            parts.append(rest.on_host())
        assert first.V.shape == (len(range(0, steps, 7)), N)
        assert_end_to_end(parts, hhplug.simulate(*on_device()).on_host())


def test_the_first_rows_on_a_device_are_shared_with_other_libraries():
    class OnDevice:
        shape, dtype = (9, 5), np.dtype("f4")

        @property
        def __cuda_array_interface__(self):
            return {"shape": self.shape, "typestr": "<f4", "data": (64, False)}

    cut = hhplug.running.first_rows.first_rows(OnDevice(), 4)
    assert cut.shape == (4, 5)
    assert cut.__cuda_array_interface__ == {
        "shape": (4, 5), "typestr": "<f4", "data": (64, False)
    }  # fmt: skip


# It says "ready" when its first block is about to be enqueued.
SCRIPT = """
import sys
from hhplug import Interrupted, Simulator, Stimulus
from hhplug.running.interruption import Interruption
hold = Interruption.hold
Interruption.hold = lambda interruption: (hold(interruption), print("ready", flush=True))
backend, n = sys.argv[1], int(sys.argv[2])
simulator, stimulus = Simulator(backend), Stimulus.constant([10.0] * n)
try:
    simulator.run(1e5, stimulus=stimulus, record=())
except Interrupted as stop:
    print("interrupted", flush=True)
    steps = stop.result.problem.n_steps
    whole = simulator.run(steps * 0.01, stimulus=stimulus, record=())
    print(steps > 0, (stop.result.final_state == whole.final_state).all(),
          (stop.result.spikes.time == whole.spikes.time).all())
"""


@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize(("n", "wait"), [(2_000, 0.3), (200_000, 0.1)])  # s
def test_ctrl_c_gives_the_completed_steps_within_a_second(backend, n, wait):
    command = [sys.executable, "-c", SCRIPT, backend, str(n)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait)
        computed = sum(psutil.Process(process.pid).cpu_times()[:2])
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.stdout.readline() == "interrupted\n"
        seconds = time.monotonic() - began
        computed = sum(psutil.Process(process.pid).cpu_times()[:2]) - computed
        assert min(seconds, computed) < 1.0  # because other programs may use the processor
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "True True True\n"


def test_hhplug_run_writes_and_prints_the_completed_steps_and_exits_with_130(tmp_path, capsys):
    saved, plot = tmp_path / "part.npz", tmp_path / "part.png"
    arguments = ["run", "--neurons", "3", "--duration", "3.01", "--backend", "reference"]
    with blocks_of(BLOCK), interrupting(5):
        code = cli.main([*arguments, "--save", str(saved), "--plot", str(plot)])
    output, errors = capsys.readouterr()
    assert (code, errors) == (130, "hhplug: interrupted after 0.96 of 3.01 ms\n")
    assert "3 neurons, 0.96 ms in 96 steps" in output
    assert plot.read_bytes().startswith(b"\x89PNG")
    first = hhplug.load_result(saved)
    rest = Simulator("reference").run(2.05, resume=first, stimulus=first.stimulus)
    whole = Simulator("reference").run(3.01, stimulus=first.stimulus)
    assert_end_to_end([first, rest], whole)


def test_hhplug_run_interrupted_while_it_prepares_writes_nothing(tmp_path, capsys):
    with patch("hhplug.reference.ReferenceBackend.prepare", side_effect=KeyboardInterrupt):
        code = cli.main(["run", "--backend", "reference", "--save", str(tmp_path / "part.npz")])
    assert (code, *capsys.readouterr()) == (130, "", "hhplug: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_array_stimulus_of_a_continuation_has_only_its_own_rows():
    first = interrupted(progress=at(0.5)).result
    with pytest.raises(InvalidInput, match=r"stimulus must have shape"):
        Problem(1.0, DT, stimulus=ARRAY, resume=first)


def test_a_session_is_closed_after_an_interruption():
    with patch.object(ReferenceSession, "close", autospec=True, side_effect=Session.close) as close:
        interrupted(progress=at(0.5))
    close.assert_called_once()


def test_an_interrupted_run_does_not_wait_for_its_spikes_to_be_sorted():
    simulator, stimulus = Simulator("reference"), Stimulus.constant([10.0, 30.0])
    whole = simulator.run(20.0, stimulus=stimulus)
    sort, sorted_ = hhplug.spike_order._sort, []

    def noted(*arguments):
        sorted_.append(1)
        return sort(*arguments)

    with patch("hhplug.spike_order._sort", noted):
        with blocks_of(100), interrupting(3), pytest.raises(Interrupted) as stop:
            simulator.run(20.0, stimulus=stimulus)
        assert sorted_ == []
        part = pickle.loads(pickle.dumps(stop.value.result))
        assert sorted_ == [1]
        simulator.run(0.1, stimulus=stimulus)
        assert sorted_ == [1, 1]
    kept = whole.spikes.time < part.problem.T
    assert 0 < kept.sum() < len(kept)
    assert_array_equal(part.spikes.time, whole.spikes.time[kept])
    assert_array_equal(part.spikes.neuron, whole.spikes.neuron[kept])
