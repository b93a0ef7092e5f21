"""Faults that show when sessions, threads or processes run side by side."""

import os
import signal
from threading import Barrier, BrokenBarrierError, get_ident

from sabotaged.changes import with_fields
from sabotaged.faultless import Faultless


class DtOfTheLatestSession(Faultless):
    def prepare(self, problem, max_steps):
        self._latest = problem.dt
        return super().prepare(problem, max_steps)

    def read(self, session, steps, out):
        session.problem = with_fields(session.problem, dt=self._latest)
        super().read(session, steps, out)


class ThresholdOfTheLatestSession(Faultless):
    def prepare(self, problem, max_steps):
        self._latest = problem.spike_threshold
        return super().prepare(problem, max_steps)

    def read(self, session, steps, out):
        session.problem = with_fields(session.problem, spike_threshold=self._latest)
        super().read(session, steps, out)


class ClosingASessionEndsAllOthers(Faultless):
    _open = True

    def prepare(self, problem, max_steps):
        self._open = True
        return super().prepare(problem, max_steps)

    def close(self, session):
        super().close(session)
        self._open = False

    def read(self, session, steps, out):
        if self._open:
            super().read(session, steps, out)


class RoomForEightSessions(Faultless):
    """The ninth session that is open computes in the state of the first."""

    def __init__(self, device=None):
        super().__init__(device)
        self._open = []

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        self._open.append(session)
        return session

    def close(self, session):
        super().close(session)
        if session in self._open:
            self._open.remove(session)

    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session in self._open[8:]:
            self._open[0].now = session.now


class ScratchSharedByThreads(Faultless):
    """The state of a block is kept in the backend while the block is computed."""

    def __init__(self, device=None):
        super().__init__(device)
        self._meeting = Barrier(2, timeout=0.05)

    def read(self, session, steps, out):
        self._scratch = session.now
        try:
            self._meeting.wait()  # until the other thread has written too
        except BrokenBarrierError:
            self._meeting.reset()
        mine = self._scratch
        if mine.shape == session.now.shape or self._meeting.broken:
            session.now = mine
        else:
            session.now = session.now * 0.0
        super().read(session, steps, out)


class BuffersOfOneSizeShared(Faultless):
    """Sessions with as many neurons have one state, as from a pool that gives a buffer twice."""

    def __init__(self, device=None):
        super().__init__(device)
        self._states = {}

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        self._states[problem.n_neurons] = session.now
        return session

    def read(self, session, steps, out):
        n = session.problem.n_neurons
        session.now = self._states[n]
        super().read(session, steps, out)
        self._states[n] = session.now


class SessionBoundToItsThread(Faultless):
    """In another thread than that of `prepare` it computes from a state of zeros."""

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        session.kept = get_ident()
        return session

    def read(self, session, steps, out):
        if session.kept != get_ident():
            session.now = session.now * 0.0
        super().read(session, steps, out)


class OnlyTheLatestBackendWorks(Faultless):
    _latest = None

    def __init__(self, device=None):
        super().__init__(device)
        OnlyTheLatestBackendWorks._latest = self

    def read(self, session, steps, out):
        if self._latest is not self:
            session.now = session.now * 0.0
        super().read(session, steps, out)


class WrongInAFork(Faultless):
    """It declares that it runs in a forked process, and computes something else there."""

    def __init__(self, device=None):
        super().__init__(device)
        self._process = os.getpid()

    def state(self, session):
        return super().state(session) + (os.getpid() != self._process)


class BlockBoundToItsThread(Faultless):
    """A block that is read in another thread than that of `advance` computes from zeros."""

    def enqueue(self, session, steps):
        session.kept.append((steps, get_ident()))

    def read(self, session, steps, out):
        if (steps, get_ident()) not in session.kept:
            session.now = session.now * 0.0
        super().read(session, steps, out)


class OpenedInTheMainThreadAlone(Faultless):
    """Its factory sets a signal handler, which other threads may not."""

    def __init__(self, device=None):
        super().__init__(device)
        signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
