"""Sessions on a device of NumPy arrays agree with the reference."""

from functools import cache

import numpy as np
import pytest
from host_device import HostBackend, HostDevice, HostSession, backend_on
from host_problems import (
    BLOCK,
    BOUND,
    CURRENTS,
    EVERYTHING,
    N_STEPS,
    STATES,
    N,
    assert_agrees,
    blocks_of,
    expected_of,
    expected_of_current,
    problem_of,
    problem_of_current,
)

from hhplug import HHParameters, Stimulus, simulate
from hhplug.backend import EndArrays, Recorded
from hhplug.device import block as device_block
from hhplug.device import session as device_session
from hhplug.membranes import LTS
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.testing.accuracy import BOUNDS

pytestmark = [
    pytest.mark.usefixtures("several_blocks"),
    # That of replayed runs is.
    pytest.mark.filterwarnings("ignore:.* became invalid.*dt=.* is too long:RuntimeWarning"),
]


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
        {"record_every": 19},  # no sample in some blocks
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
def test_a_run_may_begin_at_a_later_step(device, kind, device_arrays):
    problem = problem_of_current(
        kind, False, start_step=15, record_every=5, device_arrays=device_arrays
    )
    expected = expected_of(problem)
    assert expected.spike_count.any()
    assert_agrees(simulate(problem, backend_on(device)), expected)


@pytest.mark.parametrize("spikes", ["times", "counts", "off"])
def test_spikes_are_kept_as_requested(device, launches, spikes):
    problem = problem_of_current("waves", False, spikes=spikes)
    ours = simulate(problem, backend_on(device))
    assert_agrees(ours, expected_of(problem))
    assert {work.spikes is not None for work in launches} == {spikes == "times"}
    assert {work.spike_count is not None for work in launches} == {spikes != "off"}


def test_a_current_is_held_in_the_blocks_in_which_it_does_not_change(launches):
    simulate(problem_of_current("step", False), backend_on(HostDevice()))
    # It is on for the steps 10 ≤ k < 21, and blocks begin at 0, 8, 16 and 24.
    assert [work.held for work in launches] == [True, False, False, True]


# A neuron spikes twice in each of two blocks of 13.6 ms; steps of 0.09 ms would not be stable.
# With so long a step neurons become invalid, in the replayed blocks too.
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
    """The list of replayed blocks, with a capacity of one spike per neuron in a block."""
    seen = []
    replay = device_block.DeviceBlock._replay
    monkeypatch.setattr(device_session, "SPIKES_PER_MS", 0.0)
    monkeypatch.setattr(device_session, "LEAST_ROOM", 0)
    monkeypatch.setattr(
        device_block.DeviceBlock,
        "_replay",
        lambda self, out: (seen.append(self), replay(self, out)),
    )
    with blocks_of(REPLAYED_BLOCK):
        yield seen


@pytest.mark.parametrize("kind", REPLAYED)
def test_spikes_beyond_the_capacity_are_found_by_a_replay(device, replays, launches, kind):
    # What is recorded stays on the device, where a replay that wrote it again would spoil it.
    problem = replayed_problem(kind, record_every=4, device_arrays=True)
    ours = simulate(problem, backend_on(device))
    assert_agrees(ours, expected_of_replayed(kind))
    assert len(replays) == 2
    again = [work for work in launches if not work.samples]
    assert len(again) == len(launches) - 2
    assert {work.held for work in again} == {kind in ("held", "uniform")}


def test_a_total_beyond_an_int32_is_replayed_too(device, replays, monkeypatch):
    keep = HostSession._keep_spikes

    def count_on(self, spikes, neuron, k, *others):
        keep(self, spikes, neuron, k, *others)
        if k >= REPLAYED_BLOCK // 2:  # no replay is as long
            spikes.total[0] = -(2**31) + 5

    monkeypatch.setattr(HostSession, "_keep_spikes", count_on)
    ours = simulate(replayed_problem("uniform"), backend_on(device))
    assert_agrees(ours, expected_of(replayed_problem("uniform")))
    assert len(replays) == 2


def test_spikes_up_to_the_capacity_need_no_replay(replays):
    problem = problem_of(100, stimulus=REPLAYED["uniform"], batch_size=9)
    ours = simulate(problem, backend_on(HostDevice()))
    assert_agrees(ours, expected_of(problem))
    assert len(ours.spikes) == 9
    assert not replays


def test_counts_alone_need_no_replay(replays):
    problem = replayed_problem("waves", spikes="counts")
    assert_agrees(simulate(problem, backend_on(HostDevice())), expected_of(problem))
    assert not replays


