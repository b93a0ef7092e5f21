"""Copies between a device and NumPy arrays, by several threads, each with a pinned buffer.

A plain copy into fresh memory runs at 2 GB/s because of page faults. Eight threads, each of which
takes one piece after another through its own buffer, reach ten times that (H100, PCIe 5). To memory
that is pinned the device writes by itself, at 42 GB/s.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from threading import Barrier, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import BackendUnavailable

if TYPE_CHECKING:
    from hhplug.device.interface import Array, Event, Stream

# Bringing 2 GB of V, 1 M neurons × 500 steps, to fresh memory, GB/s of the call with 12 threads and
# buffers of 2, 4, 8, 16 MB: 20, 23, 22, 16; with 8 threads and 8 MB 18 (H100, 16 cores).
BUFFER_BYTES = 2**22
THREADS = 12
# Up to this size in bytes the calling thread copies by itself, which takes 0.04 ms. Handing a copy
# to other threads takes 0.2 ms.
SMALL = 2**20
# Smallest row in bytes that a device writes by itself where the rows of an array lie apart.
LEAST_ROW = 2**18
SMALL_BUFFERS = 8  # enough for the small copies of a block, so that none waits for another
ALIGNMENT = 16  # bytes; an array in a buffer with others begins at a multiple of it
# Most bytes of the small copies that are waited for together. They arrive in about 5 µs, which is
# what an event takes; of more, the first are taken from their buffer while the others arrive.
TOGETHER = 2**17


class Copy(NamedTuple):
    """A copy to the host: the array that is filled, and its source on the device."""

    target: NDArray[Any]
    source: "Array"
    dtype: np.dtype | None = None  # of the source, where it isn't the target's


class Begun(NamedTuple):
    """Copies to the host of which some are enqueued, and the others are left."""

    done: "Event | None"
    """Happens when those that are enqueued are done. None if there is none."""

    left: Sequence[Copy]


class Computed:
    """A row of numbers for the device, of which each part is computed when it is copied.

    compute: returns the numbers of a slice of the row.
    """

    # Neurons computed at a time, so that what NumPy needs in between stays in the cache.
    STEP = 2**16

    def __init__(self, size: int, compute: Callable[[slice], NDArray[Any]], first: int = 0):
        self.size, self._compute, self._first = size, compute, first
        self.shape = (size,)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> "Computed":
        start, stop, _ = part.indices(self.size)
        return Computed(max(0, stop - start), self._compute, self._first + start)

    def write(self, target: NDArray[Any]) -> None:
        """Compute the row, convert it to the target's type, and write it there."""
        for start in range(0, self.size, self.STEP):
            stop = min(start + self.STEP, self.size)
            with np.errstate(all="ignore"):
                target[start:stop] = self._compute(slice(self._first + start, self._first + stop))


Source = NDArray[Any] | Computed


@dataclass
class _Buffer:
    """A pinned buffer; it is free when `event` has happened."""

    memory: NDArray[np.uint8]
    event: "Event"


class _Enqueued(NamedTuple):
    """Copies that share a buffer, the views of it that they fill, and the event after them."""

    event: "Event"
    copies: Sequence[Copy]
    views: Sequence[NDArray[Any]]

    def finish(self) -> None:
        """Wait for the copies, and fill their targets."""
        self.event.synchronize()
        for (target, *_), view in zip(self.copies, self.views, strict=True):
            _convert(target, view.reshape(target.shape))


