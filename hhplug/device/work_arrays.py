"""The arrays that the kernel of a session reads and writes, beside its inputs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hhplug.device.interface import Array, Arrays, Shapes
from hhplug.device.launch import ANY, N_FLAGS, SLOTS, TOTAL, InvalidRoom, Slot, SpikeRoom, Start
from hhplug.problem import Problem

INT = np.dtype(np.int32)
LINE = 32  # int32 of 128 bytes, at a multiple of which each part of an array begins


class Views(NamedTuple):
    """What a session makes of its work arrays."""

    spike_count: Array  # (N,) int32, of the whole session; empty if spikes aren't counted
    replay: Start  # where a block is repeated whose spikes didn't fit
    slots: list[Slot]


@dataclass(frozen=True)
class WorkArrays:
    """The arrays of a session on a problem. They are allocated together, and have these keys:

    "state", of the whole session;
    "zeroed", which is 0 when the session begins: the flags of each slot, its `InvalidRoom.first`,
    and the session's spike_count;
    ("replay", name), where a block is repeated whose spikes didn't fit;
    (number, name) and (number, kind, name), of one of the slots.
    """

    problem: Problem
    max_steps: int  # of a block
    row_length: int  # numbers that describe the current of one step
    room: int  # spikes of a launch that fit their arrays
    state_rows: int  # the states, and the process of a noise

    def shapes(self) -> Shapes:
        problem, real = self.problem, np.dtype(self.problem.dtype)
        n, times = problem.n_neurons, problem.spikes == "times"
        counted = self._n_counted
        state = (self.state_rows * n, real)
        at_start = {"state": state if times else (0, real), "spike_count": (n if times else 0, INT)}
        recorded = (-(-self.max_steps // problem.record_every) * problem.n_recorded, real)
        shapes: Shapes = {
            "state": state,
            "zeroed": (SLOTS * (LINE + _in_lines(n)) + counted, INT),
            **{("replay", name): shape for name, shape in at_start.items()},
        }
        for slot in range(SLOTS):
            shapes |= {
                # A kernel reads the row of the next step while it computes a step, and a row
                # after the last is read too.
                (slot, "current"): ((self.max_steps + 1) * self.row_length, real),
                **{(slot, "start", name): shape for name, shape in at_start.items()},
                (slot, "neuron"): (self.room, INT),
                (slot, "step"): (self.room, INT),
                (slot, "fraction"): (self.room, real),
                (slot, "ordinal"): (self.room, INT),
            }
            if not problem.ordered_spikes:
                shapes[slot, "spike_count"] = (counted, INT)
            if not problem.device_arrays:
                shapes |= {(slot, "samples", name): recorded for name in problem.record}
        return shapes

    @property
    def _n_counted(self) -> int:
        return 0 if self.problem.spikes == "off" else self.problem.n_neurons

    def views(self, arrays: Arrays) -> Views:
        """What is made of the arrays that were allocated by `shapes`."""
        first = SLOTS * (LINE + _in_lines(self.problem.n_neurons))
        count = arrays["zeroed"][first : first + self._n_counted]
        replay = Start._make(arrays["replay", name] for name in Start._fields)
        return Views(count, replay, [self._slot(arrays, count, k) for k in range(SLOTS)])

    def _slot(self, arrays: Arrays, count: Array, number: int) -> Slot:
        problem = self.problem
        n, zeroed = problem.n_neurons, arrays["zeroed"]
        names = () if problem.device_arrays else problem.record
        times = problem.spikes == "times"
        flags = zeroed[number * LINE : number * LINE + N_FLAGS]
        first = SLOTS * LINE + number * _in_lines(n)
        parts = {name: arrays[number, name] for name in SpikeRoom._fields if name != "total"}
        start = Start._make(arrays[number, "start", name] for name in Start._fields)
        if not problem.ordered_spikes:
            count = arrays[number, "spike_count"]
        return Slot(
            current=arrays[number, "current"],
            samples={name: arrays[number, "samples", name] for name in names},
            spike_count=None if problem.spikes == "off" else count,
            flags=flags,
            spikes=SpikeRoom(total=flags[TOTAL : TOTAL + 1], **parts) if times else None,
            invalid=InvalidRoom(any=flags[ANY : ANY + 1], first=zeroed[first : first + n]),
            start=start if times else None,
        )


def _in_lines(size: int) -> int:
    """The size of a part with so many int32."""
    return -(-size // LINE) * LINE
