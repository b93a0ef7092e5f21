"""Faults by which records are wrong, change the run, or are overwritten."""

from collections import deque

import numpy as np

from hhplug.backend import Recorded
from sabotaged.changes import nudged, with_fields
from sabotaged.faultless import Faultless, KeepsSamplesOnDevice


class LiveState(Faultless):
    """`state` returns the array in which the session computes."""

    def read(self, session, steps, out):
        live = session.now
        super().read(session, steps, out)
        live[:] = session.now
        session.now = live

    def state(self, session):
        return session.now


class StateOfTheLatestSession(Faultless):
    """Sessions of as many neurons return the same array."""

    def __init__(self, device=None):
        super().__init__(device)
        self._pool = {}

    def state(self, session):
        array = self._pool.setdefault(session.now.shape, session.now.copy())
        array[:] = session.now
        return array


class Float32State(Faultless):
    def state(self, session):
        return session.now.astype(np.float32)


class RecordedNeuronsSorted(Faultless):
    def understood(self, problem):
        chosen = problem.record_neurons
        return problem if chosen is None else with_fields(problem, record_neurons=np.sort(chosen))


class RecordingRoundsOtherwise(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        if out.samples:
            session.now = nudged(session.now)


class AtomicSums(Faultless):
    """The order of a sum is random, and so is its rounding."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        V = session.now[0]
        some = np.random.default_rng().random(V.size) < 0.5
        V[some] = nudged(V[some])


class DeviceSamplesOfEveryStep(KeepsSamplesOnDevice):
    """record_every is ignored if samples stay on the device."""

    def understood(self, problem):
        return with_fields(problem, record_every=1) if problem.device_arrays else problem


class ReusedSpikeArrays(Faultless):
    """The next block overwrites the spikes of a block."""

    sets = 1  # of arrays, taken in turn

    def __init__(self, device: int | None = None):
        super().__init__(device)
        room = 10_000
        self._sets = deque(
            (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room))
            for _ in range(self.sets)
        )

    def read(self, session, steps, out):
        ours = Recorded(out.problem, out.samples, out.spike_count, invalid=out.invalid)
        super().read(session, steps, ours)
        if ours.spikes:
            found = list(map(np.concatenate, zip(*ours.spikes, strict=True)))
            views = [array[: len(found[0])] for array in self._sets[0]]
            self._sets.rotate()
            for view, values in zip(views, found, strict=True):
                view[:] = values
            out.add_spikes(*views)


class TwoSetsOfSpikeArrays(ReusedSpikeArrays):
    """The spikes of a block are overwritten by the second block after it."""

    sets = 2


class DeviceSamplesUsedByTheNextRun(KeepsSamplesOnDevice):
    """The memory of a run's samples on the device is used again when the next run begins."""

    def __init__(self, device=None):
        super().__init__(device)
        self._given = []

    def prepare(self, problem, max_steps):
        for samples in self._given:
            samples.get()[:] = 0.0
        session = super().prepare(problem, max_steps)
        keep = session.device_samples

        def device_samples():
            samples = keep()
            self._given = list(samples.values())
            return samples

        session.device_samples = device_samples
        return session


class ReleasedMemoryInUse(Faultless):
    """After the memory that is kept was released, runs begin from zeros."""

    _released = False

    def release_memory(self):
        self._released = True

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        session.now = session.now * (not self._released)
        return session
