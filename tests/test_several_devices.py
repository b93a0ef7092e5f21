"""One run on several devices is the run on one of them, bit for bit."""

import threading
from dataclasses import replace
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
from device.host_device import HostBackend, HostDevice, HostSession, backend_on
from device.host_problems import blocks_of
from end_to_end import assert_end_to_end
from interrupted_runs import at, ctrl_c
from interrupted_runs import sigint_handler as sigint_handler
from numpy.testing import assert_array_equal
from scale.cells import assert_same, segments_of
from two_devices import offer_chips as offer_chips

from hhplug import (
    InvalidInput,
    NotEnoughMemory,
    Problem,
    Simulator,
    Stimulus,
    membranes,
    simulate,
)
from hhplug.backend import Session
from hhplug.currents.computed import ComputedCurrent
from hhplug.device.block import DeviceBlock
from hhplug.errors import ContractViolation, Interrupted
from hhplug.features.definitions import FEATURES
from hhplug.plugins import choice
from hhplug.reference import ReferenceBackend, ReferenceBlock, ReferenceSession
from hhplug.running.feature_simulator import FeatureSimulator
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.several_devices import SeveralDevices
from hhplug.stores.shard import Shard

N, STEPS, BLOCK, DT = 7, 60, 16, 0.05  # neurons, steps, steps, ms
STATE = np.array([[-40.0], [0.3], [0.4], [0.4]])  # from which every neuron soon spikes
rng = np.random.default_rng(19)
CURRENT = rng.uniform(0.0, 40.0, N)  # µA/cm²
OU = Stimulus.ornstein_uhlenbeck(CURRENT, 9.0, tau=1.0, seed=20)
CASES = {
    "no current": {},
    "terms": {
        "stimulus": Stimulus.step(CURRENT, 0.2, 2.0) + Stimulus.sine(3.0, 500.0, offset=CURRENT)
    },
    "times per neuron": {"stimulus": Stimulus.step(20.0, np.linspace(0.0, 1.0, N), 2.0)},
    "array": {"stimulus": rng.uniform(0.0, 40.0, (STEPS, N))},
    "array for all": {"stimulus": rng.uniform(0.0, 40.0, STEPS)},
    "noise": {"stimulus": OU},
    "noises": {"stimulus": OU + Stimulus.white_noise(2.0, seed=1) + 0.5 * OU},
    "recorded out of order": {
        "stimulus": Stimulus.constant(CURRENT), "record_all": True, "record_every": 7,
        "record_neurons": [6, 0, 3, 1, 4],
    },
    "recorded on one device": {"stimulus": OU, "record_neurons": [1, 0]},
    "counts": {"stimulus": OU, "spikes": "counts", "record": ()},
    "parameters": {"parameters": {"g_Na": np.linspace(100.0, 130.0, N), "g_L": 0.31}},
    "features": {
        "stimulus": OU, "features": tuple(FEATURES), "window": (0.3, 2.2), "record_every": 5,
        "record_neurons": [6, 0],
    },
}  # fmt: skip


def problem(first=0, last=STEPS, **arguments):
    """The steps first ≤ k < last of a run of N neurons."""
    given = {"batch_size": N, "initial_state": STATE, "dtype": "float64"} | arguments
    if "resume" in given:
        del given["initial_state"]
    if isinstance(given.get("stimulus"), np.ndarray):
        given["stimulus"] = given["stimulus"][first:last]
    return Problem((last - first) * DT, DT, **given)


@cache
def on(count, backend="reference"):
    """A backend on this many devices, opened for `simulate`; the same for every test."""
    return opened_on(count, backend)


def fresh(count):
    """As `on`, a device of NumPy arrays that no test has used."""
    return opened_on(count, "host")


def opened_on(count, backend):
    def opened():
        return backend_on(HostDevice()) if backend == "host" else choice.choose(backend)

    one = opened()
    named = [(f"device {index}", opened().backend) for index in range(count)]
    return one if count == 1 else replace(one, backend=SeveralDevices(named))


@cache
def whole(case, backend="reference"):
    """The run of a case on one device."""
    with blocks_of(BLOCK):
        return simulate(problem(**CASES[case]), on(1, backend))


def assert_equal_runs(result, expected):
    assert_same(result, expected)
    for name, values in expected.outcome.features.items():
        assert_array_equal(result.features[name], values)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("count", "backend"), [(3, "reference"), (2, "host")])
def test_a_run_on_several_devices_equals_that_on_one(count, backend, case):
    with blocks_of(BLOCK):
        result = simulate(problem(**CASES[case]), on(count, backend))
    assert_equal_runs(result, whole(case, backend))


