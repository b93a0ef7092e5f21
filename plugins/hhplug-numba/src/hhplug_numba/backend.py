"""The Numba backend: groups of neurons that fit the cache are spread over the cores."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.machine import cpu_name
from hhplug.problem import Problem
from hhplug.state import State
from hhplug.validity import VALID
from hhplug_numba.kernels import kernel
from hhplug_numba.layout import FIRST_STATE, Groups
from hhplug_numba.noise import X, noise_arrays, process_of

Array = NDArray[Any]
Spikes = tuple[Array, Array, Array]  # neuron, step of the block, fraction of that step

ROOM = 2**16  # spikes that the kernel can store before it must return
# Each thread has several shares of the groups, so that a core that is also used by other programs
# computes fewer of them.
SHARES = 4


class NumbaBackend(Backend):
    def __init__(self, device: int | None = None):
        del device  # the CPU is the only device
        self.device = cpu_name()
        self.threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]

    def prepare(self, problem: Problem, max_steps: int) -> Session:  # noqa: ARG002
        return NumbaSession(self, problem)


# All sessions of a process share the threads, however many Simulators it has. The process id is a
# key of the cache because a forked process has none of the threads.
@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001
    return ThreadPoolExecutor(threads, thread_name_prefix="hhplug-numba")


class NumbaSession(Session):
    def __init__(self, backend: NumbaBackend, problem: Problem):
        self.problem, self._pool = problem, _pool(os.getpid(), backend.threads)
        self.dtype = np.dtype(problem.dtype)
        self._step = problem.start_step
        self._kernel = kernel(problem.membrane, self.dtype.name, problem.method)
        program, rows = self._kernel.program, self._kernel.source.rows
        self._groups = groups = Groups(
            problem.n_neurons, self._kernel.source.n_rows, self.dtype, backend.threads
        )
        for name, values in program.row_values(problem.parameters, problem.dt).items():
            groups.put(rows[name], values)
        for name, values in zip(program.states, problem.initial_state, strict=True):
            groups.put(rows[name], values)
        self._scalars = np.array(list(program.scalar_values(problem.dt).values()), self.dtype)
        gain = groups.cut(problem.current.gain_over(problem.parameters["C_m"])).swapaxes(0, 1)
        self._gain = np.ascontiguousarray(gain)
        noise, C_m = problem.current.noise, problem.parameters["C_m"]
        self._process = process_of(noise, C_m, groups) if noise else None
        self._noise = noise_arrays(noise, self._process, groups)
        real = self.dtype.type
        self._per_step = real(program.per_step(problem.dt))
        self._invalid = np.full(problem.n_neurons, VALID)  # first invalid step of each neuron
        self._chosen = groups.chosen(problem.record_neurons)
        self._n_shares = min(len(groups), SHARES * backend.threads)
        nothing = Recorded(problem, {}, np.zeros(problem.n_neurons, np.int64))
        self.run(self._step, 0, nothing)  # a run of no steps compiles the kernel

    def current(self, first: int, count: int) -> tuple[Array, Array]:
        """Return waveform, (count, J), and array in µA/cm², (count, N) or (count, 1).

        One of the two is empty, (0, 0). Both have the run's dtype.
        """
        current, none = self.problem.current, np.empty((0, 0), self.dtype)
        separable = current.noise.separable if current.noise else current.separable
        if separable:
            return np.ascontiguousarray(separable.waveform(first, count), self.dtype), none
        assert current.array
        rows = current.array.chunk(first, count)
        rows = rows if rows.ndim == 2 else rows[:, np.newaxis]
        return none, np.ascontiguousarray(rows, self.dtype)

    def advance(self, n_steps: int) -> Block:
        block = NumbaBlock(self, self._step, n_steps)
        self._step += n_steps
        return block

    def run(self, first: int, count: int, out: Recorded) -> None:
        """Compute the steps first ≤ k < first + count of every group, and fill out."""
        current = self.current(first, count)
        sample = self.problem.sample_steps(first, count).start - first

        def run(share: int) -> tuple[list[Spikes], bool]:
            return self._run_share(share, current, range(first, first + count), out, sample)

        shares = range(self._n_shares)
        found = list(map(run, shares) if len(shares) == 1 else self._pool.map(run, shares))
        for neuron, step, fraction in (spikes for trains, _ in found for spikes in trains):
            out.add_spikes(neuron, step + first, fraction)
        if any(newly_invalid for _, newly_invalid in found):
            neuron = np.flatnonzero(self._invalid != VALID)
            out.add_invalid(neuron, self._invalid[neuron])

    def _run_share(
        self, share: int, current: tuple[Array, Array], steps: range, out: Recorded, sample: int
    ) -> tuple[list[Spikes], bool]:
        """Compute a block of steps for every n_shares-th group from group `share` on.

        The first sample is of step `sample` of the block. Returns the spikes, and whether a neuron
        became invalid.
        """
        problem, groups, real = self.problem, self._groups, self.dtype.type
        waveform, array = current
        starts, column, lane = self._chosen
        noise = self._noise._replace(
            begins=self._noise.begins and steps.start == problem.start_step
        )
        none = np.empty((0, 0), self.dtype)
        outs = tuple(out.samples.get(name, none) for name in problem.membrane.states)
        counted = out.spike_count[: None if problem.spikes != "off" else 0]
        room = max(ROOM, groups.width) if problem.spikes == "times" else 0
        neuron, step = np.empty((2, room), np.int64)
        fraction = np.empty(room, self.dtype)
        group, done, trains, newly_invalid = share, 0, [], False
        while group < len(groups):
            group, done, found, one_new = self._kernel.advance(
                groups.elements, self._scalars, groups.n, groups.width,
                group, self._n_shares, done, len(steps),
                self._gain, waveform, array, outs, sample, problem.record_every,
                starts, column, lane,
                real(problem.spike_threshold), self._per_step, counted, neuron, step, fraction,
                self._invalid, steps.start, noise,
            )  # fmt: skip
            newly_invalid |= one_new
            if found:
                trains.append((neuron[:found].copy(), step[:found].copy(), fraction[:found].copy()))
        return trains, newly_invalid

    def state(self) -> State:
        n_states = len(self.problem.membrane.states)
        variables = self._groups.get(slice(FIRST_STATE, FIRST_STATE + n_states))
        noise = self.problem.current.noise
        if not (noise and self._process):
            return State(variables)
        return State(variables, noise.carry(self._process.get(slice(X, X + 1))[0]))


class NumbaBlock(Block):
    """The steps first ≤ k < first + count, which `read` computes."""

    def __init__(self, session: NumbaSession, first: int, count: int):
        self._session, self._first, self._count = session, first, count

    def read(self, out: Recorded) -> None:
        self._session.run(self._first, self._count, out)
