"""Backends with one fault each, for the kit to catch: the reference in all else.

The name of a class is its fault, and the class the factory of a backend.
"""

import copy
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from hhplug import BackendUnavailable, model, reference
from hhplug.backend import Block, Recorded
from hhplug.model import HHParameters
from hhplug.problem import Problem
from hhplug.reference import ReferenceBackend, ReferenceBlock, ReferenceSession
from hhplug_numpy.backend import NumpyBackend, NumpySession


class Faultless(ReferenceBackend):
    """The reference, in methods for a fault to override."""

    def prepare(self, problem: Problem, max_steps: int) -> "FaultySession":  # noqa: ARG002
        return FaultySession(self, self.understood(problem))

    def understood(self, problem: Problem) -> Problem:
        return problem

    def enqueue(self, session: "FaultySession", steps: range) -> None:
        pass

    def read(self, session: "FaultySession", steps: range, out: Recorded) -> None:
        ReferenceBlock(session, steps.start, len(steps)).read(out)

    def state(self, session: "FaultySession") -> Any:
        return session.current_state.copy()

    def close(self, session: "FaultySession") -> None:
        session.closed = True


class FaultySession(ReferenceSession):
    def __init__(self, backend: Faultless, problem: Problem):
        super().__init__(problem)
        self.backend = backend
        self.closed = False
        self.kept: list[Any] = []  # what a fault leaves from one block to the next

    def advance(self, n_steps: int) -> Block:
        steps = range(self._step, self._step + n_steps)
        self._step += n_steps
        self.backend.enqueue(self, steps)
        return FaultyBlock(self, steps)

    def state(self) -> Any:
        return self.backend.state(self)

    def device_samples(self) -> dict[str, Any]:
        names = self.problem.record
        return {name: OnDevice(np.concatenate([b[name] for b in self.kept])) for name in names}

    def close(self) -> None:
        self.backend.close(self)


class FaultyBlock(Block):
    def __init__(self, session: FaultySession, steps: range):
        self._session, self._steps = session, steps

    def read(self, out: Recorded) -> None:
        self._session.backend.read(self._session, self._steps, out)


class OnDevice:
    """An array that is not NumPy's."""

    def __init__(self, array: Any):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def get(self) -> Any:
        return self._array


def but(problem: Problem, **fields: Any) -> Problem:
    """The same problem, apart from these fields, which nobody checks."""
    other = copy.copy(problem)
    for name, value in fields.items():
        object.__setattr__(other, name, value)
    return other


def with_parameters(problem: Problem, change: Callable[[Any], Any]) -> Problem:
    """The same problem, each parameter changed."""
    changed = {name: change(value) for name, value in vars(problem.parameters).items()}
    return but(problem, parameters=HHParameters(**changed))


def with_rows(problem: Problem, rows: Callable[[int, int], Any]) -> Problem:
    """The same problem, the current of steps first ≤ k < first + count given by a function."""
    return but(problem, current=SimpleNamespace(rows=rows))


def nudged(values: Any) -> Any:
    """By the least that a float can change."""
    return np.nextafter(values, np.inf)


class NamelessDevice(Faultless):
    def __init__(self, device: int | None = None):
        super().__init__(device)
        self.device = " "


def probe_that_answers() -> str:
    return "a fine device"


def probe_that_crashes() -> None:
    os._exit(3)


def probe_that_offers_no_fix() -> None:
    raise BackendUnavailable("busy", "the device is busy")


class UnguardedSingularity(Faultless):
    """0/0 at −40 and −55 mV."""

    def read(self, session, steps, out):
        def naive(x):
            return x / (1.0 - np.exp(-x))

        with patch.object(model, "_x_over_one_minus_exp_minus", naive):
            super().read(session, steps, out)


class RateOffByOnePercent(Faultless):
    def read(self, session, steps, out):
        right = model.beta_h
        with patch.object(model, "beta_h", lambda V: 1.01 * right(V)):
            super().read(session, steps, out)


class OneRateInFloat32(Faultless):
    def read(self, session, steps, out):
        right = model.beta_m
        with patch.object(model, "beta_m", lambda V: right(V).astype(np.float32)):
            super().read(session, steps, out)


class Float32PosingAsFloat64(NumpyBackend):
    def prepare(self, problem, max_steps):  # noqa: ARG002
        return Float32Session(problem.with_dtype("float32"))


class Float32Session(NumpySession):
    def state(self):
        return super().state().astype(np.float64)


