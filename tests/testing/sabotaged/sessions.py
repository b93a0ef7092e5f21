"""Faults of runs that are cut, continued or interleaved, and of `close`."""

import os
from threading import Event, Thread
from time import sleep
from typing import Any

import numpy as np

from hhplug import reference
from hhplug.backend import Recorded
from hhplug.state import State
from sabotaged.changes import with_fields, with_parameters, with_rows
from sabotaged.faultless import Faultless
from sabotaged.spikes import SpikesChanged


class ClockOfTheBlock(Faultless):
    """Each block uses the current of the run's first steps."""

    def understood(self, problem):
        rows, start = problem.current.rows, problem.start_step
        return with_rows(problem, lambda _, count: rows(start, count))


class RowsUsedAsRoom(Faultless):
    """The user's array of currents is overwritten after it has been read."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        array = session.problem.stimulus
        if isinstance(array, np.ndarray) and array.flags.writeable:
            array[:] = 0


class RowsCountedFromTimeZero(Faultless):
    """An array current's first row is taken for step 0, not for the run's first."""

    def understood(self, problem):
        rows, start, last = problem.current.rows, problem.start_step, problem.end_step - 1

        def late(first, count):
            for k in range(first, first + count):
                yield from rows(min(k + start, last), 1)

        return with_rows(problem, late) if isinstance(problem.stimulus, np.ndarray) else problem


class StateOneStepTooFar(Faultless):
    def state(self, session):
        problem = session.problem
        (I_ext,) = problem.current.rows(problem.end_step - 1, 1)
        equations, parameters = problem.membrane.equations, dict(problem.parameters)
        after, _ = reference.rk4_step(equations, session.now, I_ext, problem.dt, parameters)
        return after


class StateMovedToRestAndBack(Faultless):
    """V is stored relative to rest; adding and subtracting 65 mV rounds."""

    def understood(self, problem):
        V, *gates = problem.initial_state
        return with_fields(problem, initial=State(np.stack([(V + 65.0) - 65.0, *gates])))


class SamplesCountedFromTheBlock(Faultless):
    """record_every is taken from each block's first step."""

    def read(self, session, steps, out):
        problem = session.problem
        shape = len(steps), problem.n_recorded
        every_step = {name: np.empty(shape) for name in out.samples}
        session.problem = with_fields(problem, record_every=1)
        super().read(
            session,
            steps,
            Recorded(out.problem, every_step, out.spike_count, out.spikes, out.invalid),
        )
        session.problem = problem
        for name, samples in out.samples.items():
            samples[:] = every_step[name][:: problem.record_every][: len(samples)]


class OneBufferForTwoBlocks(Faultless):
    """The samples of the previous block are overwritten before they are read."""

    def enqueue(self, session, steps):
        problem = session.problem
        shape = len(problem.sample_steps(steps.start, len(steps))), problem.n_recorded
        samples = {name: np.empty(shape) for name in problem.record}
        buffer = Recorded(problem, samples, np.zeros(problem.n_neurons, np.int64))
        super().read(session, steps, buffer)
        session.kept = [buffer]

    def read(self, session, steps, out):  # noqa: ARG002
        (buffer,) = session.kept
        for name, samples in out.samples.items():
            rows = min(len(samples), len(buffer.samples[name]))
            samples[:rows] = buffer.samples[name][:rows]
        out.spike_count += buffer.spike_count
        out.spikes.extend(buffer.spikes)
        out.invalid.extend(buffer.invalid)


class ParametersOfTheLatestSession(Faultless):
    def prepare(self, problem, max_steps):
        self._latest = problem.parameters
        return super().prepare(problem, max_steps)

    def read(self, session, steps, out):
        n = session.problem.n_neurons
        problem = with_fields(session.problem, parameters=self._latest)
        session.problem = with_parameters(problem, lambda x: x[:n] if np.ndim(x) else x)
        super().read(session, steps, out)


class GridCountedInInt32(SpikesChanged):
    """A block has a cell for each neuron and step, whose number overflows an int32."""

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        session.kept = max_steps
        return session

    def reported(self, session, steps, spikes):
        neuron, step, fraction = spikes
        cell = neuron.astype(np.int32) * np.int32(session.kept) + (step - steps.start)
        neuron, late = np.divmod(cell.astype(np.int32), session.kept)
        return neuron, steps.start + late, fraction


class BlocksCountedIn8Bits(Faultless):
    """The run begins again in the 257th block."""

    def read(self, session, steps, out):
        session.kept.append(steps)
        if len(session.kept) % 257 == 0:
            session.now = session.problem.initial_state.copy()
        super().read(session, steps, out)


class SessionThatClosesOnce(Faultless):
    def close(self, session):
        if session.closed:
            raise RuntimeError("this session is closed")
        super().close(session)


class EverySessionKept(Faultless):
    def __init__(self, device: int | None = None):
        super().__init__(device)
        self._sessions: list[Any] = []

    def close(self, session):
        self._sessions.append(session)


class UnreadSessionsKept(EverySessionKept):
    """A session that is closed with a block unread is kept."""

    def enqueue(self, session, steps):  # noqa: ARG002
        session.kept.append("unread")

    def read(self, session, steps, out):
        session.kept.pop()
        super().read(session, steps, out)

    def close(self, session):
        if session.kept:
            super().close(session)


class EveryBlockKept(Faultless):
    def __init__(self, device: int | None = None):
        super().__init__(device)
        self._states: list[Any] = []

    def read(self, session, steps, out):
        super().read(session, steps, out)
        self._states.append(session.now)


class ThreadOfEverySessionKept(Faultless):
    def prepare(self, problem, max_steps):
        Thread(target=Event().wait, daemon=True).start()
        return super().prepare(problem, max_steps)


class EndsItsProcess(Faultless):
    """It ends its process, as a crash in native code does."""

    def read(self, session, steps, out):  # noqa: ARG002
        os._exit(3)


class HangsForASecond(Faultless):
    def read(self, session, steps, out):
        if not self._hung:
            sleep(1.0)
        self._hung = True
        super().read(session, steps, out)

    _hung = False
