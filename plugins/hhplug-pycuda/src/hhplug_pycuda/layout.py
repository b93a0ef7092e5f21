"""The arguments of hh.cu in the memory layout of its C structs."""

from functools import cache
from typing import Any

import numpy as np

LOG2_E = np.log2(np.e)
# The fields of struct Constants in hh.cu.
CONSTANTS = [
    np.log2(0.07) / 4 - LOG2_E * 65 / 80,
    2 - LOG2_E * 65 / 18,
    1.0, 10.0, 100.0, 1 / 20, 1 / 200, 0.1,
]  # fmt: skip

# The rows of the parameters in hh.cu, by the names of `hhplug.membranes.derived`.
PARAMETER_ROWS = ("g_Na", "g_K", "g_L", "E_Na", "E_K", "leak", "per_C_m")


@cache
def block_type(dtype: np.dtype) -> np.dtype:
    """Return the dtype of struct Block in hh.cu, for state of this dtype."""

    def struct(**fields: Any) -> np.dtype:
        return np.dtype(list(fields.items()), align=True)

    pointer, index, count = np.uint64, np.int64, np.int32
    current = struct(
        gain=pointer, waveform=pointer, array=pointer,
        J=count, held=count, gain_per_neuron=count, array_per_neuron=count,
    )  # fmt: skip
    samples = struct(variable=(pointer, 4), column=pointer, columns=index, first=count, every=count)
    spikes = struct(
        count=pointer, total=pointer, neuron=pointer, step=pointer, fraction=pointer,
        threshold=dtype, room=np.uint32,
    )  # fmt: skip
    return struct(
        N=index, state=pointer, parameters=pointer, constants=pointer,
        current=current, samples=samples, spikes=spikes,
        dt=dtype, steps=count, per_neuron=count,
    )  # fmt: skip
