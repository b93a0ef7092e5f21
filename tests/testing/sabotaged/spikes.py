"""Faults that lose, invent or misplace spikes, or by which detection changes the steps."""

from typing import Any
from unittest.mock import patch

import numpy as np

from hhplug.backend import Recorded
from sabotaged.changes import nudged, with_fields
from sabotaged.faultless import Faultless, FaultySession


class SpikesChanged(Faultless):
    """In a block with spike times, the spikes that `reported` returns are reported and counted."""

    def read(self, session, steps, out):
        if session.problem.spikes != "times":
            super().read(session, steps, out)
            return
        nothing = np.zeros_like(out.spike_count)
        found = Recorded(out.problem, out.samples, nothing, invalid=out.invalid)
        super().read(session, steps, found)
        none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        spikes = tuple(map(np.concatenate, zip(none, *found.spikes, strict=True)))
        neuron, step, fraction = self.reported(session, steps, spikes)
        np.add.at(out.spike_count, neuron, 1)
        out.add_spikes(neuron, step, fraction)

    def reported(self, session: FaultySession, steps: range, spikes: Any) -> Any:
        raise NotImplementedError


class SpikeAtTheThresholdItselfLost(SpikesChanged):
    """A spike needs V beyond the threshold, and the next step begins at it."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        beyond = spikes[2] < 1.0
        return [array[beyond] for array in spikes]


class SpikeLostInABlocksLastStep(SpikesChanged):
    def reported(self, session, steps, spikes):  # noqa: ARG002
        inside = spikes[1] != steps[-1]
        return [array[inside] for array in spikes]


class SpikeOfABlocksLastStepTwice(SpikesChanged):
    """A spike in a block's last step is reported again in the next block."""

    def reported(self, session, steps, spikes):
        before = session.kept or [array[:0] for array in spikes]
        last = spikes[1] == steps[-1]
        session.kept = [array[last] for array in spikes]
        return [np.concatenate(both) for both in zip(before, spikes, strict=True)]


class OneSpikePerNeuronAndBlock(SpikesChanged):
    def reported(self, session, steps, spikes):  # noqa: ARG002
        _, first = np.unique(spikes[0], return_index=True)
        return [array[first] for array in spikes]


class SpikesBeyondTheRoomLost(SpikesChanged):
    """A block keeps 4096 spikes, or one per neuron if that is more, as in `hhplug.device`."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        room = max(session.problem.n_neurons, 4096)
        return [array[:room] for array in spikes]


class SpikesBeyondALargeRoomLost(SpikesChanged):
    """A block keeps 65,536 spikes."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        return [array[: 2**16] for array in spikes]


class SpikesOnAStraightLine(SpikesChanged):
    """V rises along a straight line within a step."""

    def read(self, session, steps, out):
        with patch("hhplug.backend.crossing", lambda rise, change, *_: rise / change):
            super().read(session, steps, out)

    def reported(self, session, steps, spikes):  # noqa: ARG002
        return spikes


class SpikesGivenWithCounts(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.spikes == "counts":
            out.add_spikes(np.zeros(1, int), np.full(1, steps[0]), np.zeros(1))


class CountsThoughOff(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.spikes == "off":
            out.spike_count += 1


class SpikeFromTheThresholdItself(Faultless):
    """A spike is V[k] ≤ θ < V[k+1], instead of V[k] < θ ≤ V[k+1]."""

    def understood(self, problem):
        return with_fields(problem, spike_threshold=nudged(problem.spike_threshold))


class SpikesOneStepLate(SpikesChanged):
    """Spikes are reported one step late, except those in the run's last step."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        neuron, step, fraction = spikes
        return neuron, np.minimum(step + 1, session.problem.end_step - 1), fraction


class ThresholdIgnored(Faultless):
    def understood(self, problem):
        return with_fields(problem, spike_threshold=0.0)


class CountsDoubledWithoutTimes(Faultless):
    def read(self, session, steps, out):
        before = out.spike_count.copy()
        super().read(session, steps, out)
        if session.problem.spikes == "counts":
            out.spike_count += out.spike_count - before


class SpikesRoundOtherwise(Faultless):
    """The steps round differently if spikes are detected."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.spikes != "off":
            session.now = nudged(session.now)


class AtMost32SpikesANeuronAndBlock(SpikesChanged):
    most = 32

    def reported(self, session, steps, spikes):  # noqa: ARG002
        neuron, step, _ = spikes
        order = np.lexsort([step, neuron])
        ordered = [array[order] for array in spikes]
        first = np.searchsorted(ordered[0], ordered[0])
        kept = np.arange(len(neuron)) - first < self.most
        return [array[kept] for array in ordered]


class OneCountANeuronAndBlock(Faultless):
    """Where spikes are only counted, those of a neuron in one block count once."""

    most = 1

    def read(self, session, steps, out):
        before = out.spike_count.copy()
        super().read(session, steps, out)
        if session.problem.spikes == "counts":
            out.spike_count[:] = before + self.counted(out.spike_count - before)

    def counted(self, count):
        return np.minimum(count, 1)


class CountsOf8Bits(OneCountANeuronAndBlock):
    """Where spikes are only counted, each block counts in 8 bits."""

    def counted(self, count):
        return count % 256
