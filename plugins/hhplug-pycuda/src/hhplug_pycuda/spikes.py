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


def place_spikes(
    gpu: Gpu, stream: GpuStream, parts: Sequence[PlacedSpikes], count: Elements, dt: float,
    arrays: Arrays,
) -> None:  # fmt: skip
    """What `DeviceSession.place_spikes` describes. count: "spike_count". dt: ms."""
    module = gpu.module(_source(), REAL64=parts[0].fraction.itemsize == 8)
    tiles = -(-count.size // TILE)
    sums = gpu.arrays({"sums": (tiles, np.dtype(np.int64))})

    def launch(name: str, blocks: int, *arguments: Elements | int | float) -> None:
        kernel = module.get_function(name)
        passed = map(_argument, arguments)
        kernel(*passed, block=(TILE, 1, 1), grid=(blocks, 1), stream=stream.handle)

    launch("sum_counts", tiles, count, count.size, sums["sums"])
    launch("sum_tiles", 1, sums["sums"], tiles)
    launch("place_firsts", tiles, count, count.size, sums["sums"], arrays["places"])
    for part in parts:
        launch(
            "place_spikes",
            -(-part.total // TILE),
            part.total,
            *(getattr(part, name) for name in PlacedSpikes.ARRAYS),
            arrays["places"],
            part.first_step,
            dt,
            arrays["neuron"],
            arrays["time"],
        )
    stream.synchronize()
    sums.free()


def _argument(value: Elements | int | float) -> Any:
    """A value as the kernels take it: pointers, long long and double."""
    if isinstance(value, Elements):
        return np.uint64(value.address)
    return np.int64(value) if isinstance(value, int) else np.float64(value)
