"""Copies to and from a device of NumPy arrays; small buffers make each copy need several."""

import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from host_device import HostDevice

from hhplug.device import Copy, transfers

SMALL, BUFFER_BYTES = 2**6, 2**10  # 8 and 128 of float64
SMALL_BUFFERS, THREADS, LEAST_ROW = 3, 2, 2**9
FLOAT64 = np.dtype(np.float64)
SPARE = 3  # elements of an array on the device behind those that are copied


class LateThreads(ThreadPoolExecutor):
    """Threads that begin late, so that a missing wait is noticed."""

    def submit(self, function, *arguments, **options):
        def late():
            time.sleep(0.001)
            function(*arguments, **options)

        return super().submit(late)


@pytest.fixture(autouse=True)
def small_buffers():
    settings = {
        "SMALL": SMALL,
        "BUFFER_BYTES": BUFFER_BYTES,
        "SMALL_BUFFERS": SMALL_BUFFERS,
        "THREADS": THREADS,
        "LEAST_ROW": LEAST_ROW,
        "ThreadPoolExecutor": LateThreads,
    }
    with patch.multiple("hhplug.device.transfers", **settings):
        yield


@pytest.fixture(params=["nothing", "copies"])
def device(request):
    device = HostDevice(prompt=request.param)
    with device.current():
        yield device


def numbers(*shape, dtype="float64"):
    return np.random.default_rng(7).uniform(-1e4, 1e4, shape).astype(dtype)


def copied_there_and_back(device, *arrays):
    """Copy arrays to the device and back, and return the copies."""
    targets = [np.empty_like(array) for array in arrays]
    sources = [np.append(array, np.zeros(SPARE, array.dtype)) for array in arrays]
    device.transfers.to_host(device.stream().record(), list(map(Copy, targets, sources)))
    return targets


