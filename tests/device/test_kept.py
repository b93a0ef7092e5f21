"""What a backend keeps on the device between runs, and spikes that are put in order there."""

import gc
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from host_device import HostBackend, HostDevice, HostSession, backend_on
from host_problems import blocks_of

from hhplug import NotEnoughMemory, Problem, Stimulus, simulate
from hhplug.device import KeptMemory
from hhplug.device.transfers import Computed
from hhplug.membranes import squid
from hhplug.membranes.parameters import checked_parameters
from hhplug.plugins.choice import OpenedBackend
from hhplug.several_devices import SeveralDevices

N = 40
PARAMETERS = checked_parameters({"g_Na": np.linspace(110.0, 130.0, N)}, squid)
OTHERS = checked_parameters({"g_Na": np.linspace(130.0, 110.0, N)}, squid)
CURRENT = Stimulus.constant(np.linspace(5.0, 40.0, N))


def problem_of(parameters=PARAMETERS, stimulus=CURRENT, **changes):
    arguments = {"record": (), "parameters": parameters, "stimulus": stimulus, "batch_size": N}
    return Problem(10.0, 0.05, **(arguments | changes))


@pytest.fixture
def uploads(monkeypatch):
    """The rows of each upload, other than those of the first block's current."""
    seen, upload = [], HostSession.upload

    def noted(self, target, *rows, dtype=None):
        seen.append(sum(row.size for row in rows))
        return upload(self, target, *rows, dtype=dtype)

    monkeypatch.setattr(HostSession, "upload", noted)
    return seen


widen = HostSession.widen_counts


def assert_equal(ours, theirs):
    np.testing.assert_array_equal(ours.spikes.neuron, theirs.spikes.neuron)
    np.testing.assert_array_equal(ours.spikes.time, theirs.spikes.time)
    np.testing.assert_array_equal(ours.final_state, theirs.final_state)


def test_a_second_run_on_the_same_parameters_and_current_uploads_neither_again(uploads):
    backend = backend_on(HostDevice())
    first = simulate(problem_of(), backend)
    before = sum(uploads)
    uploads.clear()
    second = simulate(problem_of(), backend)
    rows = before - sum(uploads)
    assert rows >= 8 * N  # rows and gains
    assert max(uploads, default=0) <= 4 * N  # the initial state
    assert_equal(second, first)


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": OTHERS},
        {"stimulus": Stimulus.constant(np.linspace(40.0, 5.0, N))},
        {"dtype": "float32"},
        {"membrane": squid.at(celsius=16.3)},
        {"record_neurons": [3, 1], "record": ("V",)},
    ],
)
def test_a_run_with_anything_else_is_as_if_nothing_were_kept(changes):
    backend = backend_on(HostDevice())
    simulate(problem_of(), backend)
    if "membrane" in changes:
        changes = changes | {"parameters": checked_parameters(PARAMETERS, changes["membrane"])}
    problem = problem_of(**changes)
    ours, alone = simulate(problem, backend), simulate(problem, backend_on(HostDevice()))
    assert_equal(ours, alone)
    for name in ours.samples:
        np.testing.assert_array_equal(ours[name], alone[name])


def test_a_step_that_is_on_in_one_run_is_not_taken_to_be_on_in_a_later_one():
    backend, step = backend_on(HostDevice()), Stimulus.step(20.0, start=0.0, stop=10.0)
    for start_step in (0, 200):
        problem = problem_of(stimulus=step, start_step=start_step)
        assert_equal(simulate(problem, backend), simulate(problem, backend_on(HostDevice())))


def test_parameters_that_are_equal_but_were_deleted_are_not_taken_for_others():
    backend = backend_on(HostDevice())
    for low in (100.0, 140.0, 60.0):
        parameters = checked_parameters({"g_Na": np.linspace(low, 150.0, N)}, squid)
        ours = simulate(problem_of(parameters), backend)
        assert_equal(ours, simulate(problem_of(parameters), backend_on(HostDevice())))
        del parameters
        gc.collect()


