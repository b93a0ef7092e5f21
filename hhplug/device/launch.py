"""The arrays of a block on the device, and the arguments of a kernel launch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.device.interface import Array, Event

# Where each flag of a block is among them. They are zeroed and copied to the host together. Each
# begins at a multiple of 16 bytes, for which compilers make better code.
TOTAL, ANY, N_FLAGS = 0, 4, 5

SLOTS = 2  # blocks that may be enqueued and not yet read


class SpikeRoom(NamedTuple):
    """The arrays that a launch writes its spikes to."""

    total: Array  # (1,) int32, 0 at first: spikes found, including those without room
    neuron: Array  # (room,) int32
    step: Array  # (room,) int32: step of the launch, from 0
    fraction: Array  # (room,): fraction of the step before the crossing
    ordinal: Array  # (room,) int32: spikes of its neuron that spike_count had before it


class InvalidRoom(NamedTuple):
    """The arrays in which a launch notes neurons that are invalid during it."""

    any: Array  # (1,) int32, 0 at first: 1 if there is one
    # (N,) int32, 0 at first: of an invalid neuron its first invalid step, from 1 on; the number
    # of steps + 1 if the state at the end isn't finite
    first: Array


class Start(NamedTuple):
    """What a block begins with, from which it can be repeated."""

    state: Array  # (states·N)
    spike_count: Array  # (N,) int32


@dataclass
class Slot:
    """The arrays of one of the blocks that may be enqueued and not yet read."""

    current: Array  # ((max_steps + 1) × row_length of the session)
    samples: Mapping[str, Array]  # variable → room for its samples; empty for device arrays
    spike_count: Array | None  # (N,) int32, added to; None unless spikes are counted
    flags: Array  # (N_FLAGS,) int32: spikes.total at TOTAL, invalid.any at ANY
    spikes: SpikeRoom | None  # None unless spike times are kept
    invalid: InvalidRoom
    start: Start | None  # None unless spike times are kept
    done: Event | None = None  # happens when its latest block is done; None before the first
    # (N_FLAGS,) int32, pinned: the flags of the latest launch, once its event has happened
    found: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Launch:
    """The arguments of one kernel launch; arrays are on the device."""

    n_steps: int
    first_step: int  # number of the first of them, counted from time zero
    state: Array  # (states·N) in the order of the program's states, then a noise's x; updated
    current: Array  # waveform (n_steps × J), or rows of an array current, and room for a row more
    held: bool  # all rows are equal, and only the first is given
    samples: Mapping[str, Array]  # variable → room for its samples, one after another
    first_sample: int  # first sampled step of this launch; n_steps if none is sampled
    spike_count: Array | None  # (N,) int32: the launch adds its upward crossings; None: not wanted
    spikes: SpikeRoom | None  # None unless spike times are kept
    invalid: InvalidRoom | None  # None: not wanted
    sums: bool = False  # it continues the features' sums, if the problem has features
