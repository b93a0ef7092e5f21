"""Where the state and the parameters of each neuron are: groups of rows, as `kernels` has them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug_numba.kernels import LANES, ROWS, STATE, STRIDE, WIDTH

Array = NDArray[Any]

SPREAD_FROM = 64  # neurons, below which a second thread costs more than it brings
CACHE_LINE = 64  # bytes


class Groups:
    """n neurons in groups of `width`; the last is filled up with copies of the last neuron."""

    def __init__(self, n: int, dtype: np.dtype, threads: int):
        self._most = most = WIDTH[dtype.name]
        n_groups = -(-n // most)
        if n >= SPREAD_FROM * threads:
            n_groups = -(-n_groups // threads) * threads  # as many for each
        self.n, self.dtype = n, dtype
        self.width = -(-n // (n_groups * LANES)) * LANES  # neurons of a group
        n_groups = -(-n // self.width)
        self._abreast = (STRIDE - LANES) // most  # groups in the same rows
        place, side = np.divmod(np.arange(n_groups), self._abreast)
        self.at = (place * ROWS * STRIDE + side * most).astype(np.int64)  # where each begins
        size = (place[-1] + 1) * ROWS * STRIDE
        room = np.zeros(size + CACHE_LINE // dtype.itemsize, dtype)
        start = -room.ctypes.data % CACHE_LINE // dtype.itemsize
        self.elements = room[start : start + size]

    def _sides(self) -> Iterator[tuple[slice, Array]]:
        """Every so many-th group, and their rows, (groups, ROWS, width)."""
        places = self.elements.reshape(-1, ROWS, STRIDE)
        for side in range(self._abreast):
            mine, left = slice(side, None, self._abreast), side * self._most
            yield mine, places[: len(self.at[mine]), :, left : left + self.width]

    def cut(self, values: Array | Sequence[Array]) -> Array:
        """Rows of a value for each neuron, or for all one, as (rows, groups, width)."""
        cut = np.empty((len(values), len(self.at) * self.width), self.dtype)
        for row, value in zip(cut, values, strict=True):
            row[: self.n] = value
        cut[:, self.n :] = cut[:, self.n - 1 : self.n]
        return cut.reshape(len(values), len(self.at), self.width)

    def put(self, rows: slice, values: Array | Sequence[Array]) -> None:
        """Set rows of every group: a value for each neuron, or for all one."""
        cut = self.cut(values).swapaxes(0, 1)
        for mine, places in self._sides():
            places[:, rows] = cut[mine]

    def state(self) -> Array:
        """V m h n, (4, n)."""
        cut = np.empty((4, len(self.at), self.width), self.dtype)
        for mine, places in self._sides():
            cut[:, mine] = places[:, STATE].swapaxes(0, 1)
        return np.ascontiguousarray(cut.reshape(len(cut), -1)[:, : self.n])

    def chosen(self, neurons: NDArray[np.int64] | None) -> tuple[Array, Array, Array]:
        """starts, column and lane, as `kernels.advance` wants them, of the neurons recorded."""
        if neurons is None:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
        column = np.argsort(neurons, kind="stable")
        group, lane = np.divmod(neurons[column], self.width)
        return np.searchsorted(group, np.arange(len(self.at) + 1)), column, lane