def test_spikes_of_blocks_wait_in_memory_of_the_run_before(monkeypatch):
    device = HostDevice()
    backend, allocated = backend_on(device), []
    arrays = device.arrays
    monkeypatch.setattr(device, "arrays", lambda shapes: allocated.append(shapes) or arrays(shapes))
    results = []
    for _ in range(2):
        allocated.clear()
        with blocks_of(40):
            results.append(simulate(problem_of(), backend))
    assert_equal(*results)
    assert not allocated
    before = device.free
    with blocks_of(100):  # with fewer blocks whose spikes wait
        simulate(problem_of(), backend)
    fewer = device.free
    backend.backend.release_memory()
    with blocks_of(100):
        simulate(problem_of(), backend)
    assert device.free == fewer > before


def test_new_memory_is_used_after_those_who_used_it_before(monkeypatch):
    backend, launch = backend_on(HostDevice(prompt="copies")), HostSession.launch

    def late(self, work):
        self.device.users.synchronize()  # as late as this they may write to it
        launch(self, work)

    simulate(problem_of(), backend)
    monkeypatch.setattr(HostSession, "launch", late)
    problem = problem_of(parameters=None, stimulus=Stimulus.constant(20.0), batch_size=N + 1)
    ours = simulate(problem, backend)
    assert_equal(ours, simulate(problem, backend_on(HostDevice())))


def test_memory_that_another_backend_keeps_is_freed_before_a_run_fails():
    alone = HostDevice()
    before = alone.free
    simulate(problem_of(), backend := backend_on(alone))
    needed = before - alone.free
    del backend
    device = HostDevice(free=int(1.5 * needed))
    one, other = backend_on(device), backend_on(device)
    for backend in (one, other, one):
        assert len(simulate(problem_of(), backend).spikes)
    with pytest.raises(NotEnoughMemory):
        simulate(problem_of(batch_size=100 * N, parameters=None, stimulus=None), other)


def test_what_a_backend_keeps_is_freed_with_it():
    device = HostDevice()
    before = device.free
    backend = backend_on(device)
    simulate(problem_of(), backend)
    assert device.free < before
    del backend
    gc.collect()
    assert device.free == before


@pytest.mark.parametrize("most", [0, 20])
def test_spikes_for_which_the_device_has_no_room_are_sorted_on_the_host(most):
    expected = simulate(problem_of(), "reference")
    with patch("hhplug.device.spike_store.MOST_KEPT", most):
        ours = simulate(problem_of(), backend_on(HostDevice()))
    plenty = simulate(problem_of(), backend_on(HostDevice()))
    assert len(expected.spikes) > 20
    assert_equal(ours, plenty)
    np.testing.assert_array_equal(ours.spikes.neuron, expected.spikes.neuron)
    np.testing.assert_array_equal(ours.spike_count, expected.spike_count)


@pytest.mark.parametrize("spikes", ["times", "counts"])
def test_counts_that_are_too_many_for_a_small_copy_are_widened_on_the_device(spikes):
    problem = problem_of(spikes=spikes)
    with (
        patch("hhplug.device.spike_store.SMALL", 0),
        patch.object(HostSession, "widen_counts", autospec=True, side_effect=widen) as widened,
    ):
        ours = simulate(problem, backend_on(HostDevice()))
    assert widened.called
    expected = simulate(problem, "reference")
    np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
    assert ours.spike_count.dtype == np.int64


def test_spikes_whose_order_does_not_fit_on_the_device_are_sorted_on_the_host(monkeypatch):
    take, full = HostSession.take, []

    def scarce(self, purpose, shapes):
        if "places" in shapes:
            full.append(1)
            raise NotEnoughMemory("full")
        return take(self, purpose, shapes)

    plenty = simulate(problem_of(), backend_on(HostDevice()))
    monkeypatch.setattr(HostSession, "take", scarce)
    assert_equal(simulate(problem_of(), backend_on(HostDevice())), plenty)
    assert full