class Transfers:
    """Copies to and from a device on a stream of their own; any thread may call, one at a time.

    pinned: allocates pinned memory of a number of bytes. current, is_pinned: those of `Device`.
    """

    def __init__(
        self,
        stream: "Stream",
        pinned: Callable[[int], NDArray[np.uint8]],
        current: Callable[[], AbstractContextManager[None]],
        is_pinned: Callable[[NDArray[Any]], bool] = lambda _: False,
    ):
        self._stream, self._pinned, self._current = stream, pinned, current
        self._is_pinned = is_pinned
        self._process = os.getpid()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hhplug-copy")
        self._futures: list[Future[None]] = []  # of the latest large copy
        self._lock = Lock()
        self._small = self._buffers(SMALL_BUFFERS, SMALL)

    @cached_property
    def _large(self) -> list[_Buffer]:
        # This takes 20 ms, and small runs never need it. All threads start here, so that a program
        # that looks at its threads doesn't see more of them after each run. Where the system
        # refuses one, the others don't wait for it for ever.
        started = Barrier(THREADS, timeout=1.0)
        wait([self._threads.submit(started.wait) for _ in range(THREADS)])
        return list(self._buffers(THREADS, BUFFER_BYTES))

    def _buffers(self, count: int, size: int) -> deque[_Buffer]:
        return deque(_Buffer(self._pinned(size), self._stream.record()) for _ in range(count))

    def refuse_fork(self) -> None:
        """Raise BackendUnavailable in a forked process: a device does not survive a fork."""
        if os.getpid() != self._process:
            raise BackendUnavailable(
                "forked",
                "this process was forked from one that had begun to use the device",
                "start processes by multiprocessing.get_context('spawn'), or choose the backend "
                "in each of them alone",
            )

    def wait(self, event: "Event") -> None:
        """Make copies enqueued from now on wait for an event."""
        with self._lock:
            self._stream.wait(event)

    def to_host(self, ready: "Event", copies: Sequence[Copy]) -> None:
        """Fill arrays from the device after `ready`; return when they are filled.

        The rows of an array may lie apart; those on the device lie one after another.
        """
        with self._lock:
            self._stream.wait(ready)
            direct, others = [], []
            for copy in copies:
                if copy.target.size:
                    (direct if self._is_direct(copy) else others).append(copy)
            try:
                for copy in direct:
                    self._enqueue_to_host(copy)
                self._to_host_through_buffers(others)
            finally:  # nothing may write to the arrays after an error
                if direct or not others:
                    self._stream.record().synchronize()

    def begin_to_host(self, stream: "Stream", copies: Sequence[Copy]) -> Begun:
        """Enqueue the copies to the host that the device makes by itself.

        They wait for what is enqueued on the stream so far. The arrays on the device must be kept
        until they are done, even if `finish`, which makes those that are left, isn't called.
        """
        direct, left = [], []
        for copy in copies:
            (direct if self._is_direct(copy) else left).append(copy)
        if not direct:
            return Begun(None, left)
        with self._lock:
            self._stream.wait(stream.record())
            try:
                for copy in direct:
                    self._enqueue_to_host(copy)
            except BaseException:
                self._stream.synchronize()
                raise
            return Begun(self._stream.record(), left)

    def finish(self, stream: "Stream", begun: Sequence[Begun]) -> None:
        """Return when the arrays of all these copies are filled. stream: the one they wait for."""
        if left := [copy for each in begun for copy in each.left]:
            self.to_host(stream.record(), left)
        for each in begun:
            if each.done:
                each.done.synchronize()

    def _is_direct(self, copy: Copy) -> bool:
        """Whether the device can write to the target by itself, and in large parts."""
        target, _, dtype = copy
        if target.nbytes <= SMALL or dtype not in (None, target.dtype):
            return False
        row = target if target.flags.c_contiguous else target[0]
        return row.flags.c_contiguous and row.nbytes >= LEAST_ROW and self._is_pinned(target)

    def _enqueue_to_host(self, copy: Copy) -> None:
        target, source, _ = copy
        if target.flags.c_contiguous:
            self._stream.to_host(target.reshape(-1), source[: target.size])
        else:
            self._stream.rows_to_host(target, source)

    def _to_host_through_buffers(self, copies: Sequence[Copy]) -> None:
        if all(copy.target.nbytes <= SMALL for copy in copies):
            self._to_host_together(copies)
        else:
            size = _piece_bytes(sum(copy.target.nbytes for copy in copies))
            pieces = [piece for copy in copies for piece in _pieces(copy, size)]
            self._in_threads(self._piece_to_host, pieces)

    def _to_host_together(self, copies: Sequence[Copy]) -> None:
        """Small copies. Those that fit a buffer together share it, and are waited for together.

        All are enqueued before the first is waited for, unless they need more than all buffers.
        """
        enqueued: deque[_Enqueued] = deque()
        for group in _groups(copies):
            if len(enqueued) == SMALL_BUFFERS:
                enqueued.popleft().finish()
            enqueued.append(self._enqueue_together(group))
        while enqueued:
            enqueued.popleft().finish()

    def _enqueue_together(self, copies: Sequence[Copy]) -> "_Enqueued":
        buffer, views, first = self._small_buffer(), [], 0
        for copy in copies:
            views.append(_view(buffer, copy, first))
            self._stream.to_host(views[-1], copy.source)
            first += _aligned_bytes(copy)
        buffer.event = self._stream.record()
        return _Enqueued(buffer.event, copies, views)

    def _small_buffer(self) -> _Buffer:
        """The small buffer that was used longest ago, once it is free."""
        buffer = self._small[0]
        self._small.rotate(-1)
        buffer.event.synchronize()
        return buffer

    def _piece_to_host(self, buffer: _Buffer, copy: Copy) -> None:
        self._stream.to_host(_view(buffer, copy), copy.source)
        buffer.event = self._stream.record()
        buffer.event.synchronize()
        _convert(copy.target, _view(buffer, copy).reshape(copy.target.shape))

    def to_device(self, target: "Array", arrays: Sequence[Source], dtype: np.dtype) -> "Event":
        """Enqueue a copy of arrays, one after another and converted to dtype, to the device.

        Returns, once the arrays have been read, an event that happens when the copy is done.
        """
        with self._lock:
            total = _size(arrays) * dtype.itemsize
            if total <= SMALL:
                buffer = self._small_buffer()
                self._tiles_to_device(buffer, (arrays, target), dtype)
                return buffer.event
            pieces, first = [], 0
            for tile in _tiles(arrays, _piece_bytes(total) // dtype.itemsize):
                pieces.append(([tile], target[first : first + tile.size]))
                first += tile.size
            self._in_threads(
                lambda buffer, piece: self._tiles_to_device(buffer, piece, dtype), pieces
            )
            return self._stream.record()

    def _tiles_to_device(
        self, buffer: _Buffer, piece: "tuple[Sequence[Source], Array]", dtype: np.dtype
    ) -> None:
        """Enqueue a copy of what fits a free buffer. piece: the tiles and where they go."""
        tiles, target = piece
        staged = buffer.memory[: _size(tiles) * dtype.itemsize].view(dtype)
        first = 0
        for tile in tiles:
            _convert(staged[first : first + tile.size].reshape(tile.shape), tile)
            first += tile.size
        if first:
            self._stream.to_device(target, staged)
        buffer.event = self._stream.record()

    def _in_threads(self, copy: Callable[[_Buffer, Any], None], pieces: Sequence[Any]) -> None:
        """Call copy(buffer, piece) for every piece, in several threads with a free buffer each.

        Returns when all threads have ended, and raises the first exception of any of them.
        """
        wait(self._futures)  # those of a call that was interrupted
        left = iter(pieces)

        def take_pieces(buffer: _Buffer) -> None:
            with self._current():
                for piece in left:
                    buffer.event.synchronize()
                    copy(buffer, piece)

        buffers = self._large[: len(pieces)]
        self._futures = [self._threads.submit(take_pieces, buffer) for buffer in buffers]
        wait(self._futures)
        futures, self._futures = self._futures, []
        for future in futures:
            future.result()


def _piece_bytes(total: int) -> int:
    """Bytes of the pieces in which so many are copied: enough pieces for all threads."""
    return min(BUFFER_BYTES, max(SMALL, -(-total // THREADS)) & -16)


def _convert(target: NDArray[Any], source: Source) -> None:
    if isinstance(source, Computed):
        source.write(target)
        return
    if source.dtype == target.dtype:
        target[...] = source
        return
    with np.errstate(over="ignore"):  # beyond float32 is infinite; each thread has its errstate
        np.copyto(target, source, casting="unsafe")


def _view(buffer: _Buffer, copy: Copy, first: int = 0) -> NDArray[Any]:
    """The elements of a buffer, from a byte on, from which the target of a copy is filled."""
    dtype = copy.dtype or copy.target.dtype
    return buffer.memory[first : first + copy.target.size * dtype.itemsize].view(dtype)


def _aligned_bytes(copy: Copy) -> int:
    """Bytes that a copy takes of a buffer, of which the next copy may take those that follow."""
    dtype = copy.dtype or copy.target.dtype
    return -(-copy.target.size * dtype.itemsize // ALIGNMENT) * ALIGNMENT


def _groups(copies: Sequence[Copy]) -> Iterator[list[Copy]]:
    """The small copies in groups, which are waited for together."""
    most = min(TOGETHER, SMALL)
    group, left = [], most
    for copy in copies:
        taken = _aligned_bytes(copy)
        if group and taken > left:
            yield group
            group, left = [], most
        group.append(copy)
        left -= taken
    if group:
        yield group


def _pieces(copy: Copy, size: int) -> Iterator[Copy]:
    """The copy in parts of at most `size` bytes."""
    target, source, dtype = copy
    rows = target.reshape(1, -1) if target.flags.c_contiguous else target
    first = 0
    for part in _tiles([rows], size // target.itemsize):
        yield Copy(part, source[first : first + part.size], dtype)
        first += part.size


def _size(arrays: Sequence[Source]) -> int:
    return sum(array.size for array in arrays)


def _tiles(arrays: Sequence[Source], fits: int) -> Iterator[Any]:
    """Parts of arrays of at most so many elements: some rows, or part of a row."""
    for array in arrays:
        if isinstance(array, Computed):
            for left in range(0, array.size, fits):
                yield array[left : left + fits]
            continue
        rows = array.reshape(len(array), -1 if array.size else 1)
        step = max(1, fits // rows.shape[1])
        for first in range(0, len(rows), step):
            for left in range(0, rows.shape[1], fits):
                yield rows[first : first + step, left : left + fits]
