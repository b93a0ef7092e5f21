"""Work on large arrays in several threads, since NumPy frees the interpreter while it computes."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LEAST = 2**20  # elements; of a smaller array, starting threads takes longer than they save
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


def of_parts(compute: Callable[[slice], T], size: int) -> list[T]:
    """What `compute` returns for the parts of range(size), in order: one for each thread.

    A small range is one part, computed in the calling thread.
    """
    if size < 2 * LEAST or (threads := _threads(size)) < 2:
        return [compute(slice(0, size))]
    from concurrent.futures import ThreadPoolExecutor  # takes 10 ms, which a first result needn't

    edges = [size * k // threads for k in range(threads + 1)]
    parts = [slice(first, end) for first, end in pairwise(edges)]
    with ThreadPoolExecutor(threads, thread_name_prefix="hhplug-parts") as executor:
        return list(executor.map(compute, parts))


def _threads(size: int) -> int:
    """How many threads compute the parts of so many elements. It takes 3 µs."""
    return min(MOST_THREADS, os.cpu_count() or 1, size // LEAST)