def test_computed_rows_are_those_of_the_function():
    device = HostDevice()
    values = np.random.default_rng(2).uniform(-1.0, 1.0, 3 * Computed.STEP + 7)
    row = Computed(values.size, lambda part: values[part] ** 2)
    target = np.empty(values.size, np.float32)
    with device.current():
        there = device.transfers.to_device(target, [row[: Computed.STEP + 3]], target.dtype)
        there.synchronize()
        rest = target[Computed.STEP + 3 :]
        device.transfers.to_device(rest, [row[Computed.STEP + 3 :]], target.dtype).synchronize()
    np.testing.assert_array_equal(target, (values**2).astype(np.float32))


def test_what_was_kept_for_arrays_of_other_shapes_is_freed():
    device = HostDevice()
    before = device.free
    memory = KeptMemory(device)
    with device.current():
        take = partial(memory.take, "work")
        memory.put("work", take({"a": (5, np.dtype(float))}))
        kept = take({"a": (6, np.dtype(float))})
        assert device.free == before - 48
        memory.put("work", kept)
        memory.release()
    assert device.free == before


def several(*devices):
    """The backend on several devices, opened for `simulate`."""
    opened = backend_on(devices[0])
    parts = [(f"device {k}", HostBackend(device)) for k, device in enumerate(devices)]
    return OpenedBackend(opened.entry, opened.spec, SeveralDevices(parts))


@pytest.mark.parametrize("spikes", ["times", "counts"])
def test_spikes_of_several_devices_are_in_order(spikes):
    problem = problem_of(spikes=spikes)
    ours = simulate(problem, several(HostDevice(), HostDevice("kernels"), HostDevice("copies")))
    alone = simulate(problem, backend_on(HostDevice()))
    np.testing.assert_array_equal(ours.spike_count, alone.spike_count)
    np.testing.assert_array_equal(ours.final_state, alone.final_state)
    if spikes == "times":
        assert_equal(ours, alone)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("steps", [40, 200])
def test_few_spikes_are_sorted_on_the_host_to_the_same_bits(count, steps, monkeypatch):
    placed, place = [], HostSession.place_spikes
    monkeypatch.setattr(HostSession, "place_spikes", lambda *a: placed.append(a) or place(*a))
    with blocks_of(steps):
        on_device = simulate(problem_of(), several(*(HostDevice() for _ in range(count))))
        assert len(placed) == count
        spikes = len(on_device.spikes)
        monkeypatch.setattr("hhplug.device.spike_store.FEW", spikes)
        assert_equal(
            simulate(problem_of(), several(*(HostDevice() for _ in range(count)))), on_device
        )
        assert len(placed) == count
        monkeypatch.setattr("hhplug.device.spike_store.FEW", spikes // count - count)
        assert_equal(
            simulate(problem_of(), several(*(HostDevice() for _ in range(count)))), on_device
        )
        assert len(placed) > count


def test_a_device_that_cannot_order_its_spikes_ends_the_run_on_the_others():
    def broken(self, *arguments):
        if self.problem.neuron_ids[0]:
            raise ZeroDivisionError("division by zero")
        return place_spikes(self, *arguments)

    place_spikes = HostSession.place_spikes
    with (
        patch.object(HostSession, "place_spikes", broken),
        pytest.raises(ZeroDivisionError) as raised,
    ):
        simulate(problem_of(), several(HostDevice(), HostDevice()))
    assert "This was raised on device 1." in raised.value.__notes__


def test_a_device_without_room_to_order_its_spikes_sorts_them_on_the_host_beside_the_others():
    def full(self, *arguments):
        if self.problem.neuron_ids[0]:
            raise NotEnoughMemory("full")
        return place_spikes(self, *arguments)

    place_spikes = HostSession.place_spikes
    with patch.object(HostSession, "place_spikes", full):
        ours = simulate(problem_of(), several(HostDevice(), HostDevice()))
    assert_equal(ours, simulate(problem_of(), backend_on(HostDevice())))
