"""Divide the steps of a run into pieces whose values fit the cache."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int64]

PIECE = 2**16  # most steps of a piece
PIECE_VALUES = 2**18  # most values of a waveform or an array that are read at a time


def pieces(first: int, count: int, width: int) -> Iterator[tuple[int, int]]:
    """(first, count) of pieces of the steps, each of PIECE_VALUES values at most.

    width: values of a step.
    """
    longest = max(1, min(PIECE, PIECE_VALUES // max(width, 1)))
    for step in range(first, first + count, longest):
        yield step, min(longest, first + count - step)
