"""Keep the memory of deleted results for the arrays of the next run.

New memory costs a page fault for every 4 kB. In a run on a GPU that copies 200 MB to the host, this
is a fifth of the time.
"""

import weakref
from collections import deque
from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug.machine import free_memory

LEAST = 2**20  # bytes; smallest array whose memory is kept
SHARE = 1 / 8  # of the free memory, which may be kept


class BufferPool:
    """Allocates arrays, and reuses the memory of those that are deleted."""

    def __init__(self) -> None:
        self._kept = _Kept()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """An uninitialized array, as np.empty returns it."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        if self._kept.most is None and size >= LEAST:
            self._kept.most = int(free_memory() * SHARE)
        if not LEAST <= size <= (self._kept.most or 0):
            return np.empty(shape, dtype)
        lease = _Lease(self._kept.take(_rounded(size)), self._kept)
        return np.asarray(lease)[:size].view(dtype).reshape(shape)

    def release(self) -> None:
        """Return the memory that is kept to the system."""
        self._kept.clear()

    @property
    def kept_bytes(self) -> int:
        """Size of the memory that is kept and that no array uses."""
        return self._kept.size


class _Kept:
    """Buffers that no array uses, at most `most` bytes. Any thread may call any method."""

    def __init__(self) -> None:
        self.most: int | None = None  # None until a large array is asked for
        # A deque's methods are atomic. A lock can't protect it, since garbage collection may call
        # `put` at any time in any thread, even in one that is in `take`.
        self._buffers: deque[NDArray[np.uint8]] = deque()

    @property
    def size(self) -> int:
        return sum(buffer.size for buffer in self._buffers.copy())

    def take(self, size: int) -> NDArray[np.uint8]:
        """A buffer of this size: one that is kept, or a new one.

        Before a new one, as much as it needs is freed of what is kept, so that a run of another
        size doesn't add its memory to that of the runs before.
        """
        for _ in range(len(self._buffers)):
            buffer = self._oldest()
            if buffer is None:
                break
            if buffer.size == size:
                return buffer
            self._buffers.append(buffer)
        self._free(size)
        return np.empty(size, np.uint8)

    def put(self, buffer: NDArray[np.uint8]) -> None:
        """Keep a buffer, and free the oldest ones of which there are too many."""
        self._buffers.append(buffer)
        self._free(self.size - (self.most or 0))

    def clear(self) -> None:
        self._buffers.clear()

    def _free(self, size: int) -> None:
        """Free the oldest buffers, of at least `size` bytes together."""
        while size > 0 and (buffer := self._oldest()) is not None:
            size -= buffer.size

    def _oldest(self) -> NDArray[np.uint8] | None:
        try:
            return self._buffers.popleft()
        except IndexError:  # another thread may have taken the last one
            return None


class _Lease:
    """The base of all arrays in a buffer. When the last of them is deleted, the buffer is kept."""

    def __init__(self, buffer: NDArray[np.uint8], kept: _Kept):
        self.__array_interface__ = buffer.__array_interface__
        weakref.finalize(self, kept.put, buffer).atexit = False


def _rounded(size: int) -> int:
    """The size of an array's buffer: up to an eighth more, so that similar arrays share it."""
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
