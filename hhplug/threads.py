"""Work on large arrays in several threads, since NumPy frees the interpreter while it computes."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LEAST = 2**20  # numbers; for fewer, starting a thread takes longer than it saves
MOST_THREADS = 8

T = TypeVar("T")


def in_float64(array: NDArray) -> NDArray[np.float64]:
    """A copy of an array in float64, C-contiguous."""
    copied = np.empty(array.shape)

    def copy(part: slice) -> None:
        with np.errstate(over="ignore"):
            copied[..., part] = array[..., part]

    of_parts(copy, array.shape[-1])
    return copied


def of_parts(compute: Callable[[slice], T], size: int, each: int = 1) -> list[T]:
    """What `compute` returns for the parts of range(size), in order: one for each thread.

    each: how many numbers are computed or copied for each of the range. If there are few in all,
    the range is one part, computed in the calling thread.
    """
    if size * each < 2 * LEAST or (threads := _threads(size * each)) < 2:
        return [compute(slice(0, size))]
    from concurrent.futures import ThreadPoolExecutor  # takes 10 ms, which a first result needn't

    edges = [size * k // threads for k in range(threads + 1)]
    parts = [slice(first, end) for first, end in pairwise(edges)]
    with ThreadPoolExecutor(threads, thread_name_prefix="hhplug-parts") as executor:
        return list(executor.map(compute, parts))


def _threads(size: int) -> int:
    """How many threads compute so many numbers. It takes 3 µs."""
    return min(MOST_THREADS, os.cpu_count() or 1, size // LEAST)
