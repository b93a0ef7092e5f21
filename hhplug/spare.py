"""Memory of dropped results, kept for the samples of the next run of the same size.

Fresh memory costs a fault a page, a fifth of a GPU's call that brings 200 MB home.
"""

import weakref
from collections import deque
from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

LEAST, MOST = 2**22, 2**28  # bytes of an array whose memory is kept
KEPT = 4  # arrays: V m h n

# Its methods are atomic, so that any thread may drop a result, and a garbage collection anywhere.
_kept: deque[NDArray[np.uint8]] = deque(maxlen=KEPT)


class _Lease:
    """The base of every array in a piece of memory: when the last is gone, the piece is kept."""

    def __init__(self, memory: NDArray[np.uint8]):
        self.__array_interface__ = memory.__array_interface__
        weakref.finalize(self, _kept.append, memory).atexit = False


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """An uninitialized array, as np.empty gives it."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if not LEAST <= size <= MOST:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(_memory(size))).view(dtype).reshape(shape)


def give_back() -> None:
    """Return what is kept to the system."""
    _kept.clear()


def _memory(size: int) -> NDArray[np.uint8]:
    """A kept piece of this size, or a new one; the others are of another kind of run, and go."""
    while _kept:
        try:
            memory = _kept.popleft()
        except IndexError:  # another thread was faster
            break
        if memory.size == size:
            return memory
    return np.empty(size, np.uint8)