class SecondOrder(Faultless):
    """The midpoint method."""

    def read(self, session, steps, out):
        def midpoint(state, I_ext, dt, p):
            half = state + 0.5 * dt * reference.derivative(state, I_ext, p)
            return state + dt * reference.derivative(half, I_ext, p)

        with patch.object(reference, "rk4_step", midpoint):
            super().read(session, steps, out)


class CapacitanceOffByAMillionth(Faultless):
    def understood(self, problem):
        parameters = vars(problem.parameters)
        C_m = parameters["C_m"] * (1.0 + 1e-6)
        return but(problem, parameters=HHParameters(**(parameters | {"C_m": C_m})))


class CurrentOffAfter10ms(Faultless):
    """By a millionth, at a dt of 0.01 ms."""

    after = 1000  # steps

    def understood(self, problem):
        rows, late = problem.current.rows, problem.start_step + self.after

        def drifting(first, count):
            for k, row in enumerate(rows(first, count), first):
                yield row * (1.0 + 1e-6) if k >= late else row

        return with_rows(problem, drifting)


class CurrentOffAfter60ms(CurrentOffAfter10ms):
    after = 6000


class DriftingGate(Faultless):
    """h rises, and does not stop at 1."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        session.current_state[2] += 0.02 * len(steps)


class StaleLastNeuron(Faultless):
    """It is not stepped, in a population that is not a multiple of 32."""

    def read(self, session, steps, out):
        before = session.current_state[:, -1].copy()
        super().read(session, steps, out)
        if session.problem.n_neurons % 32:
            session.current_state[:, -1] = before


class RestOfAVectorRoundsOtherwise(Faultless):
    """The neurons behind the last multiple of 16."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        n = session.problem.n_neurons
        rest = session.current_state[:, n - n % 16 :]
        rest[:] = nudged(rest)


class ParametersOfNeuron0(Faultless):
    def understood(self, problem):
        return with_parameters(problem, lambda value: float(np.ravel(value)[0]))


class UniformParametersRoundOtherwise(Faultless):
    def understood(self, problem):
        return with_parameters(problem, lambda value: value if np.ndim(value) else nudged(value))


class NaNThatStays(Faultless):
    """In an array that a run leaves to the next, which clears it by a multiplication."""

    def __init__(self, device: int | None = None):
        super().__init__(device)
        self._room = np.zeros(1)

    def read(self, session, steps, out):
        session.current_state[0] += 0.0 * self._room
        super().read(session, steps, out)
        self._room = session.current_state[0].max(keepdims=True)


class NaNThatSpreads(Faultless):
    """To the next neuron."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        session.current_state[0] += 0.0 * np.roll(session.current_state[0], 1)


class NaNThatIsHidden(Faultless):
    def state(self, session):
        return np.nan_to_num(session.current_state)


class ClockOfTheBlock(Faultless):
    """Each block has the current of the run's first steps."""

    def understood(self, problem):
        rows, start = problem.current.rows, problem.start_step
        return with_rows(problem, lambda _, count: rows(start, count))


class Float32Clock(Faultless):
    """t += dt in float32, from the run's start; array currents have no clock."""

    def understood(self, problem):
        dt, start = problem.dt, problem.start_step

        def drifting(first, count):
            t = np.float32(start * dt)
            for k in range(start, first + count):
                if k >= first:
                    step = np.array([t / dt])
                    waves = [w for term in problem.stimulus.terms for w in term.waveforms(step, dt)]
                    yield sum(map(np.multiply, problem.current.gain, waves), np.zeros(1))
                t += np.float32(dt)

        return problem if isinstance(problem.stimulus, np.ndarray) else with_rows(problem, drifting)


class StepCountOf32Bits(Faultless):
    """It becomes negative after 2³¹ steps; rows of an array are counted from the run's start."""

    def understood(self, problem):
        rows = problem.current.rows
        if isinstance(problem.stimulus, np.ndarray):
            return problem
        return with_rows(problem, lambda first, n: rows(int(np.int64(first).astype(np.int32)), n))


class RowsOfABlockReversed(Faultless):
    """Of an array current."""

    def understood(self, problem):
        rows = problem.current.rows
        if not isinstance(problem.stimulus, np.ndarray):
            return problem
        return with_rows(problem, lambda first, count: list(rows(first, count))[::-1])


class RowsOfTheNextNeuron(Faultless):
    """The columns of an array current, off by one."""

    def understood(self, problem):
        rows = problem.current.rows
        if np.ndim(problem.stimulus) != 2:
            return problem
        return with_rows(problem, lambda *span: (np.roll(row, 1) for row in rows(*span)))


