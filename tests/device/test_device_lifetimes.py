"""Concurrent sessions, in threads and processes, and the release of their memory."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
from host_device import HostBackend, HostDevice, HostSession, HostStream, backend_on
from host_problems import (
    ARRAY,
    BLOCK,
    N_STEPS,
    STATES,
    N,
    assert_agrees,
    expected_of,
    expected_of_current,
    problem_of,
    problem_of_current,
)

from hhplug import BackendUnavailable, NotEnoughMemory, simulate
from hhplug.device import not_enough_memory
from hhplug.device import session as device_session
from hhplug.testing.accuracy import BOUNDS

pytestmark = pytest.mark.usefixtures("several_blocks")


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
    """Make Python switch threads often."""
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
    backend = HostBackend(device)
    session = backend.prepare(problem_of_current("waves", False), BLOCK)
    assert device.free < before
    session.advance(BLOCK)
    session.advance(BLOCK)
    done = []
    with device.current():
        session.stream.enqueue(lambda: done.append(device.free < before))
    session.close()
    assert done == [True]
    session.close()
    assert device.free < before  # what the next session takes over
    backend.release_memory()
    assert device.free == before


@pytest.mark.parametrize("method", ["make_ready", "upload", "launch"])
def test_a_failed_or_interrupted_run_frees_its_memory(monkeypatch, method):
    device = HostDevice()
    before = device.free
    problem = problem_of_current("waves", False, device_arrays=True)
    with monkeypatch.context() as broken:
        broken.setattr(HostSession, method, Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt) as held:
            simulate(problem, backend_on(device))
    assert held.tb  # a notebook keeps the traceback too
    assert device.free >= before - 4 * N_STEPS * N * 8  # device arrays, which Python frees
    assert_agrees(simulate(problem, backend_on(device)), expected_of(problem))


def test_a_session_that_can_neither_begin_nor_wait_frees_its_memory(monkeypatch):
    device = HostDevice()
    before = device.free
    monkeypatch.setattr(HostSession, "make_ready", Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(HostStream, "synchronize", Mock(side_effect=OSError("the device is lost")))
    with pytest.raises(OSError, match="the device is lost"):
        simulate(problem_of_current("held", False), backend_on(device))
    assert device.free == before


def test_a_forked_process_gets_an_error_instead_of_the_device(device, monkeypatch):
    problem, process = problem_of_current("held", False), os.getpid()
    monkeypatch.setattr("os.getpid", lambda: process + 1)
    with pytest.raises(BackendUnavailable, match=r"\[forked\].*get_context\('spawn'\)"):
        simulate(problem, backend_on(device))


def test_only_spike_times_allocate_memory_for_spikes():
    taken = {}
    for spikes in ("times", "counts", "off"):
        device = HostDevice()
        before = device.free
        with HostBackend(device).prepare(problem_of_current("held", False, spikes=spikes), BLOCK):
            taken[spikes] = before - device.free
    places = device_session.SLOTS * device_session.LEAST_ROOM
    assert taken["times"] - taken["counts"] >= places * (4 + 4 + 8)  # neuron, step, fraction
    assert taken["off"] <= taken["counts"]


def test_device_arrays_outlive_their_session():
    problem = problem_of_current("waves", False, device_arrays=True)
    device = HostDevice()
    before = device.free
    ours = simulate(problem, backend_on(device))
    simulate(problem_of_current("held", False), backend_on(device))
    assert_agrees(ours, expected_of(problem))
    assert before - device.free == 4 * N_STEPS * N * 8  # V m h n


@pytest.mark.parametrize("device_arrays", [False, True])
def test_a_failed_allocation_is_reported_and_the_device_stays_usable(device_arrays):
    device = HostDevice(free=20 * 10**6)
    problem = problem_of(batch_size=600_000, record_every=100, device_arrays=device_arrays)
    needed = r"the GPU has 0\.02 GB free, and 0\.1\d GB are needed; use a smaller batch_size"
    with pytest.raises(NotEnoughMemory, match=needed):
        simulate(problem, backend_on(device))
    smaller = problem_of_current("held", False)
    assert_agrees(simulate(smaller, backend_on(device)), expected_of_current("held", False))


def test_the_error_of_a_failed_allocation_is_in_gigabytes():
    error = not_enough_memory(1.5e9, 12_345_678_901)
    assert isinstance(error, NotEnoughMemory)
    assert str(error) == (
        "the GPU has 1.50 GB free, and 12.35 GB are needed; use a smaller batch_size, "
        "record less, or spikes='counts'"
    )