@pytest.mark.parametrize("spikes", ["off", "counts"])
def test_a_block_is_complete_when_it_has_been_read_even_without_data(device, monkeypatch, spikes):
    done, kernel = [], HostSession._kernel
    monkeypatch.setattr(
        HostSession, "_kernel", lambda self, work: (kernel(self, work), done.append(work))
    )
    problem = problem_of_current("waves", False, spikes=spikes, record_all=False, record=())
    recorder = MemoryRecorder(problem)
    with HostBackend(device).prepare(problem, BLOCK) as session:
        for count in (1, 2, 3):
            session.advance(BLOCK).read(recorder.block(0, BLOCK))
            assert len(done) == count


def test_a_device_gets_no_number_beyond_its_integers(device, launches):
    problem = problem_of_current("waves", True, record_every=2**40 + 1, start_step=2**40 - 20)
    with HostBackend(device).prepare(problem, BLOCK) as session:
        assert session.every == BLOCK
    ours = simulate(problem, backend_on(device))
    assert_agrees(ours, expected_of(problem))
    assert len(ours.time) == 1
    assert all(work.first_sample <= work.n_steps for work in launches)


def test_the_state_is_that_after_all_enqueued_steps(device):
    problem = problem_of_current("waves", True)
    with HostBackend(device).prepare(problem, BLOCK) as session:
        session.advance(BLOCK)
        session.advance(BLOCK - 1)
        state = session.state().variables
    expected = expected_of_current("waves", True)
    for row, name in zip(state, "Vmhn", strict=True):
        np.testing.assert_allclose(row, expected[name][2 * BLOCK - 1], rtol=0, atol=BOUND)


@pytest.mark.parametrize("device_arrays", [False, True])
def test_a_session_has_the_states_and_parameters_of_its_membrane(device, device_arrays):
    V = np.linspace(-70.0, 0.0, 33)
    ours = problem_of(
        membrane=LTS,
        parameters={"g_M": np.linspace(0.0, 0.1, 33), "phi": 4.0},
        initial_state=LTS.equations.settled(V, LTS.equations.defaults),
        stimulus=CURRENTS["waves"],
        record=("u", "V", "p"),
        device_arrays=device_arrays,
    )
    expected = expected_of(ours)
    assert expected.spike_count.any()
    assert_agrees(simulate(ours, backend_on(device)), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of_one", [False, True])
def test_a_state_that_is_the_same_for_all_neurons_is_that_of_each(
    device, dtype, of_one, monkeypatch
):
    monkeypatch.setattr("hhplug.device.uploads.SMALL", 64)
    monkeypatch.setattr("hhplug.device.uploads.SPREAD", 4)
    state = STATES[:, 2] if of_one else np.tile(STATES[:, [2]], N)
    problem = problem_of(initial_state=state, batch_size=N, dtype=dtype, record_all=True)
    ours = simulate(problem, backend_on(device))
    for name, value in zip("Vmhn", STATES[:, 2], strict=True):
        np.testing.assert_array_equal(ours[name][0], np.full(N, value, dtype))


def test_a_state_that_nobody_asks_for_is_copied_before_memory_is_freed(monkeypatch):
    monkeypatch.setattr("hhplug.device.transfers.SMALL", 64)
    monkeypatch.setattr("hhplug.device.transfers.LEAST_ROW", 64)
    device, variables = HostDevice(), np.zeros((4, N))
    opened = backend_on(device)
    device.pin(variables)
    problem = opened.given(problem_of(stimulus=CURRENTS["held"], record=(), batch_size=N), True)
    with opened.backend.prepare(problem, N_STEPS) as session:
        block = session.advance(N_STEPS)
        session.begin_state(variables)
        block.read(Recorded(problem, {}, np.zeros(N, np.int64)))
        assert not variables.any()
    assert variables.all()


@pytest.mark.parametrize("spikes", ["times", "off"])
def test_the_end_of_a_run_is_copied_before_memory_is_freed(spikes, monkeypatch):
    monkeypatch.setattr("hhplug.device.transfers.SMALL", 64)
    monkeypatch.setattr("hhplug.device.transfers.LEAST_ROW", 64)
    device = HostDevice()
    opened = backend_on(device)
    problem = problem_of(stimulus=CURRENTS["held"], spikes=spikes, record=(), batch_size=N)
    problem = opened.given(problem, True)
    with opened.backend.prepare(problem, N_STEPS) as session:
        variables, counts, times = np.zeros((4, N)), np.zeros(N, np.int64), np.zeros((2, 10 * N))
        for array in (variables, counts, times):
            device.pin(array)
        block = session.advance(N_STEPS)
        session.begin_state(variables)
        block.read(Recorded(problem, {}, np.zeros(N, np.int64)))
        copies = device.transfers._stream._queue
        assert len(copies) == 2  # of the state, after what it waits for
        arrays = EndArrays(variables)
        if problem.ordered_spikes:
            room = times.view(np.int64)[0], times[1]
            arrays = EndArrays(variables, counts, lambda n: (room[0][:n], room[1][:n]))
        session.end_into(arrays)
        assert not variables.any()
    assert not copies  # which nobody has waited for but the session, before it freed its memory
    assert variables.all()