class RowsUsedAsRoom(Faultless):
    """The user's array of currents is written over once it has been read."""

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


class LiveState(Faultless):
    """`state` gives the array that the session computes in."""

    def read(self, session, steps, out):
        live = session.current_state
        super().read(session, steps, out)
        live[:] = session.current_state
        session.current_state = live

    def state(self, session):
        return session.current_state


class Float32State(Faultless):
    def state(self, session):
        return session.current_state.astype(np.float32)


class StateOneStepTooFar(Faultless):
    def state(self, session):
        problem = session.problem
        (I_ext,) = problem.current.rows(problem.end_step - 1, 1)
        return reference.rk4_step(session.current_state, I_ext, problem.dt, problem.parameters)


class StateMovedToRestAndBack(Faultless):
    """V − rest is what is computed; adding 65 mV and taking them away rounds."""

    def understood(self, problem):
        V, *gates = problem.initial_state
        return but(problem, initial_state=np.stack([(V + 65.0) - 65.0, *gates]))


class SamplesCountedFromTheBlock(Faultless):
    """record_every is taken from each block's first step."""

    def read(self, session, steps, out):
        problem = session.problem
        shape = len(steps), problem.n_recorded
        every_step = {name: np.empty(shape) for name in out.samples}
        session.problem = but(problem, record_every=1)
        super().read(session, steps, Recorded(every_step, out.spike_count, out.spikes))
        session.problem = problem
        for name, samples in out.samples.items():
            samples[:] = every_step[name][:: problem.record_every][: len(samples)]


class RecordedNeuronsSorted(Faultless):
    def understood(self, problem):
        chosen = problem.record_neurons
        return problem if chosen is None else but(problem, record_neurons=np.sort(chosen))


class RecordingRoundsOtherwise(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        if out.samples:
            session.current_state = nudged(session.current_state)


class AtomicSums(Faultless):
    """The order of a sum, and so its rounding, is chance."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        V = session.current_state[0]
        some = np.random.default_rng().random(V.size) < 0.5
        V[some] = nudged(V[some])


class OneBufferForTwoBlocks(Faultless):
    """What the block before recorded, and nobody has read, is written over."""

    def enqueue(self, session, steps):
        problem = session.problem
        shape = len(problem.sample_steps(steps.start, len(steps))), problem.n_recorded
        samples = {name: np.empty(shape) for name in problem.record}
        buffer = Recorded(samples, np.zeros(problem.n_neurons, np.int64), [])
        super().read(session, steps, buffer)
        session.kept = [buffer]

    def read(self, session, steps, out):  # noqa: ARG002
        (buffer,) = session.kept
        for name, samples in out.samples.items():
            rows = min(len(samples), len(buffer.samples[name]))
            samples[:rows] = buffer.samples[name][:rows]
        out.spike_count += buffer.spike_count
        out.spikes.extend(buffer.spikes)


class KeepsSamplesOnDevice(Faultless):
    """Without a fault: what it needs for the capability device_arrays."""

    def read(self, session, steps, out):
        problem = session.problem
        if problem.device_arrays:
            shape = len(problem.sample_steps(steps.start, len(steps))), problem.n_recorded
            samples = {name: np.empty(shape) for name in problem.record}
            session.kept.append(samples)
            out = Recorded(samples, out.spike_count, out.spikes)
        super().read(session, steps, out)


class DeviceSamplesOfEveryStep(KeepsSamplesOnDevice):
    """record_every is forgotten where samples stay on the device."""

    def understood(self, problem):
        return but(problem, record_every=1) if problem.device_arrays else problem


class ReusedSpikeArrays(Faultless):
    """A block's spikes are written over by the next block's."""

    def __init__(self, device: int | None = None):
        super().__init__(device)
        room = 10_000
        self._arrays = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)

    def read(self, session, steps, out):
        ours = Recorded(out.samples, out.spike_count, [])
        super().read(session, steps, ours)
        if ours.spikes:
            found = list(map(np.concatenate, zip(*ours.spikes, strict=True)))
            views = [array[: len(found[0])] for array in self._arrays]
            for view, values in zip(views, found, strict=True):
                view[:] = values
            out.add_spikes(*views)


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


class ParametersOfTheLatestSession(Faultless):
    def prepare(self, problem, max_steps):
        self._latest = problem.parameters
        return super().prepare(problem, max_steps)

    def read(self, session, steps, out):
        n = session.problem.n_neurons
        problem = but(session.problem, parameters=self._latest)
        session.problem = with_parameters(problem, lambda x: x[:n] if np.ndim(x) else x)
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
