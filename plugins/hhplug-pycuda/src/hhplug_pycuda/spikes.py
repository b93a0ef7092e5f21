"""The spikes of a run put in order on the GPU, by the kernels of spikes.cu."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from hhplug.device import Arrays, PlacedSpikes
from hhplug_pycuda.gpu import Elements, Gpu, GpuStream

TILE = 1024  # threads of a thread block, as in spikes.cu
# The types of the kernels' arguments in the order of spikes.cu, as the module struct writes them.
ARGUMENTS = {
    "sum_counts": "PqP",
    "sum_tiles": "Pq",
    "place_firsts": "PqP",
    "place_spikes": "qPPPPPqdqPP",
    "widen_counts": "PqP",
}


@cache
def _source() -> str:
    return files("hhplug_pycuda").joinpath("spikes.cu").read_text(encoding="utf-8")


class SpikeKernels:
    """The kernels, for a session's stream. dtype: the run's. count: "spike_count". dt: ms."""

    def __init__(self, gpu: Gpu, stream: GpuStream, dtype: np.dtype, count: Elements, dt: float):
        self._gpu, self._stream, self._count, self._dt = gpu, stream, count, dt
        self._real64 = dtype == np.float64

    def place(self, parts: Sequence[PlacedSpikes], arrays: Arrays, first_neuron: int) -> None:
        """What `DeviceSession.place_spikes` describes."""
        N, count, places = self._count.size, self._count.address, arrays["places"].address
        filled = arrays["neuron"].address, arrays["time"].address
        self._launch("sum_counts", N, count, N, places)
        self._launch("sum_tiles", 1, places, -(-N // TILE))
        self._launch("place_firsts", N, count, N, places)
        for part in parts:
            spikes = (getattr(part, name).address for name in PlacedSpikes.ARRAYS)
            about = places, part.first_step, self._dt, first_neuron
            self._launch("place_spikes", part.total, part.total, *spikes, *about, *filled)

    def widen_counts(self, counts: Elements) -> None:
        """What `DeviceSession.widen_counts` describes."""
        self._launch("widen_counts", counts.size, self._count.address, counts.size, counts.address)

    def _launch(self, name: str, threads: int, *arguments: float) -> None:
        kernel = self._gpu.function(name, ARGUMENTS[name], _source(), REAL64=self._real64)
        grid, block = (-(-threads // TILE), 1), (TILE, 1, 1)
        kernel.prepared_async_call(grid, block, self._stream.handle, *arguments)
