"""The argument of hh.cu in the memory layout of its C structs."""

from functools import cache
from typing import Any

import numpy as np

HELD, WAVEFORM, WAVEFORMS, ARRAY = range(4)
"""The values of the macro CURRENT in hh.cu."""


@cache
def block_type(
    dtype: np.dtype,
    n_states: int,
    n_scalars: int,
    with_noise: bool = False,
    with_features: bool = False,
) -> np.dtype:
    """Return the dtype of struct Block in hh.cu, for states of this dtype."""

    def struct(**fields: Any) -> np.dtype:
        return np.dtype(list(fields.items()), align=True)

    pointer, index, count = np.uint64, np.int64, np.int32
    current = struct(
        gain=pointer, waveform=pointer, array=pointer,
        J=count, gain_per_neuron=count, array_per_neuron=count,
    )  # fmt: skip
    samples = struct(
        state=(pointer, n_states), column=pointer, columns=index, first=count, every=count
    )
    spikes = struct(
        count=pointer, total=pointer, neuron=pointer, step=pointer, fraction=pointer,
        ordinal=pointer, threshold=dtype, per_step=dtype, room=np.uint32,
    )  # fmt: skip
    validity = struct(any=pointer, first=pointer)
    noise = struct(
        quantiles=pointer, neurons=pointer, process=pointer, first_neuron=index, step=index,
        first=dtype, stream=np.uint32, keys=(np.uint32, 20), per_neuron=count, begins=count,
    )  # fmt: skip
    features = struct(
        in_dtype=pointer, sums=pointer, step=index, first=count, last=count, onset_rise=dtype,
    )  # fmt: skip
    optional = {"noise": noise} if with_noise else {}
    optional |= {"features": features} if with_features else {}
    return struct(
        N=index, state=pointer, rows=pointer, constants=pointer,
        current=current, samples=samples, spikes=spikes, validity=validity,
        scalars=(dtype, n_scalars),
        steps=count, rows_per_neuron=count, **optional,
    )  # fmt: skip
