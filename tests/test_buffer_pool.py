"""The memory of a dropped result is reused by the next run, and never while it is in use."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hhplug import NotEnoughMemory, Problem, Simulator, buffer_pool
from hhplug.buffer_pool import BufferPool
from hhplug.running.memory_recorder import MemoryRecorder

SHAPE = (1100, 1000)  # 4.4 MB of float32; smaller arrays may not be kept


@pytest.fixture
def pool():
    return BufferPool()


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_has_the_layout_of_one_from_np_empty(pool):
    for shape in SHAPE, (3, 0), (2, 5):
        array = pool.empty((*shape, 2), "float32")
        assert array.shape == (*shape, 2)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned


def test_the_memory_of_a_dropped_array_is_reused(pool):
    array = pool.empty(SHAPE, "float64")
    before = address(array)
    del array
    assert address(pool.empty(SHAPE, "float64")) == before


def test_memory_is_kept_whatever_type_and_shape_it_had(pool):
    array = pool.empty(SHAPE, "float64")
    before = address(array)
    del array
    assert address(pool.empty((2 * SHAPE[0] * SHAPE[1],), "float32")) == before


class Pins:
    """Notes the address of each buffer that is pinned, and 0 for each that no longer is."""

    def __init__(self):
        self.noted = []

    def __call__(self, memory):
        self.noted.append(memory.ctypes.data)
        return lambda: self.noted.append(0)


def test_memory_is_pinned_when_it_is_used_again_until_it_is_freed():
    pool = BufferPool(pins := Pins())
    pool.empty(SHAPE, "float32")
    assert not pins.noted
    for _ in range(2):
        array = pool.empty(SHAPE, "float32")
        first = address(array)
        del array
        assert pins.noted == [first]
    pool.release()
    assert pins.noted == [first, 0]


def test_memory_that_cannot_be_pinned_is_reused_all_the_same():
    pool = BufferPool(lambda _: None)
    before = address(pool.empty(SHAPE, "float32"))
    assert address(pool.empty(SHAPE, "float32")) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_memory_is_pinned_anew_after_a_fork():
    pool = BufferPool(pins := Pins())
    for _ in range(2):
        first = address(pool.empty(SHAPE, "float32"))
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
    for _ in range(2):
        pool.empty(SHAPE, "float32")
    assert pins.noted == [first, 0, first]


@pytest.mark.parametrize("part", [lambda a: a[1:3, 5], lambda a: a.T, lambda a: a.view("int32")])
def test_a_view_keeps_the_memory_in_use(pool, part):
    array = pool.empty(SHAPE, "float32")
    array[:] = 7.0
    view = part(array)
    before = view.copy()
    del array
    other = pool.empty(SHAPE, "float32")
    other[:] = -1.0
    assert_array_equal(view, before)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 2)), max_size=12))
def test_arrays_in_use_never_share_memory(changes):
    """Arrays of two sizes replace each other in six places, which drops the old ones."""
    pool, used = BufferPool(), {}
    for mark, (place, pieces) in enumerate(changes):
        used[place] = None
        array = pool.empty((pieces * buffer_pool.LEAST,), "uint8")
        array[:: buffer_pool.LEAST // 4] = mark
        used[place] = (array, mark)
        for array, mark in filter(None, used.values()):
            assert (array[:: buffer_pool.LEAST // 4] == mark).all()


def test_threads_may_run_side_by_side(pool):
    def run(mark):
        for _ in range(50):
            array = pool.empty(SHAPE, "float32")
            array[::100] = mark
            assert (array[::100] == mark).all()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(run, range(4))) == [None] * 4


def test_small_arrays_are_not_kept(pool):
    pool.empty((buffer_pool.LEAST - 1,), "uint8")
    assert not pool.kept_bytes


def test_a_slightly_larger_array_takes_the_same_memory(pool):
    array = pool.empty((8_600_000,), "uint8")
    before = address(array)
    del array
    kept = pool.kept_bytes
    array = pool.empty((8_700_000,), "uint8")
    assert address(array) == before
    array[:] = 1
    del array
    assert pool.kept_bytes == kept


def test_an_array_of_another_size_frees_as_much_as_it_takes(pool):
    arrays = [pool.empty((size << 20,), "uint8") for size in (2, 4, 6)]
    del arrays[:]
    array = pool.empty((3 << 20,), "uint8")
    assert pool.kept_bytes == (6 << 20)  # the oldest, of 2 and 4 MB, are freed
    del array
    assert pool.kept_bytes == (9 << 20)


def test_at_most_an_eighth_of_the_free_memory_is_kept(pool, monkeypatch):
    monkeypatch.setattr(buffer_pool, "free_memory", lambda: 8 * (10 << 20))
    for size, kept in (11, 0), (4, 4), (5, 5), (6, 6):
        pool.empty((size << 20,), "uint8")
        assert pool.kept_bytes == kept << 20
    arrays = [pool.empty((size << 20,), "uint8") for size in (4, 6, 5)]
    while arrays:
        arrays.pop(0)
    assert pool.kept_bytes == 5 << 20


def test_the_samples_of_a_run_are_kept_when_its_result_is_dropped():
    simulator = Simulator("reference")

    def run():
        return simulator.run(T=1.0, batch_size=6000)  # 4.8 MB

    result = run()
    before, V = address(result.V), result.V.copy()
    del result
    again = run()
    assert address(again.V) == before
    assert_array_equal(again.V, V)


def test_kept_memory_is_freed_before_a_run_is_refused(pool, monkeypatch):
    """50 MB are free and 10 MB are kept, so that 52 MB fit and 80 MB don't."""
    monkeypatch.setattr(
        "hhplug.running.memory_check.free_memory",
        lambda: 50_000_000 + (10_000_000 if not pool.kept_bytes else 0),
    )

    def recording(megabytes):
        pool.empty((10**7,), "uint8")
        MemoryRecorder(Problem(10.0, 0.01, batch_size=megabytes * 250, dtype="float32"), pool)

    recording(52)
    with pytest.raises(NotEnoughMemory, match=r"80\.0 MB.* 60\.0 MB"):
        recording(80)


def test_a_simulator_releases_what_it_keeps():
    simulator = Simulator("reference")
    simulator.run(T=1.0, batch_size=6000)
    memory = simulator._workspace.result_memory
    assert memory.kept_bytes
    simulator.release_memory()
    assert not memory.kept_bytes


def test_simulators_do_not_share_kept_memory():
    one, other = Simulator("reference"), Simulator("reference")
    one.run(T=1.0, batch_size=6000)
    assert not other._workspace.result_memory.kept_bytes