@pytest.mark.parametrize("case", ["noise", "counts"])
def test_noise_that_the_devices_compute_equals_that_of_one(case):
    assert on(1, "numpy").spec.capabilities.noise
    result = simulate(problem(**CASES[case]), on(2, "numpy"))
    assert result.noise_from == "backend"
    assert_equal_runs(result, simulate(problem(**CASES[case]), on(1, "numpy")))


@pytest.mark.parametrize("counts", [(2, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("case", ["array", "noises", "features"])
def test_a_run_may_go_on_on_another_number_of_devices(counts, case):
    first, second = counts
    begun = simulate(problem(last=23, **CASES[case]), on(first))
    result = simulate(problem(first=23, resume=begun, **CASES[case]), on(second))
    expected = whole(case)
    assert_array_equal(result.final_state, expected.final_state)
    for name, values in expected.final.carry.items():
        assert_array_equal(result.final.carry[name], values)


def test_there_may_be_more_devices_than_neurons():
    stimulus = Stimulus.constant(CURRENT[:2])
    runs = [simulate(problem(batch_size=2, stimulus=stimulus), on(count)) for count in (1, 3)]
    assert_same(runs[1], runs[0])


def test_invalid_neurons_are_numbered_as_in_the_whole_run():
    current = np.zeros(N)
    current[5] = 1e9
    runs = []
    for count in (1, 3):
        with pytest.warns(RuntimeWarning, match=f"1 of {N} neurons .* the first neuron 5 at"):
            runs.append(simulate(problem(stimulus=Stimulus.constant(current)), on(count)))
    assert runs[1].first_invalid_step[5] > 0
    assert_same(runs[1], runs[0])


@pytest.mark.parametrize("neurons", [None, [6, 2, 0, 1]])  # of the last, each part is contiguous
def test_the_devices_write_into_the_arrays_of_the_result(neurons):
    read, written = ReferenceBlock.read, []

    def noted(block, out):
        written.append(out.samples["V"])
        read(block, out)

    with blocks_of(BLOCK), patch.object(ReferenceBlock, "read", noted):
        result = simulate(problem(record_neurons=neurons), on(2))
    assert len(written) == 2 * 4
    assert all(np.shares_memory(array, result.V) for array in written)


def test_a_part_of_a_population_may_run_on_several_devices():
    part = problem(**CASES["noise"], record_neurons=[6, 0, 3, 4]).take([5, 6, 3, 0])
    assert_same(simulate(part, on(2)), simulate(part, on(1)))


def test_no_process_is_computed_again_for_the_whole_run():
    carry, computed = ComputedCurrent.carry, []

    def noted(current, step, known=()):
        found = carry(current, step, known)
        computed.extend((current.row_length, name) for name in found)
        return found

    with patch.object(ComputedCurrent, "carry", noted):
        result = simulate(problem(**CASES["noises"]), on(2))
    names = sorted(result.final.carry)
    assert sorted(computed) == [(n, name) for n in (3, 4) for name in names]
    assert names == ["noise_0", "noise_1"]  # white noise has no memory


@pytest.fixture
def threads(monkeypatch):
    """The threads in which parts are prepared and advanced, in order, by the method's name."""
    seen = {}

    def noted(name):
        method = getattr(HostBackend if name == "prepare" else HostSession, name)

        def call(self, *arguments):
            seen.setdefault(name, []).append(threading.current_thread())
            return method(self, *arguments)

        return call

    monkeypatch.setattr(HostBackend, "prepare", noted("prepare"))
    monkeypatch.setattr(HostSession, "advance", noted("advance"))
    return seen


@pytest.mark.parametrize(
    ("changes", "here"),
    [
        ({}, True),
        ({"initial_state": np.tile(STATE, N)}, False),
        ({"stimulus": Stimulus.constant(CURRENT + 1.0)}, False),
        ({"parameters": {"g_L": 0.31}}, False),
        ({"record_neurons": [5, 0]}, False),
    ],
)
def test_threads_prepare_a_run_only_where_much_is_uploaded(threads, changes, here):
    again, main = problem(stimulus=Stimulus.constant(CURRENT)), [threading.current_thread()]
    several = fresh(2)
    simulate(again, several)
    assert len(set(threads["prepare"])) == 2
    assert set(threads["advance"]) == set(main)
    threads.clear()
    given = {"stimulus": again.stimulus, "parameters": again.parameters}
    ours = simulate(problem(**given | changes), several)
    assert (threads["prepare"] == main * 2) == here
    assert_same(ours, simulate(problem(**given | changes), on(1, "host")))


def test_each_device_has_room_for_as_many_samples_as_one_alone(monkeypatch):
    sample = 8 * N  # bytes of V in one step
    monkeypatch.setattr(MemoryRecorder, "sample_bytes", 6 * sample)
    longest, prepare = [], ReferenceBackend.prepare

    def noted(backend, part, max_steps):
        longest.append(max_steps)
        return prepare(backend, part, max_steps)

    with patch.object(ReferenceBackend, "prepare", noted):
        for count in (1, 3):
            simulate(problem(), on(count))
    assert longest == [6, 18, 18, 18]


def test_the_state_of_each_device_begins_its_way_home_before_the_last_block_is_waited_for(
    monkeypatch,
):
    calls = []

    def noted(owner, name):
        method = getattr(owner, name)

        def call(self, *arguments):
            calls.append(name)
            return method(self, *arguments)

        monkeypatch.setattr(owner, name, call)

    noted(HostSession, "begin_state")
    noted(DeviceBlock, "read")
    with blocks_of(BLOCK):
        simulate(problem(record=()), fresh(2))
    blocks_before = STEPS // BLOCK
    assert calls == [*["read"] * 2 * blocks_before, *["begin_state"] * 2, *["read"] * 2]


@pytest.mark.parametrize("spikes", ["off", "times"])
def test_blocks_that_are_computed_when_they_are_read_are_read_at_once(spikes):
    seen, read = set(), ReferenceBlock.read

    def noted(self, out):
        seen.add(threading.current_thread())
        return read(self, out)

    with patch.object(ReferenceBlock, "read", noted):
        simulate(problem(record=(), spikes=spikes), on(2))
    assert len(seen) == 2


def test_threads_upload_the_rows_of_an_array(threads):
    simulate(problem(**CASES["array"]), fresh(2))
    assert len(set(threads["advance"])) == 2


def test_the_end_comes_home_from_all_devices_at_once():
    calls, end_into = [], HostSession.end_into

    def noted(session, arrays):
        number, finish = session.problem.neuron_ids[0] > 0, end_into(session, arrays)
        calls.append(("begun", number))
        return lambda: (calls.append(("waited for", number)), finish())[1]

    with patch.object(HostSession, "end_into", noted):
        simulate(problem(stimulus=Stimulus.constant(CURRENT)), on(2, "host"))
    assert calls[:2] == [("begun", False), ("begun", True)]
    assert sorted(calls[2:]) == [("waited for", False), ("waited for", True)]


def test_a_backend_need_not_fill_the_arrays_of_the_end_by_itself():
    for spikes in ("times", "counts"):
        run = problem(stimulus=Stimulus.constant(CURRENT), spikes=spikes)
        with patch.object(HostSession, "end_into", Session.end_into):
            ours = simulate(run, on(2, "host"))
        assert_same(ours, simulate(run, on(1, "host")))


def test_other_spikes_at_the_end_than_the_blocks_kept_are_refused():
    def lost(session, arrays):
        return end_into(session, arrays._replace(times=lambda n: arrays.times(n - 1)))

    end_into = HostSession.end_into
    kept = "the blocks kept [1-9][0-9]* spikes, but at the end there are"
    with patch.object(HostSession, "end_into", lost), pytest.raises(ContractViolation, match=kept):
        simulate(problem(stimulus=Stimulus.constant(CURRENT)), on(2, "host"))


@pytest.mark.usefixtures("sigint_handler")
@pytest.mark.parametrize("case", ["terms", "noise", "array"])
def test_ctrl_c_stops_all_devices_at_the_same_step(case):
    with blocks_of(BLOCK), pytest.raises(Interrupted) as stop:
        simulate(problem(**CASES[case]), on(2), progress=at(0.2))
    first = stop.value.result
    assert first.next_step == 2 * BLOCK
    rest = problem(first=2 * BLOCK, resume=first, **CASES[case])
    assert_end_to_end([first, simulate(rest, on(2))], whole(case))


@pytest.mark.usefixtures("sigint_handler")
def test_a_second_ctrl_c_ends_the_run_and_the_threads_of_its_devices():
    with blocks_of(BLOCK), pytest.raises(KeyboardInterrupt) as stop:
        simulate(problem(), on(2), progress=at(0.2, lambda: ctrl_c(2)))
    assert type(stop.value) is KeyboardInterrupt
    assert not [each for each in threading.enumerate() if "device" in each.name]


def test_progress_is_that_of_the_whole_run():
    told = []
    with blocks_of(BLOCK):
        simulate(problem(), on(3), progress=told.append)
    assert told == pytest.approx([16 / 60, 32 / 60, 48 / 60, 1.0])


class Failing(ReferenceBackend):
    """Fails on one of its devices, while it does `what`."""

    def __init__(self, what, error):
        super().__init__()
        self.what, self.error, self.opened, self.closed, self.steps = what, error, 0, 0, 0

    def on(self, count):
        return replace(
            on(1),
            backend=SeveralDevices([(f"device {i} (a chip)", self) for i in range(count)]),
        )

    def prepare(self, problem, max_steps):  # noqa: ARG002
        backend, fails = self, problem.neuron_ids[-1] == N - 1
        if fails and self.what == "prepare":
            raise self.error
        self.opened += 1

        class FailingBlock(ReferenceBlock):
            def read(self, out):  # noqa: ARG002
                raise backend.error

        class FailingSession(ReferenceSession):
            def advance(self, n_steps):
                if fails and backend.what == "advance":
                    raise backend.error
                backend.steps += n_steps
                block = super().advance(n_steps)
                return FailingBlock(self, 0, 0) if fails and backend.what == "read" else block

            def end_into(self, arrays):
                if fails and backend.what == "end_into":
                    raise backend.error
                return super().end_into(arrays)

            def state(self):
                if fails and backend.what == "state":
                    raise backend.error
                return super().state()

            def close(self):
                backend.closed += 1
                if fails and backend.what == "close":
                    raise backend.error
                if fails and backend.what == "read":
                    raise RuntimeError("the chip has failed before")

        return FailingSession(problem)


@pytest.mark.parametrize("what", ["prepare", "advance", "read", "end_into", "state", "close"])
def test_a_failure_on_one_device_names_it_and_closes_everything(what):
    failing = Failing(what, ZeroDivisionError("division by zero"))
    with blocks_of(BLOCK), pytest.raises(ZeroDivisionError, match="division by zero") as raised:
        simulate(problem(), failing.on(3))
    assert raised.value is failing.error
    assert raised.value.__notes__ == ["This was raised on device 2 (a chip)."]
    assert failing.closed == failing.opened
    assert failing.opened <= 2 if what == "prepare" else failing.opened == 3
    assert failing.steps <= (3 * 2 * BLOCK if what in ("advance", "read") else 3 * STEPS)
    assert not [each for each in threading.enumerate() if "device" in each.name]


@pytest.mark.parametrize("what", ["prepare", "advance"])
def test_a_device_without_enough_memory_is_named_in_the_message(what):
    failing = Failing(what, NotEnoughMemory("the GPU has 1 GB free", "a smaller batch_size"))
    with pytest.raises(NotEnoughMemory) as raised:
        simulate(problem(), failing.on(2))
    assert str(raised.value) == (
        "device 1 (a chip): the GPU has 1 GB free; use a smaller batch_size"
    )


def test_arrays_on_several_devices_are_refused():
    said = "device_arrays leaves each variable on one device, and this run has 2; leave"
    with pytest.raises(InvalidInput, match=said):
        simulate(problem(device_arrays=True), on(2, "host"))


def test_a_feature_simulator_uses_all_devices(offer_chips):
    offer_chips()
    draws = np.linspace(100.0, 130.0, 5)[:, np.newaxis]
    stimulus = Stimulus.ornstein_uhlenbeck(10.0, 9.0, tau=1.0, seed=20)
    values = [
        FeatureSimulator(each, ["g_Na"], 2.0, features=("V_mean", "V_max"), stimulus=stimulus)(
            draws
        )
        for each in (Simulator("reference"), Simulator("chips", device="all"))
    ]
    assert_array_equal(*values)


def test_a_store_goes_on_on_another_number_of_devices(tmp_path):
    run = problem(stimulus=OU, record_neurons=[6, 0, 3])
    expected = simulate(run, on(1))
    for counts in [(2, 1), (1, 2)]:
        store = tmp_path / f"{counts}.zarr"
        full = pytest.raises(OSError, match="No space left on device")
        with blocks_of(5), segments_of(14):
            stopped = on(counts[0])
            with patch("hhplug.stores.shard.Shard.write", fails_at(2)), full:
                simulate(run, stopped, store=store)
            assert_same(simulate(run, on(counts[1]), store=store), expected)


def fails_at(call):
    """A `Shard.write` that fails in a call, counted from 0."""
    write, calls = Shard.write, []

    def writing(shard, *arguments):
        calls.append(arguments)
        if len(calls) > call:
            raise OSError(28, "No space left on device")
        write(shard, *arguments)

    return writing


def test_any_membrane_runs_on_several_devices():
    run = problem(membrane=membranes.RS, initial_state=None, stimulus=OU)
    assert_same(simulate(run, on(2)), simulate(run, on(1)))
