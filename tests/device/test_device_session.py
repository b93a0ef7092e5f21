"""Sessions on a device of NumPy arrays, against the reference."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from unittest.mock import Mock, patch

import numpy as np
import pytest
from host_device import HostBackend, HostDevice, HostSession, backend_on

from hhplug import BackendUnavailable, HHParameters, NotEnoughMemory, Problem, Stimulus, simulate
from hhplug.device import not_enough_memory
from hhplug.device import session as device_session
from hhplug.recording import Recording
from hhplug.testing.accuracy import BOUNDS

BOUND = 1e-9  # mV, ms and probabilities; 2e-12 is reached
DT = 0.05  # ms
N, N_STEPS = 33, 61  # 3.05 ms: time for a spike from the states below
BLOCK = 16  # steps; of four blocks the last is shorter

rng = np.random.default_rng(33)
AMPLITUDE = rng.uniform(-5.0, 40.0, N)
STATES = np.stack(
    [
        rng.uniform(-70.0, 0.0, N),
        rng.uniform(0.0, 0.5, N),
        rng.uniform(0.2, 0.7, N),
        rng.uniform(0.2, 0.6, N),
    ]
)
SPREAD = HHParameters(
    **{name: value * rng.uniform(0.95, 1.05, N) for name, value in vars(HHParameters()).items()}
)
ARRAY = rng.uniform(-5.0, 40.0, (N_STEPS, N))
CURRENTS = {
    "none": None,
    "held": Stimulus.constant(AMPLITUDE),
    "held for all": Stimulus.constant(17.0),
    "step": Stimulus.step(AMPLITUDE, start=1.0, stop=2.05),  # held in some blocks only
    "waves": Stimulus.ramp(AMPLITUDE, 30.0, 0.1, 2.5) + Stimulus.sine(9.0, 700.0, offset=2.0),
    "array": ARRAY,
    "array of float32": ARRAY.astype(np.float32),
    "array of every other": np.repeat(ARRAY, 2, axis=1)[:, ::2],
    "array for all": ARRAY[:, 7],
    "array of int64": ARRAY.astype(np.int64),
    "array of int32": ARRAY.astype(np.int32),
}
EVERYTHING = {"record_all": True, "initial_state": STATES, "batch_size": N}


@pytest.fixture(params=["nothing", "copies", "kernels"])
def device(request):
    return HostDevice(prompt=request.param)


@contextmanager
def blocks_of(n_steps):
    """Blocks of this many steps, however fast they are."""
    with (
        patch("hhplug.simulate.BLOCK_STEPS", n_steps),
        patch.multiple("hhplug.pace", FIRST_STEPS=n_steps, BLOCK_SECONDS=1e9, LEAST_BLOCKS=1),
    ):
        yield


@pytest.fixture(autouse=True)
def several_blocks():
    with blocks_of(BLOCK):
        yield


@pytest.fixture
def launches(monkeypatch):
    """What is launched from now on."""
    seen = []
    launch = HostSession.launch
    monkeypatch.setattr(
        HostSession, "launch", lambda self, work: (seen.append(work), launch(self, work))
    )
    return seen


def problem_of(n_steps=N_STEPS, dt=DT, dtype="float64", **arguments):
    return Problem(n_steps * dt, dt, dtype=dtype, **arguments)


def expected_of(problem):
    """What the reference says; it leaves nothing on a device."""
    return simulate(problem.with_device_arrays(False).with_dtype("float64"), "reference")


@cache
def expected_of_current(kind, spread):
    return expected_of(problem_of_current(kind, spread))


def problem_of_current(kind, spread, **changes):
    parameters = SPREAD if spread else None
    return problem_of(stimulus=CURRENTS[kind], parameters=parameters, **EVERYTHING | changes)


def assert_agrees(ours, expected, bound=BOUND):
    assert set(ours.samples) == set(expected.samples)
    for name, samples in expected.samples.items():
        assert ours[name].shape == samples.shape
        host = ours[name].get() if ours.problem.device_arrays else ours[name]
        np.testing.assert_allclose(host, samples, rtol=0, atol=bound)
    np.testing.assert_allclose(ours.final_state, expected.final_state, rtol=0, atol=bound)
    if expected.spike_counts is None:
        assert ours.spike_counts is None
    else:
        np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
    if expected.spike_times is None:
        assert ours.spike_times is None
    else:
        np.testing.assert_array_equal(ours.spikes.neuron, expected.spikes.neuron)
        np.testing.assert_allclose(ours.spikes.time, expected.spikes.time, rtol=0, atol=bound)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("kind", CURRENTS)
def test_every_current_agrees_with_the_reference(device, kind, spread):
    expected = expected_of_current(kind, spread)
    assert expected.spike_count.any()
    ours = simulate(problem_of_current(kind, spread), backend_on(device))
    assert_agrees(ours, expected)
    assert ours.V.dtype == np.float64


@pytest.mark.parametrize("kind", ["held", "waves", "array"])
def test_float32_stays_within_its_bounds(device, kind):
    ours = simulate(problem_of_current(kind, True, dtype="float32"), backend_on(device))
    assert_agrees(ours, expected_of_current(kind, True), BOUNDS["float32"].V_5_ms)
    assert ours.V.dtype == ours.final_state.dtype == np.float32


@pytest.mark.parametrize("device_arrays", [False, True])
@pytest.mark.parametrize(
    "record",
    [
        {"record": ("n", "V")},
        {"record": ()},
        {"record_every": 3},
        {"record_every": 23},  # no sample in some blocks
        {"record_every": 100},
        {"record_neurons": [5, 32, 0]},
        {"record_neurons": []},
        {"record": ("h", "m"), "record_every": 7, "record_neurons": [31, 2, 17, 16]},
    ],
)
def test_what_is_recorded_agrees_with_the_reference(device, record, device_arrays):
    arguments = EVERYTHING | {"record_all": False, "device_arrays": device_arrays} | record
    problem = problem_of_current("waves", False, **arguments)
    assert_agrees(simulate(problem, backend_on(device)), expected_of(problem))


@pytest.mark.parametrize("kind", ["step", "waves", "array"])
@pytest.mark.parametrize("device_arrays", [False, True])
def test_a_run_goes_on_at_a_later_step(device, kind, device_arrays):
    problem = problem_of_current(
        kind, False, start_step=37, record_every=5, device_arrays=device_arrays
    )
    expected = expected_of(problem)
    assert expected.spike_count.any()
    assert_agrees(simulate(problem, backend_on(device)), expected)


@pytest.mark.parametrize("spikes", ["times", "counts", "off"])
def test_spikes_are_kept_as_asked(device, launches, spikes):
    problem = problem_of_current("waves", False, spikes=spikes)
    ours = simulate(problem, backend_on(device))
    assert_agrees(ours, expected_of(problem))
    assert {work.spikes is not None for work in launches} == {spikes == "times"}
    assert {work.spike_count is not None for work in launches} == {spikes != "off"}


def test_a_current_is_held_in_the_blocks_in_which_it_does_not_change(launches):
    simulate(problem_of_current("step", False), backend_on(HostDevice()))
    # It is on for the steps 20 ≤ k < 41, and blocks begin at 0, 16, 32 and 48.
    assert [work.held for work in launches] == [True, False, False, True]


# A neuron spikes twice in each of two blocks of 13.6 ms; steps of 0.09 ms would not be stable.
REPLAYED_STEPS, REPLAYED_BLOCK, REPLAYED_DT = 341, 171, 0.08
STRONG = np.linspace(50.0, 60.0, 9)
REPLAYED = {
    "held": Stimulus.constant(STRONG),
    "waves": Stimulus.constant(STRONG) + Stimulus.sine(5.0, 130.0),
    "array": (Stimulus.constant(STRONG) + Stimulus.sine(5.0, 170.0)).sample(
        REPLAYED_DT, REPLAYED_STEPS
    ),
    "array for all": Stimulus.ramp(50.0, 60.0, 0.0, 30.0).sample(REPLAYED_DT, REPLAYED_STEPS),
    "uniform": Stimulus.constant(60.0),  # all spike at once
}


def replayed_problem(kind, **changes):
    spread = HHParameters(g_K=np.linspace(34.0, 37.0, 9))
    parameters = None if kind == "uniform" else spread
    arguments = {"stimulus": REPLAYED[kind], "parameters": parameters, "batch_size": 9} | changes
    return problem_of(REPLAYED_STEPS, REPLAYED_DT, **arguments)


@cache
def expected_of_replayed(kind):
    return expected_of(replayed_problem(kind, record_every=4))


@pytest.fixture
def replays(monkeypatch):
    """The blocks that are replayed, where there is room for one spike of a neuron in a block."""
    seen = []
    replay = device_session.DeviceBlock._replay
    monkeypatch.setattr(device_session, "SPIKES_PER_MS", 0.0)
    monkeypatch.setattr(device_session, "LEAST_ROOM", 0)
    monkeypatch.setattr(
        device_session.DeviceBlock,
        "_replay",
        lambda self, out: (seen.append(self), replay(self, out)),
    )
    with blocks_of(REPLAYED_BLOCK):
        yield seen


@pytest.mark.parametrize("kind", REPLAYED)
def test_spikes_beyond_the_room_for_them_are_found_by_a_replay(device, replays, launches, kind):
    # What is recorded stays on the device, where a replay that wrote it again would spoil it.
    problem = replayed_problem(kind, record_every=4, device_arrays=True)
    ours = simulate(problem, backend_on(device))
    assert_agrees(ours, expected_of_replayed(kind))
    assert len(replays) == 2
    again = [work for work in launches if not work.samples]
    assert len(again) == len(launches) - 2
    assert {work.held for work in again} == {kind in ("held", "uniform")}


def test_as_many_spikes_as_there_is_room_for_need_no_replay(replays):
    problem = problem_of(100, stimulus=REPLAYED["uniform"], batch_size=9)
    ours = simulate(problem, backend_on(HostDevice()))
    assert_agrees(ours, expected_of(problem))
    assert len(ours.spikes) == 9
    assert not replays


def test_counts_alone_need_no_replay(replays):
    problem = replayed_problem("waves", spikes="counts")
    assert_agrees(simulate(problem, backend_on(HostDevice())), expected_of(problem))
    assert not replays


def test_a_session_may_begin_and_end_while_another_has_a_block_unread(device):
    one = problem_of_current("waves", True)
    other = problem_of(
        stimulus=ARRAY[:, :5], initial_state=STATES[:, :5], dtype="float32", record_every=2
    )
    backend, others = backend_on(device), []
    ours = simulate(one, backend, progress=lambda _: others.append(simulate(other, backend)))
    assert_agrees(ours, expected_of(one))
    assert len(others) == 4
    expected = expected_of(other)
    for result in others:
        assert_agrees(result, expected, BOUNDS["float32"].V_5_ms)


@pytest.fixture
def hasty_threads():
    """Threads that take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_two_threads_may_share_a_device(device):
    kinds = ["waves", "array"] * 3
    for kind in kinds:
        expected_of_current(kind, True)
    with ThreadPoolExecutor(2) as threads:
        results = threads.map(
            lambda kind: simulate(problem_of_current(kind, True), backend_on(device)), kinds
        )
        for kind, ours in zip(kinds, results, strict=True):
            assert_agrees(ours, expected_of_current(kind, True))


