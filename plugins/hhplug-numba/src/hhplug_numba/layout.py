"""The memory layout of neurons' state and parameters: groups of rows.

A group is one flat array of rows of up to `widest` neurons, each `stride` apart, so that a step
stays in the first-level cache. The distances are constants in a kernel, else LLVM cannot tell that
rows do not overlap.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

# Rows of every membrane. After a step, SLOPE and END_SLOPE are dV/dt at its start and end, and
# CONDUCTANCE that of open channels at its start. The states begin with V in the row FIRST_STATE.
I_EXT, LEAK, PER_C_M, MOST_OPEN, V_BEFORE, SLOPE, END_SLOPE, CONDUCTANCE, FIRST_STATE = range(9)

# Bytes of a group, which suit caches of 32 kB. Neuron-steps/s of RS (34 rows) with 64, 128, 192 and
# 256 neurons a group of float32 on an Intel Xeon with 48 kB: 1.9, 2.0, 1.9 and 1.1e8.
GROUP_BYTES = 22 * 1024
# With 240 neurons a group the squid took 4 % longer, and Wang-Buzsáki 3 % (AMD EPYC with 32 kB).
MOST_WIDTH = 176
LANES = 16  # a group's width is a multiple: a cache line of float32, two of float64
CACHE_LINE = 64  # bytes
SPREAD_FROM = 64  # neurons per thread; with fewer, more threads cost more than they save


def widest(n_rows: int, dtype: np.dtype) -> int:
    """The neurons of a group with so many rows."""
    fit = max(1, GROUP_BYTES // (n_rows * dtype.itemsize * LANES)) * LANES
    return min(fit, MOST_WIDTH)


def stride_of(width: int, dtype: np.dtype) -> int:
    """The elements from row to row: an odd number of cache lines, so that rows share no sets."""
    lines = -(-width * dtype.itemsize // CACHE_LINE)
    return (lines | 1) * CACHE_LINE // dtype.itemsize


class Groups:
    """n neurons in groups of `width`; copies of the last neuron pad the last group."""

    def __init__(self, n: int, n_rows: int, dtype: np.dtype, threads: int):
        max_width = widest(n_rows, dtype)
        n_groups = -(-n // max_width)
        if n >= SPREAD_FROM * threads:
            n_groups = -(-n_groups // threads) * threads  # equally many groups for each thread
        self.n, self.dtype = n, dtype
        self.width = -(-n // (n_groups * LANES)) * LANES  # neurons per group
        self._stride = stride_of(max_width, dtype)
        self._allocate(-(-n // self.width), n_rows)

    def _allocate(self, n_groups: int, n_rows: int) -> None:
        size = n_groups * n_rows * self._stride
        buffer = np.zeros(size + CACHE_LINE // self.dtype.itemsize, self.dtype)
        start = -buffer.ctypes.data % CACHE_LINE // self.dtype.itemsize
        self.elements = buffer[start : start + size].reshape(n_groups, n_rows * self._stride)
        self._rows = self.elements.reshape(n_groups, n_rows, self._stride)[:, :, : self.width]

    def like(self, n_rows: int) -> "Groups":
        """The same groups with other rows, which are 0."""
        other = copy(self)
        other._allocate(len(self), n_rows)
        return other

    def __len__(self) -> int:
        return len(self.elements)

    def cut(self, values: Array | Sequence[Array], dtype: DTypeLike | None = None) -> Array:
        """Return the values as (rows, groups, width). A row is one number or a value per neuron.

        dtype: by default the groups'.
        """
        cut = np.empty((len(values), len(self) * self.width), dtype or self.dtype)
        for row, value in zip(cut, values, strict=True):
            row[: self.n] = value
        cut[:, self.n :] = cut[:, self.n - 1 : self.n]
        return cut.reshape(len(values), len(self), self.width)

    def put(self, row: int, values: Array) -> None:
        """Set a row of every group. values: one number, or a value per neuron."""
        values = np.broadcast_to(values, self.n)
        whole, rest = self._whole_groups_and_rest(values)
        self._rows[: len(whole), row] = whole
        if rest.size:
            self._rows[-1, row, : rest.size] = rest
            self._rows[-1, row, rest.size :] = rest[-1]

    def get(self, rows: slice) -> Array:
        """Return a copy of some rows, (rows, n)."""
        found = np.empty((rows.stop - rows.start, self.n), self.dtype)
        whole, rest = self._whole_groups_and_rest(found)
        whole[:] = self._rows[: whole.shape[1], rows].swapaxes(0, 1)
        rest[:] = self._rows[-1, rows, : rest.shape[1]]
        return found

    def _whole_groups_and_rest(self, values: Array) -> tuple[Array, Array]:
        """Views of values (…, n): (…, groups, width), without the last group if it is padded."""
        whole = self.n // self.width
        end = whole * self.width
        shape = (*values.shape[:-1], whole, self.width)
        return values[..., :end].reshape(shape), values[..., end:]

    def chosen(self, neurons: NDArray[np.int64] | None) -> tuple[Array, Array, Array]:
        """Return starts, column and lane of the recorded neurons, for `population.advance`."""
        if neurons is None:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
        column = np.argsort(neurons, kind="stable")
        group, lane = np.divmod(neurons[column], self.width)
        return np.searchsorted(group, np.arange(len(self) + 1)), column, lane
