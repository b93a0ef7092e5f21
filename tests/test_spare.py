"""Memory of dropped results serves the next run, and never one too soon."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hhplug import NotEnoughMemory, Problem, Simulator, spare
from hhplug.recording import Recording

SHAPE = (1100, 1000)  # 4.4 MB of float32, more than the least that is kept


@pytest.fixture(autouse=True)
def nothing_kept():
    spare.give_back()
    yield
    spare.give_back()


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_is_as_np_empty_gives_it():
    for shape in SHAPE, (3, 0), (2, 5):
        array = spare.empty((*shape, 2), "float32")
        assert array.shape == (*shape, 2)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned


def test_the_memory_of_a_dropped_array_is_taken_again():
    array = spare.empty(SHAPE, "float64")
    before = address(array)
    del array
    assert address(spare.empty(SHAPE, "float64")) == before


def test_memory_is_kept_whatever_type_and_shape_it_had():
    array = spare.empty(SHAPE, "float64")
    before = address(array)
    del array
    assert address(spare.empty((2 * SHAPE[0] * SHAPE[1],), "float32")) == before


@pytest.mark.parametrize("part", [lambda a: a[1:3, 5], lambda a: a.T, lambda a: a.view("int32")])
def test_a_view_holds_the_memory(part):
    array = spare.empty(SHAPE, "float32")
    array[:] = 7.0
    view = part(array)
    before = view.copy()
    del array
    other = spare.empty(SHAPE, "float32")
    other[:] = -1.0
    assert_array_equal(view, before)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 2)), max_size=12))
def test_arrays_in_use_never_share_memory(changes):
    """Six places, each filled anew with an array of one of two sizes: what was there is dropped."""
    used = {}
    for mark, (place, pieces) in enumerate(changes):
        used[place] = None
        array = spare.empty((pieces * spare.LEAST,), "uint8")
        array[:: spare.LEAST // 4] = mark
        used[place] = (array, mark)
        for array, mark in filter(None, used.values()):
            assert (array[:: spare.LEAST // 4] == mark).all()


def test_threads_may_run_side_by_side():
    def run(mark):
        for _ in range(50):
            array = spare.empty(SHAPE, "float32")
            array[::100] = mark
            assert (array[::100] == mark).all()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(run, range(4))) == [None] * 4


def test_small_and_huge_arrays_are_not_kept():
    for size in spare.LEAST - 1, spare.MOST + 1:
        spare.empty((size,), "uint8")
        assert not spare._kept


def test_another_size_drops_what_is_kept():
    spare.empty(SHAPE, "float32")
    assert len(spare._kept) == 1
    array = spare.empty((2, *SHAPE), "float32")
    assert not spare._kept
    del array


def test_no_more_than_the_arrays_of_one_run_are_kept():
    arrays = [spare.empty(SHAPE, "float32") for _ in range(6)]
    del arrays
    assert len(spare._kept) == 4


def test_the_samples_of_a_run_are_kept_when_its_result_is_dropped():
    def run():
        return Simulator("reference").run(T=1.0, batch_size=6000)  # 4.8 MB

    result = run()
    before, V = address(result.V), result.V.copy()
    del result
    again = run()
    assert address(again.V) == before
    assert_array_equal(again.V, V)


def test_memory_that_is_short_is_given_back_before_a_refusal(monkeypatch):
    """50 MB are free, and 10 more kept: 52 fit with them, 80 don't."""
    monkeypatch.setattr(
        "hhplug.recording.free_memory", lambda: 50_000_000 + (10_000_000 if not spare._kept else 0)
    )

    def recording(megabytes):
        spare.empty((10**7,), "uint8")
        Recording(Problem(10.0, 0.01, batch_size=megabytes * 250, dtype="float32"))

    recording(52)
    with pytest.raises(NotEnoughMemory, match=r"80\.0 MB.* 60\.0 MB"):
        recording(80)
