"""The memory layout of neurons' state and parameters: groups of rows, as `kernels` expects them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug_numba.kernels import LANES, ROWS, STATE, STRIDE, WIDTH

Array = NDArray[Any]

SPREAD_FROM = 64  # neurons per thread; with fewer, more threads cost more than they save
CACHE_LINE = 64  # bytes


class Groups:
    """n neurons in groups of `width`; copies of the last neuron pad the last group."""

    def __init__(self, n: int, dtype: np.dtype, threads: int):
        self._max_width = max_width = WIDTH[dtype.name]
        n_groups = -(-n // max_width)
        if n >= SPREAD_FROM * threads:
            n_groups = -(-n_groups // threads) * threads  # equally many groups for each thread
        self.n, self.dtype = n, dtype
        self.width = -(-n // (n_groups * LANES)) * LANES  # neurons per group
        n_groups = -(-n // self.width)
        self._n_sides = (STRIDE - LANES) // max_width  # groups side by side in the same rows
        place, side = np.divmod(np.arange(n_groups), self._n_sides)
        # The index of each group's first element.
        self.at = (place * ROWS * STRIDE + side * max_width).astype(np.int64)
        size = (place[-1] + 1) * ROWS * STRIDE
        buffer = np.zeros(size + CACHE_LINE // dtype.itemsize, dtype)
        start = -buffer.ctypes.data % CACHE_LINE // dtype.itemsize
        self.elements = buffer[start : start + size]

    def _sides(self) -> Iterator[tuple[slice, Array]]:
        """Yield each side's groups, as a slice, and a view of their rows, (groups, ROWS, width)."""
        places = self.elements.reshape(-1, ROWS, STRIDE)
        for side in range(self._n_sides):
            mine, left = slice(side, None, self._n_sides), side * self._max_width
            yield mine, places[: len(self.at[mine]), :, left : left + self.width]

    def cut(self, values: Array | Sequence[Array]) -> Array:
        """Return the values as (rows, groups, width). A row is one number or a value per neuron."""
        cut = np.empty((len(values), len(self.at) * self.width), self.dtype)
        for row, value in zip(cut, values, strict=True):
            row[: self.n] = value
        cut[:, self.n :] = cut[:, self.n - 1 : self.n]
        return cut.reshape(len(values), len(self.at), self.width)

    def put(self, rows: slice, values: Array | Sequence[Array]) -> None:
        """Set rows of every group. Each item of values is one number or has a value per neuron."""
        cut = self.cut(values).swapaxes(0, 1)
        for mine, places in self._sides():
            places[:, rows] = cut[mine]

    def state(self) -> Array:
        """Return a copy of V m h n, (4, n)."""
        cut = np.empty((4, len(self.at), self.width), self.dtype)
        for mine, places in self._sides():
            cut[:, mine] = places[:, STATE].swapaxes(0, 1)
        return np.ascontiguousarray(cut.reshape(len(cut), -1)[:, : self.n])

    def chosen(self, neurons: NDArray[np.int64] | None) -> tuple[Array, Array, Array]:
        """Return starts, column and lane of the recorded neurons, for `kernels.advance`."""
        if neurons is None:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
        column = np.argsort(neurons, kind="stable")
        group, lane = np.divmod(neurons[column], self.width)
        return np.searchsorted(group, np.arange(len(self.at) + 1)), column, lane
