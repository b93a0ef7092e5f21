"""Copies between the GPU and ordinary arrays, through a few pinned buffers and several threads.

A plain copy into fresh memory runs at 2 GB/s, held up by page faults; a ring of pinned buffers that
eight threads empty reaches 15 GB/s and more (H100, PCIe 5).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pycuda.driver as cuda  # pyright: ignore[reportMissingImports]
from numpy.typing import NDArray

# A call that brings 200 MB to a fresh array: 19 ms; with four buffers of 32 MB 19, of 16 MB 21, of
# 8 MB 28, of 4 MB 44; with four threads 23, with twelve 25 (16 MB; H100, 16 cores).
BUFFER_BYTES = 2**25
BUFFERS = 2
THREADS = 8
SMALL = 2**18  # bytes, that this thread copies sooner than others would


@dataclass
class _Buffer:
    """A pinned buffer: the GPU's work on it ends with `event`, the threads' with `futures`."""

    memory: NDArray[np.uint8]
    event: cuda.Event
    futures: list[Future[None]] = field(default_factory=list)

    def finish(self) -> None:
        for future in self.futures:
            future.result()
        self.futures.clear()
        self.event.synchronize()


class Transfers:
    """The pinned buffers of one context. Its methods need that context to be current."""

    def __init__(self) -> None:
        self._stream = cuda.Stream()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hhplug-copy")
        self._small = self._ring(SMALL)

    @cached_property
    def _large(self) -> list[_Buffer]:
        return self._ring(BUFFER_BYTES)  # takes 40 ms, and small runs need none

    def _ring(self, size: int) -> list[_Buffer]:
        return [
            _Buffer(cuda.pagelocked_empty(size, np.uint8), self._event()) for _ in range(BUFFERS)
        ]

    @staticmethod
    def _event() -> cuda.Event:
        return cuda.Event(cuda.event_flags.DISABLE_TIMING)

    def to_host(self, ready: cuda.Event, copies: Sequence[tuple[NDArray[Any], int]]) -> None:
        """Fill C-contiguous arrays from device addresses, once `ready` has happened, and wait."""
        self._stream.wait_for_event(ready)
        buffers = self._small if all(a.nbytes <= SMALL for a, _ in copies) else self._large
        pieces = [
            (target[at : at + BUFFER_BYTES], address + at)
            for array, address in copies
            for target in [array.reshape(-1).view(np.uint8)]
            for at in range(0, len(target), BUFFER_BYTES)
        ]
        for i in range(len(pieces) + BUFFERS - 1):
            if i < len(pieces):  # enqueue this piece …
                target, address = pieces[i]
                buffer = buffers[i % BUFFERS]
                buffer.finish()
                cuda.memcpy_dtoh_async(buffer.memory[: len(target)], address, self._stream)
                buffer.event.record(self._stream)
            if i >= BUFFERS - 1:  # … and empty the oldest that is under way
                target, _ = pieces[i - BUFFERS + 1]
                buffer = buffers[(i - BUFFERS + 1) % BUFFERS]
                buffer.event.synchronize()
                buffer.futures = self._spread(target, buffer.memory[: len(target)])
        for buffer in buffers:
            buffer.finish()

    def to_device(self, address: int, rows: NDArray[Any], dtype: np.dtype) -> cuda.Event:
        """Enqueue a copy of rows, as dtype, to a device address; the event tells when it is there.

        Returns when the rows have been read.
        """
        rows = rows.reshape(len(rows), -1)
        width = rows.shape[1]
        buffers = self._small if rows.size * dtype.itemsize <= SMALL else self._large
        for i, (first, last, left, right) in enumerate(_tiles(rows.shape, dtype.itemsize)):
            buffer = buffers[i % BUFFERS]
            buffer.finish()
            size = (last - first) * (right - left) * dtype.itemsize
            staged = buffer.memory[:size].view(dtype).reshape(last - first, right - left)
            for future in self._spread(staged, rows[first:last, left:right]):
                future.result()
            offset = (first * width + left) * dtype.itemsize
            cuda.memcpy_htod_async(address + offset, buffer.memory[:size], self._stream)
            buffer.event.record(self._stream)
        done = self._event()
        done.record(self._stream)
        return done

    def _spread(self, target: NDArray[Any], source: NDArray[Any]) -> list[Future[None]]:
        """Copy, and convert, along the longer axis with several threads."""
        if target.nbytes <= SMALL:
            np.copyto(target, source, casting="unsafe")
            return []
        if len(target) < THREADS:
            target, source = target.T, source.T
        edges = np.linspace(0, len(target), THREADS + 1).astype(int)
        return [
            self._threads.submit(np.copyto, target[a:b], source[a:b], casting="unsafe")
            for a, b in pairwise(edges)
        ]


def _tiles(shape: tuple[int, int], itemsize: int) -> Iterator[tuple[int, int, int, int]]:
    """Whole rows, as many as a buffer holds, or pieces of one row: first, last, left, right."""
    count, width = shape
    fits = BUFFER_BYTES // itemsize
    if width <= fits:
        step = fits // width
        for first in range(0, count, step):
            yield first, min(first + step, count), 0, width
    else:
        for row in range(count):
            for left in range(0, width, fits):
                yield row, row + 1, left, min(left + fits, width)