def test_close_waits_and_frees_the_memory_once():
    device = HostDevice()
    before = device.free
    session = HostBackend(device).prepare(problem_of_current("waves", False), BLOCK)
    assert device.free < before
    session.advance(BLOCK)
    session.advance(BLOCK)
    done = []
    with device.current():
        session.stream.enqueue(lambda: done.append(device.free < before))
    session.close()
    assert done == [True]
    session.close()
    assert device.free == before


@pytest.mark.parametrize("method", ["make_ready", "upload", "launch"])
def test_what_fails_or_is_interrupted_leaves_no_memory_behind(monkeypatch, method):
    device = HostDevice()
    before = device.free
    problem = problem_of_current("waves", False, device_arrays=True)
    with monkeypatch.context() as broken:
        broken.setattr(HostSession, method, Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt) as held:
            simulate(problem, backend_on(device))
    assert held.tb  # as a notebook holds it
    assert device.free >= before - 4 * N_STEPS * N * 8  # of device arrays, that Python frees
    assert_agrees(simulate(problem, backend_on(device)), expected_of(problem))


@pytest.mark.parametrize("spikes", ["off", "counts"])
def test_a_block_is_done_when_it_has_been_read_whatever_it_brings(device, monkeypatch, spikes):
    done, kernel = [], HostSession._kernel
    monkeypatch.setattr(
        HostSession, "_kernel", lambda self, work: (kernel(self, work), done.append(work))
    )
    problem = problem_of_current("waves", False, spikes=spikes, record_all=False, record=())
    recording = Recording(problem)
    with HostBackend(device).prepare(problem, BLOCK) as session:
        for count in (1, 2, 3):
            session.advance(BLOCK).read(recording.block(0, BLOCK))
            assert len(done) == count


