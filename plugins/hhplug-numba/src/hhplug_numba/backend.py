"""The Numba backend: groups of neurons that fit the cache, spread over the cores."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.machine import cpu_name
from hhplug.model import VARIABLES, folded
from hhplug.problem import Problem
from hhplug.stimulus import SeparableCurrent
from hhplug_numba import kernels
from hhplug_numba.kernels import PARAMETERS, STATE
from hhplug_numba.layout import Groups

Array = NDArray[Any]
Spikes = tuple[Array, Array, Array]  # neuron, step of the block, fraction

ROOM = 2**16  # spikes that a share notes before it hands them over
SHARES = 4  # of a block, for each thread: a core that others use too gets fewer


class NumbaBackend(Backend):
    def __init__(self, device: int | None = None):
        del device  # it has none to choose from
        self.device = cpu_name()
        self.threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]

    def prepare(self, problem: Problem, max_steps: int) -> Session:  # noqa: ARG002
        return NumbaSession(self, problem)


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001 (forked, it has none)
    return ThreadPoolExecutor(threads, thread_name_prefix="hhplug-numba")


class NumbaSession(Session):
    def __init__(self, backend: NumbaBackend, problem: Problem):
        self.problem, self._pool = problem, _pool(os.getpid(), backend.threads)
        self.dtype = np.dtype(problem.dtype)
        self._step = problem.start_step
        self._groups = Groups(problem.n_neurons, self.dtype, backend.threads)
        self._groups.put(STATE, problem.initial_state)
        self._groups.put(PARAMETERS, folded(problem.parameters))
        gain = self._groups.cut(_gains(problem)).swapaxes(0, 1)
        self._gain = np.ascontiguousarray(gain)
        self._chosen = self._groups.chosen(problem.record_neurons)
        self._n_shares = min(len(self._groups.at), SHARES * backend.threads)
        nowhere = Recorded({}, np.zeros(problem.n_neurons, np.int64), [])
        self.run(self._step, 0, nowhere)  # compiles

    def current(self, first: int, count: int) -> tuple[Array, Array]:
        """Waveform and array of these steps, one of them empty, in the run's precision."""
        current, none = self.problem.current, np.empty((0, 0), self.dtype)
        if isinstance(current, SeparableCurrent):
            return np.ascontiguousarray(current.waveform(first, count), self.dtype), none
        rows = current.chunk(first, count)
        rows = rows if rows.ndim == 2 else rows[:, np.newaxis]
        return none, np.ascontiguousarray(rows, self.dtype)

    def advance(self, n_steps: int) -> Block:
        block = NumbaBlock(self, self._step, n_steps)
        self._step += n_steps
        return block

    def run(self, first: int, count: int, out: Recorded) -> None:
        """Take every group through the steps first ≤ k < first + count."""
        current = self.current(first, count)
        sample = self.problem.sample_steps(first, count).start - first

        def run(share: int) -> list[Spikes]:
            return list(self._run_share(share, current, count, out, sample))

        shares = range(self._n_shares)
        for spikes in map(run, shares) if len(shares) == 1 else self._pool.map(run, shares):
            for neuron, step, fraction in spikes:
                out.add_spikes(neuron, step + first, fraction)

    def _run_share(
        self, share: int, current: tuple[Array, Array], count: int, out: Recorded, sample: int
    ) -> Iterator[Spikes]:
        """Every n-th group from the share-th on; samples begin with step `sample` of the block."""
        problem, groups, real = self.problem, self._groups, self.dtype.type
        none = np.empty((0, 0), self.dtype)
        V, m, h, n = (out.samples.get(name, none) for name in VARIABLES)
        counted = out.spike_count[: None if problem.spikes != "off" else 0]
        room = max(ROOM, groups.width) if problem.spikes == "times" else 0
        neuron, step = np.empty((2, room), np.int64)
        fraction = np.empty(room, self.dtype)
        advance: Any = kernels.advance
        group, done = share, 0
        while group < len(groups.at):
            group, done, found = advance(
                groups.elements, groups.at, groups.n, groups.width,
                group, self._n_shares, done, count, real(problem.dt),
                self._gain, *current,
                V, m, h, n, sample, problem.record_every, *self._chosen,
                real(problem.spike_threshold), counted, neuron, step, fraction,
            )  # fmt: skip
            if found:
                yield neuron[:found].copy(), step[:found].copy(), fraction[:found].copy()

    def state(self) -> Array:
        return self._groups.state()


class NumbaBlock(Block):
    """Steps first ≤ k < first + count; they are computed when they are read."""

    def __init__(self, session: NumbaSession, first: int, count: int):
        self._session, self._first, self._count = session, first, count

    def read(self, out: Recorded) -> None:
        self._session.run(self._first, self._count, out)


def _gains(problem: Problem) -> Array:
    """Of a separable current, over C_m: (J, n) or (J, 1)."""
    if not isinstance(problem.current, SeparableCurrent):
        return np.empty((0, 1))
    return problem.current.gain / np.asarray(problem.parameters.C_m)