@pytest.mark.parametrize("shape", [(1, 7), (2, 300), (9, 5), (40, 11), (3, 128), (0, 4), (4, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_that_lie_apart_are_filled_where_they_are(device, shape, dtype):
    rows, width = shape
    array, whole = numbers(*shape, dtype=dtype), np.full((rows, width + 6), 77, dtype)
    source = np.append(array, np.zeros(SPARE, dtype))
    target = whole[:, 2 : 2 + width]
    device.transfers.to_host(device.stream().record(), [Copy(target, source)])
    np.testing.assert_array_equal(target, array)
    np.testing.assert_array_equal(whole[:, :2], 77)
    np.testing.assert_array_equal(whole[:, 2 + width :], 77)


@pytest.mark.parametrize(
    ("shape", "width", "direct"),
    [((3, 700), 700, True), ((3, 700), 500, True), ((300, 20), 15, False), ((1, 8), 8, False)],
)
def test_a_device_writes_to_pinned_memory_by_itself_in_large_parts(device, shape, width, direct):
    whole = np.full(shape, 77.0)
    device.pin(whole)
    stream = device.transfers._stream
    with patch.object(stream, "to_host", side_effect=stream.to_host) as to_host:
        target = whole[:, :width]
        array = numbers(shape[0], width)
        other, others = np.empty(300), numbers(300)
        copies = [Copy(target, array.reshape(-1)), Copy(other, others)]
        device.transfers.to_host(device.stream().record(), copies)
        targets = [call.args[0] for call in to_host.call_args_list]
    np.testing.assert_array_equal(target, array)
    np.testing.assert_array_equal(other, others)
    np.testing.assert_array_equal(whole[:, width:], 77)
    assert any(np.may_share_memory(each, whole) for each in targets) == direct


def test_what_a_device_writes_by_itself_is_waited_for(device):
    target, array = np.zeros(700), numbers(700)
    device.pin(target)
    device.transfers.to_host(device.stream().record(), [Copy(target, array)])
    np.testing.assert_array_equal(target, array)


def test_numbers_that_are_converted_go_through_buffers_to_pinned_memory_too(device):
    target = np.empty(700)
    device.pin(target)
    array = numbers(700, dtype="float32")
    copy = Copy(target, array, np.dtype(np.float32))
    device.transfers.to_host(device.stream().record(), [copy])
    np.testing.assert_array_equal(target, array)


def test_nothing_writes_to_pinned_memory_after_an_error(device):
    target, array = np.zeros(700), numbers(700)
    device.pin(target)
    with (
        patch.object(device.transfers, "_to_host_through_buffers", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        device.transfers.to_host(device.stream().record(), [Copy(target, array)])
    array[:] = 0.0
    device.transfers._stream.synchronize()
    assert target.all()


def test_copies_that_the_device_makes_by_itself_begin_before_the_others_are_waited_for():
    device = HostDevice("copies")
    with device.current():
        direct, small, large = (np.zeros(size) for size in (700, 5, 300))
        device.pin(direct)
        sources = [numbers(each.size) for each in (direct, small, large)]
        stream = device.stream()
        copies = list(map(Copy, (direct, small, large), sources))
        begun = [device.transfers.begin_to_host(stream, copies)]
        np.testing.assert_array_equal(direct, sources[0])
        assert not small.any()
        assert not large.any()
        device.transfers.finish(stream, begun)
        for target, source in zip((direct, small, large), sources, strict=True):
            np.testing.assert_array_equal(target, source)


@pytest.mark.parametrize("size", [5, 700])
def test_copies_that_are_begun_wait_for_what_fills_the_array_on_the_device(device, size):
    stream, target, source = device.stream(), np.zeros(size), np.zeros(size)
    device.pin(target)
    stream.enqueue(partial(source.fill, 3.0))
    begun = [device.transfers.begin_to_host(stream, [Copy(target, source)])]
    device.transfers.finish(stream, begun)
    np.testing.assert_array_equal(target, 3.0)


@pytest.mark.parametrize("between", [5, 700])
def test_copies_that_were_begun_one_after_another_are_waited_for_together(device, between):
    targets = [np.zeros(size) for size in (700, between, 700)]
    for target in targets:
        if target.size > 5:
            device.pin(target)
    sources = [numbers(each.size) for each in targets]
    stream = device.stream()
    begun = [
        device.transfers.begin_to_host(stream, [Copy(target, source)])
        for target, source in zip(targets, sources, strict=True)
    ]
    device.transfers.finish(stream, begun)
    for target, source in zip(targets, sources, strict=True):
        np.testing.assert_array_equal(target, source)


def arrived(device, rows, dtype=FLOAT64):
    """Copy rows to the device, and return the device's array."""
    target = np.full(rows.size + SPARE, 77, dtype)
    device.transfers.to_device(target, [rows], np.dtype(dtype)).synchronize()
    np.testing.assert_array_equal(target[rows.size :], 77)
    return target[: rows.size].reshape(rows.shape)


@pytest.mark.parametrize(
    "shape",
    [(0,), (1,), (7,), (8,), (9,), (127,), (128,), (129,), (256,), (257,), (643,), (5, 77), (9, 0)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_an_array_of_any_size_is_copied_to_the_host(device, shape, dtype):
    array = numbers(*shape, dtype=dtype)
    (ours,) = copied_there_and_back(device, array)
    np.testing.assert_array_equal(ours, array)


def test_arrays_of_several_sizes_and_types_are_copied_to_the_host_together(device):
    arrays = [
        numbers(33, 17),
        numbers(0),
        numbers(5, dtype="int32"),
        numbers(500, dtype="float32"),
        numbers(1),
    ]
    small = [numbers(8) + number for number in range(7)]
    # Several of these share a buffer.
    tiny = [numbers(size, dtype=kind) for kind in ("int32", "float64") for size in (1, 3, 1, 6, 2)]
    for together in (arrays, small, tiny, []):
        for ours, array in zip(copied_there_and_back(device, *together), together, strict=True):
            np.testing.assert_array_equal(ours, array)


@pytest.mark.parametrize("size", [5, 300])
def test_a_copy_to_the_host_waits_until_the_array_is_ready(device, size):
    stream, source, target = device.stream(), np.zeros(size), np.empty(size)
    stream.enqueue(partial(np.copyto, source, numbers(size)))
    ready = stream.record()
    stream.enqueue(partial(source.fill, -1.0))
    device.transfers.to_host(ready, [Copy(target, source)])
    np.testing.assert_array_equal(target, numbers(size))


WHOLE_ROWS = [(1, 8), (1, 9), (3, 2), (40, 3), (43, 3), (129, 1), (7, 65), (3, 127), (3, 128)]
PIECES_OF_ROWS = [(1, 129), (3, 129), (2, 256), (2, 643)]


@pytest.mark.parametrize(
    "shape", [(1,), (8,), (9,), (129,), (700,), *WHOLE_ROWS, *PIECES_OF_ROWS, (5, 0)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_any_shape_are_copied_to_the_device(device, shape, dtype):
    rows = numbers(*shape)
    np.testing.assert_array_equal(arrived(device, rows, dtype), rows.astype(dtype))


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (43, 3), (2, 643)])
@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ("float32", "float64"),
        ("float16", "float32"),
        ("int64", "float64"),
        ("int64", "int32"),
        ("uint8", "float32"),
    ],
)
def test_rows_are_converted_to_the_requested_type(device, shape, given, dtype):
    rows = np.abs(numbers(*shape) / 40.0).astype(given)
    np.testing.assert_array_equal(arrived(device, rows, dtype), rows.astype(dtype))


@pytest.mark.parametrize("size", [5, 300])
def test_a_number_beyond_float32_becomes_infinite_without_a_warning(device, size):
    assert np.isinf(arrived(device, np.full(size, 1e39), "float32")).all()


@pytest.mark.parametrize("shape", [(0,), (0, 5)])
def test_a_copy_of_no_rows_is_allowed(device, shape):
    assert arrived(device, np.empty(shape)).shape == shape


@pytest.mark.parametrize(
    "view",
    [
        lambda rows: rows[::2],
        lambda rows: rows[::-1],
        lambda rows: rows[:, ::3],
        lambda rows: rows[:, 5],
        lambda rows: rows.T,
        lambda rows: rows.astype(">f8"),
        lambda rows: np.asfortranarray(rows),
        lambda rows: np.broadcast_to(rows[0], rows.shape),
        lambda rows: np.broadcast_to(rows[:, :1], rows.shape),
        lambda rows: np.broadcast_to(rows[0, 0], rows.shape),
    ],
)
@pytest.mark.parametrize("shape", [(4, 9), (37, 31), (4, 301)])
def test_rows_in_any_memory_layout_are_copied_to_the_device(device, view, shape):
    rows = view(numbers(*shape))
    np.testing.assert_array_equal(arrived(device, rows), rows)


@pytest.mark.parametrize("size", [1, 2, 129, 300])
def test_several_arrays_are_copied_one_after_another(device, size):
    arrays = [numbers(size), np.broadcast_to(3.5, size), numbers(2, size), numbers(0), numbers(5)]
    target = np.full(4 * size + 5 + SPARE, 77.0)
    device.transfers.to_device(target, arrays, FLOAT64).synchronize()
    expected = np.concatenate([*map(np.ravel, arrays), np.full(SPARE, 77.0)])
    np.testing.assert_array_equal(target, expected)


def test_rows_of_a_memory_mapped_file_are_copied_to_the_device(device, tmp_path):
    rows = numbers(41, 29)
    rows.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", FLOAT64, "r", shape=rows.shape)
    np.testing.assert_array_equal(arrived(device, mapped, "float32"), rows.astype("float32"))
    np.testing.assert_array_equal(arrived(device, mapped[3:, 7:9]), rows[3:, 7:9])


def test_rows_are_never_copied_whole():
    rows = np.broadcast_to(numbers(997), (1000, 997))[:, ::-1]
    target = np.empty(rows.size, np.float32)
    with patch("hhplug.device.transfers.BUFFER_BYTES", 2**17):
        device = HostDevice()
        with device.current():
            device.transfers.to_device(target, [rows], target.dtype).synchronize()  # makes buffers
            tracemalloc.start()
            device.transfers.to_device(target, [rows], target.dtype).synchronize()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    np.testing.assert_array_equal(target.reshape(rows.shape), rows.astype(np.float32))
    assert peak < target.nbytes / 10


@pytest.mark.parametrize("size", [5, 100, 300])
def test_rows_have_been_read_when_the_copy_to_the_device_returns(device, size):
    rows, target = numbers(size), np.empty(size)
    there = device.transfers.to_device(target, [rows], FLOAT64)
    rows[:] = -1.0
    there.synchronize()
    np.testing.assert_array_equal(target, numbers(size))


@pytest.mark.parametrize("size", [5, 300])
def test_a_copy_to_the_device_does_not_wait_for_it(size):
    device = HostDevice()
    with device.current():
        stream, target = device.stream(), np.zeros(size)
        device.transfers.wait(stream.record())
        there = device.transfers.to_device(target, [numbers(size)], FLOAT64)
        assert not target[-1]
        stream.wait(there)
        stream.synchronize()
    np.testing.assert_array_equal(target, numbers(size))


@pytest.mark.parametrize("size", [5, 300])
def test_copies_to_the_device_may_follow_one_another(device, size):
    copied = [(np.empty(size), numbers(size) + number) for number in range(7)]
    for target, rows in copied:
        there = device.transfers.to_device(target, [rows], FLOAT64)
    there.synchronize()
    for target, rows in copied:
        np.testing.assert_array_equal(target, rows)


def test_an_interrupted_copy_leaves_no_thread_that_writes_into_the_next(device, monkeypatch):
    def convert(target, source, real=transfers._convert):
        if source[-1] == before[-1]:  # one thread of several is slow
            time.sleep(0.1)
        real(target, source)

    def interrupt(futures):
        if futures:
            raise KeyboardInterrupt

    before, rows, target = numbers(100), numbers(100) + 1.0, np.empty(100)
    monkeypatch.setattr(transfers, "_convert", convert)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(transfers, "wait", interrupt)
        for _ in range(THREADS):
            with pytest.raises(KeyboardInterrupt):
                device.transfers.to_device(np.empty(100), [before], FLOAT64)
    there = device.transfers.to_device(target, [rows], FLOAT64)
    device.transfers._threads.shutdown()
    there.synchronize()
    np.testing.assert_array_equal(target, rows)


def test_a_failed_copy_raises_after_all_its_threads_have_ended(device, monkeypatch):
    def convert(target, source, real=transfers._convert):
        if source[0] == 0.0:
            raise OSError("the file is gone")
        real(target, source)

    monkeypatch.setattr(transfers, "_convert", convert)
    with pytest.raises(OSError, match="the file is gone"):
        device.transfers.to_device(np.empty(100), [np.arange(100.0)], FLOAT64)
    for rows in (numbers(100), numbers(100) + 1.0):
        np.testing.assert_array_equal(arrived(device, rows), rows)


def test_an_empty_list_of_copies_waits_for_earlier_work(device):
    stream, done = device.stream(), []
    stream.enqueue(partial(done.append, True))
    device.transfers.to_host(stream.record(), [])
    assert done


@pytest.mark.parametrize("size", [5, 300])
def test_copies_can_wait_for_work_on_another_stream(device, size):
    stream, target = device.stream(), np.empty(size)
    stream.enqueue(partial(target.fill, -1.0))
    device.transfers.wait(stream.record())
    there = device.transfers.to_device(target, [numbers(size)], FLOAT64)
    stream.synchronize()
    there.synchronize()
    np.testing.assert_array_equal(target, numbers(size))


def test_only_large_copies_make_large_buffers(device):
    def made():
        return [buffer.nbytes for buffer in device.buffers]

    arrived(device, numbers(8))
    copied_there_and_back(device, numbers(8), numbers(7))
    small, large = [SMALL] * SMALL_BUFFERS, [BUFFER_BYTES] * THREADS
    assert made() == small
    arrived(device, numbers(9))
    copied_there_and_back(device, numbers(9))
    assert made() == small + large


def test_two_threads_may_copy_at_once(device):
    def there_and_back(number):
        rows = numbers(61, 7) + number
        with device.current():
            for _ in range(5):
                there = arrived(device, rows)
                (host,) = copied_there_and_back(device, there)
                np.testing.assert_array_equal(host, rows)

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(there_and_back, number) for number in range(4)]:
            future.result()