def test_a_device_is_told_no_number_beyond_its_integers(device, launches):
    problem = problem_of_current("waves", True, record_every=2**40 + 1, start_step=2**40 - 20)
    with HostBackend(device).prepare(problem, BLOCK) as session:
        assert session.every == BLOCK
    ours = simulate(problem, backend_on(device))
    assert_agrees(ours, expected_of(problem))
    assert len(ours.time) == 1
    assert all(work.first_sample <= work.n_steps for work in launches)


def test_a_forked_process_is_told_that_no_device_followed(device, monkeypatch):
    problem, process = problem_of_current("held", False), os.getpid()
    monkeypatch.setattr("os.getpid", lambda: process + 1)
    with pytest.raises(BackendUnavailable, match=r"\[forked\].*get_context\('spawn'\)"):
        simulate(problem, backend_on(device))


def test_only_spike_times_take_room_for_spikes():
    taken = {}
    for spikes in ("times", "counts", "off"):
        device = HostDevice()
        before = device.free
        with HostBackend(device).prepare(problem_of_current("held", False, spikes=spikes), BLOCK):
            taken[spikes] = before - device.free
    places = device_session.SLOTS * device_session.LEAST_ROOM
    assert taken["times"] - taken["counts"] >= places * (4 + 4 + 8)  # neuron, step, fraction
    assert taken["off"] <= taken["counts"]


