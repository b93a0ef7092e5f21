"""The arrays that the kernel of a session reads and writes, beside its inputs."""

from dataclasses import dataclass

import numpy as np

from hhplug.device.interface import Arrays, Shapes
from hhplug.device.launch import InvalidRoom, Slot, SpikeRoom, Start
from hhplug.problem import Problem

SLOTS = 2  # blocks that may be enqueued and not yet read

INT = np.dtype(np.int32)


@dataclass(frozen=True)
class WorkArrays:
    """The arrays of a session on a problem. They are allocated together, and have these keys:

    "state" and "spike_count", of the whole session;
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
        counted = 0 if problem.spikes == "off" else n
        state = (self.state_rows * n, real)
        at_start = {"state": state if times else (0, real), "spike_count": (n if times else 0, INT)}
        recorded = (-(-self.max_steps // problem.record_every) * problem.n_recorded, real)
        shapes: Shapes = {
            "state": state,
            "spike_count": (counted, INT),
            **{("replay", name): shape for name, shape in at_start.items()},
        }
        for slot in range(SLOTS):
            shapes |= {
                # A kernel reads the row of the next step while it computes a step, and a row
                # after the last is read too.
                (slot, "current"): ((self.max_steps + 1) * self.row_length, real),
                **{(slot, "start", name): shape for name, shape in at_start.items()},
                (slot, "total"): (1, INT),
                (slot, "neuron"): (self.room, INT),
                (slot, "step"): (self.room, INT),
                (slot, "fraction"): (self.room, real),
                (slot, "ordinal"): (self.room, INT),
                (slot, "any"): (1, INT),
                (slot, "first"): (n, INT),
            }
            if not problem.ordered_spikes:
                shapes[slot, "spike_count"] = (counted, INT)
            if not problem.device_arrays:
                shapes |= {(slot, "samples", name): recorded for name in problem.record}
        return shapes

    def replay(self, arrays: Arrays) -> Start:
        """Where a block is repeated whose spikes didn't fit."""
        return Start._make(arrays["replay", name] for name in Start._fields)

    def slots(self, arrays: Arrays) -> list[Slot]:
        """The slots, made of the arrays that were allocated by `shapes`."""
        return [self._slot(arrays, number) for number in range(SLOTS)]

    def _slot(self, arrays: Arrays, number: int) -> Slot:
        problem = self.problem
        names = () if problem.device_arrays else problem.record
        times = problem.spikes == "times"
        room = SpikeRoom._make(arrays[number, name] for name in SpikeRoom._fields)
        start = Start._make(arrays[number, "start", name] for name in Start._fields)
        count = arrays["spike_count" if problem.ordered_spikes else (number, "spike_count")]
        return Slot(
            current=arrays[number, "current"],
            samples={name: arrays[number, "samples", name] for name in names},
            spike_count=None if problem.spikes == "off" else count,
            spikes=room if times else None,
            invalid=InvalidRoom._make(arrays[number, name] for name in InvalidRoom._fields),
            start=start if times else None,
        )
