"""Keep the memory of deleted results for the samples of the next run of the same size.

New memory costs a page fault for every 4 kB. In a run on a GPU that copies 200 MB to the host, this
is a fifth of the time.
"""

import weakref
from collections import deque
from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

LEAST, MOST = 2**22, 2**28  # bytes; smallest and largest array whose memory is kept
KEPT = 4  # most arrays that are kept: one each for V, m, h, n


class BufferPool:
    """Allocates arrays, and reuses the memory of those that are deleted."""

    def __init__(self) -> None:
        # A deque's methods are atomic, which is needed since any thread may delete a result and
        # garbage collection may run at any time.
        self._kept: deque[NDArray[np.uint8]] = deque(maxlen=KEPT)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """An uninitialized array, as np.empty returns it."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        if not LEAST <= size <= MOST:
            return np.empty(shape, dtype)
        return np.asarray(_Lease(self._memory(size), self._kept)).view(dtype).reshape(shape)

    def release(self) -> None:
        """Return the memory that is kept to the system."""
        self._kept.clear()

    def _memory(self, size: int) -> NDArray[np.uint8]:
        """A kept buffer of this size, or a new one. Kept buffers of other sizes are deleted."""
        while self._kept:
            try:
                memory = self._kept.popleft()
            except IndexError:  # another thread took the last one
                break
            if memory.size == size:
                return memory
        return np.empty(size, np.uint8)


class _Lease:
    """The base of all arrays in a buffer. When the last of them is deleted, the buffer is kept."""

    def __init__(self, memory: NDArray[np.uint8], kept: deque[NDArray[np.uint8]]):
        self.__array_interface__ = memory.__array_interface__
        weakref.finalize(self, kept.append, memory).atexit = False