def test_the_state_is_that_after_all_that_is_enqueued(device):
    problem = problem_of_current("waves", True)
    with HostBackend(device).prepare(problem, BLOCK) as session:
        session.advance(BLOCK)
        session.advance(BLOCK - 1)
        state = session.state()
    expected = expected_of_current("waves", True)
    for row, name in zip(state, "Vmhn", strict=True):
        np.testing.assert_allclose(row, expected[name][2 * BLOCK - 1], rtol=0, atol=BOUND)


def test_device_arrays_outlive_their_session():
    problem = problem_of_current("waves", False, device_arrays=True)
    device = HostDevice()
    before = device.free
    ours = simulate(problem, backend_on(device))
    simulate(problem_of_current("held", False), backend_on(device))
    assert_agrees(ours, expected_of(problem))
    assert before - device.free == 4 * N_STEPS * N * 8  # V m h n


@pytest.mark.parametrize("device_arrays", [False, True])
def test_an_allocation_that_fails_is_told_and_the_device_goes_on(device_arrays):
    device = HostDevice(free=20 * 10**6)
    problem = problem_of(batch_size=600_000, record_every=100, device_arrays=device_arrays)
    needed = r"the GPU has 0\.02 GB free, and 0\.1\d GB are needed; use a smaller batch_size"
    with pytest.raises(NotEnoughMemory, match=needed):
        simulate(problem, backend_on(device))
    smaller = problem_of_current("held", False)
    assert_agrees(simulate(smaller, backend_on(device)), expected_of_current("held", False))


def test_a_failed_allocation_is_told_in_gigabytes():
    error = not_enough_memory(1.5e9, 12_345_678_901)
    assert isinstance(error, NotEnoughMemory)
    assert str(error) == (
        "the GPU has 1.50 GB free, and 12.35 GB are needed; use a smaller batch_size, "
        "record less, or spikes='counts'"
    )
