"""Spikes lost, invented or misplaced, and steps that change where spikes are looked for."""

from typing import Any

import numpy as np

from hhplug.backend import Recorded
from sabotaged.changes import but, nudged
from sabotaged.faultless import Faultless, FaultySession


class SpikesChanged(Faultless):
    """Of a block with spike times, those that `reported` gives are told, and counted."""

    def read(self, session, steps, out):
        if session.problem.spikes != "times":
            super().read(session, steps, out)
            return
        found = Recorded(out.samples, np.zeros_like(out.spike_count), [])
        super().read(session, steps, found)
        spikes = tuple(map(np.concatenate, zip(*found.spikes, strict=True)))
        neuron, step, fraction = self.reported(session, steps, spikes)
        np.add.at(out.spike_count, neuron, 1)
        out.add_spikes(neuron, step, fraction)

    def reported(self, session: FaultySession, steps: range, spikes: Any) -> Any:
        raise NotImplementedError


class SpikeLostInABlocksLastStep(SpikesChanged):
    def reported(self, session, steps, spikes):  # noqa: ARG002
        inside = spikes[1] != steps[-1]
        return [array[inside] for array in spikes]


class SpikeOfABlocksLastStepTwice(SpikesChanged):
    """In the next block again."""

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
    """A block has room for 4096, and for one of each neuron at any rate, as `hhplug.device`."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        room = max(session.problem.n_neurons, 4096)
        return [array[:room] for array in spikes]


class SpikesBeyondALargeRoomLost(SpikesChanged):
    """A block has room for 65,536."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        return [array[: 2**16] for array in spikes]


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
    """V[k] ≤ θ < V[k+1], in place of V[k] < θ ≤ V[k+1]."""

    def understood(self, problem):
        return but(problem, spike_threshold=nudged(problem.spike_threshold))


class SpikesOneStepLate(SpikesChanged):
    """Told of the step that ends with the crossing; the run's own last step keeps its place."""

    def reported(self, session, steps, spikes):  # noqa: ARG002
        neuron, step, fraction = spikes
        return neuron, np.minimum(step + 1, session.problem.end_step - 1), fraction


class ThresholdIgnored(Faultless):
    def understood(self, problem):
        return but(problem, spike_threshold=0.0)


class CountsDoubledWithoutTimes(Faultless):
    def read(self, session, steps, out):
        before = out.spike_count.copy()
        super().read(session, steps, out)
        if session.problem.spikes == "counts":
            out.spike_count += out.spike_count - before


class SpikesRoundOtherwise(Faultless):
    """The steps of the kernel with spikes round otherwise than those of the one without."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.spikes != "off":
            session.current_state = nudged(session.current_state)
