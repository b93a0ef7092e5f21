"""The spikes of a run put in order on the GPU, by the kernels of spikes.cu."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from hhplug.device import Arrays, PlacedSpikes
from hhplug_pycuda.gpu import Elements, Gpu, GpuStream

TILE = 1024  # threads of a thread block, as in spikes.cu


@cache
def _source() -> str:
    return files("hhplug_pycuda").joinpath("spikes.cu").read_text(encoding="utf-8")


class SpikeKernels:
    """The kernels, for a session's stream. dtype: the run's. count: "spike_count". dt: ms."""

    def __init__(self, gpu: Gpu, stream: GpuStream, dtype: np.dtype, count: Elements, dt: float):
        self._gpu, self._stream, self._count, self._dt = gpu, stream, count, dt
        self._module = gpu.module(_source(), REAL64=dtype == np.float64)

    def place(self, parts: Sequence[PlacedSpikes], arrays: Arrays, first_neuron: int) -> None:
        """What `DeviceSession.place_spikes` describes."""
        count = self._count
        tiles = -(-count.size // TILE)
        sums = self._gpu.arrays({"sums": (tiles, np.dtype(np.int64))})
        counted = [count, count.size, sums["sums"]]
        self._launch("sum_counts", count.size, counted)
        self._launch("sum_tiles", 1, [sums["sums"], tiles])
        self._launch("place_firsts", count.size, [*counted, arrays["places"]])
        for part in parts:
            given = [part.total, *(getattr(part, name) for name in PlacedSpikes.ARRAYS)]
            given += [arrays["places"], part.first_step, self._dt, first_neuron]
            self._launch("place_spikes", part.total, [*given, arrays["neuron"], arrays["time"]])
        self._stream.synchronize()
        sums.free()

    def widen_counts(self, counts: Elements) -> None:
        """What `DeviceSession.widen_counts` describes."""
        self._launch("widen_counts", counts.size, [self._count, counts.size, counts])

    def _launch(self, name: str, threads: int, arguments: Sequence[Elements | int | float]) -> None:
        kernel = self._module.get_function(name)
        shape = {"block": (TILE, 1, 1), "grid": (-(-threads // TILE), 1)}
        kernel(*map(_argument, arguments), stream=self._stream.handle, **shape)


def _argument(value: Elements | int | float) -> Any:
    """A value as the kernels take it: pointers, long long and double."""
    if isinstance(value, Elements):
        return np.uint64(value.address)
    return np.int64(value) if isinstance(value, int) else np.float64(value)
