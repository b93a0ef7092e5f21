"""Keep the memory of deleted results for the arrays of the next run.

New memory costs a page fault for every 4 kB, and a GPU copies to it through the CPU. Memory that is
used again needs neither.
"""

import os
import weakref
from collections import deque
from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug.machine import free_memory

LEAST = 2**20  # bytes; smallest array whose memory is kept
SHARE = 1 / 8  # of the free memory, which may be kept

Pin = Callable[[NDArray[np.uint8]], Callable[[], None] | None]
"""Pins memory, so that a device writes to it without the CPU, and returns a function that undoes
this. Returns None if that can't be done. Any thread may call either function."""


class BufferPool:
    """Allocates arrays, and reuses the memory of those that are deleted.

    pin: of the device that fills the arrays. Memory is pinned when it is used for the second time,
    since pinning takes longer than a copy.
    """

    def __init__(self, pin: Pin | None = None) -> None:
        self.pin = pin
        self._kept = _Kept()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """An uninitialized array, as np.empty returns it."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        if self._kept.most is None and size >= LEAST:
            self._kept.most = int(free_memory() * SHARE)
        if not LEAST <= size <= (self._kept.most or 0):
            return np.empty(shape, dtype)
        buffer = self._kept.take(_rounded(size))
        if buffer is None:
            buffer = _Buffer(_rounded(size))
        elif self.pin:
            buffer.pin(self.pin)
        return np.asarray(_Lease(buffer, self._kept))[:size].view(dtype).reshape(shape)

    def release(self) -> None:
        """Return the memory that is kept to the system."""
        self._kept.clear()

    @property
    def kept_bytes(self) -> int:
        """Size of the memory that is kept and that no array uses."""
        return self._kept.size


class _Buffer:
    """Memory for one array after another."""

    def __init__(self, size: int):
        self.memory = np.empty(size, np.uint8)
        self._unpin: Callable[[], object] | None = None
        self._forks = 0  # of this process, when the memory was pinned

    def pin(self, pin: Pin) -> None:
        """Pin the memory, unless it is pinned already.

        A fork may move the pages of this process, as Linux did before 5.12, while the device goes
        on to write to the old ones. So pages are pinned anew after each.
        """
        if self._unpin and self._forks != forks.number:
            self._unpin()
            self._unpin = None
        if not self._unpin and (unpin := pin(self.memory)):
            self._unpin, self._forks = weakref.finalize(self.memory, unpin), forks.number
            self._unpin.atexit = False


class _Forks:
    """Counts how often this process was forked."""

    number = 0

    def count(self) -> None:
        self.number += 1


forks = _Forks()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_parent=forks.count)


class _Kept:
    """Buffers that no array uses, at most `most` bytes. Any thread may call any method."""

    def __init__(self) -> None:
        self.most: int | None = None  # None until a large array is asked for
        # A deque's methods are atomic. A lock can't protect it, since garbage collection may call
        # `put` at any time in any thread, even in one that is in `take`.
        self._buffers: deque[_Buffer] = deque()

    @property
    def size(self) -> int:
        return sum(buffer.memory.size for buffer in self._buffers.copy())

    def take(self, size: int) -> _Buffer | None:
        """A kept buffer of this size, or None.

        Then as much is freed as a new one needs, so that a run of another size doesn't add its
        memory to that of the runs before.
        """
        for _ in range(len(self._buffers)):
            buffer = self._oldest()
            if buffer is None:
                break
            if buffer.memory.size == size:
                return buffer
            self._buffers.append(buffer)
        self._free(size)
        return None

    def put(self, buffer: _Buffer) -> None:
        """Keep a buffer, and free the oldest ones of which there are too many."""
        self._buffers.append(buffer)
        self._free(self.size - (self.most or 0))

    def clear(self) -> None:
        self._buffers.clear()

    def _free(self, size: int) -> None:
        """Free the oldest buffers, of at least `size` bytes together."""
        while size > 0 and (buffer := self._oldest()) is not None:
            size -= buffer.memory.size

    def _oldest(self) -> _Buffer | None:
        try:
            return self._buffers.popleft()
        except IndexError:  # another thread may have taken the last one
            return None


class _Lease:
    """The base of all arrays in a buffer. When the last of them is deleted, the buffer is kept."""

    def __init__(self, buffer: _Buffer, kept: _Kept):
        self.__array_interface__ = buffer.memory.__array_interface__
        weakref.finalize(self, kept.put, buffer).atexit = False


def _rounded(size: int) -> int:
    """The size of an array's buffer: up to an eighth more, so that similar arrays share it."""
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
