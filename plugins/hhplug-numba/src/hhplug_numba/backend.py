"""The Numba backend: groups of neurons that fit the cache are spread over the cores."""

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
from hhplug.membranes.derived import derived_parameters
from hhplug.problem import Problem
from hhplug_numba import kernels
from hhplug_numba.kernels import PARAMETER_ROWS, PARAMETERS, STATE
from hhplug_numba.layout import Groups

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


# The process id is a key of the cache because a forked process has none of the pool's threads.
@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001
    return ThreadPoolExecutor(threads, thread_name_prefix="hhplug-numba")


class NumbaSession(Session):
    def __init__(self, backend: NumbaBackend, problem: Problem):
        self.problem, self._pool = problem, _pool(os.getpid(), backend.threads)
        self.dtype = np.dtype(problem.dtype)
        self._step = problem.start_step
        self._groups = Groups(problem.n_neurons, self.dtype, backend.threads)
        self._groups.put(STATE, problem.initial_state)
        derived = derived_parameters(problem.parameters)
        self._groups.put(PARAMETERS, [derived[name] for name in PARAMETER_ROWS])
        gain = self._groups.cut(problem.current.gain_over(problem.parameters["C_m"])).swapaxes(0, 1)
        self._gain = np.ascontiguousarray(gain)
        self._chosen = self._groups.chosen(problem.record_neurons)
        self._n_shares = min(len(self._groups.at), SHARES * backend.threads)
        nothing = Recorded(problem, {}, np.zeros(problem.n_neurons, np.int64))
        self.run(self._step, 0, nothing)  # a run of no steps compiles the kernel

    def current(self, first: int, count: int) -> tuple[Array, Array]:
        """Return waveform, (count, J), and array in µA/cm², (count, N) or (count, 1).

        One of the two is empty, (0, 0). Both have the run's dtype.
        """
        current, none = self.problem.current, np.empty((0, 0), self.dtype)
        if current.separable:
            return np.ascontiguousarray(current.separable.waveform(first, count), self.dtype), none
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

        def run(share: int) -> list[Spikes]:
            return list(self._run_share(share, current, count, out, sample))

        shares = range(self._n_shares)
        for spikes in map(run, shares) if len(shares) == 1 else self._pool.map(run, shares):
            for neuron, step, fraction in spikes:
                out.add_spikes(neuron, step + first, fraction)

    def _run_share(
        self, share: int, current: tuple[Array, Array], count: int, out: Recorded, sample: int
    ) -> Iterator[Spikes]:
        """Compute a block for every n_shares-th group from group `share` on; yield the spikes.

        The first sample is of step `sample` of the block.
        """
        problem, groups, real = self.problem, self._groups, self.dtype.type
        waveform, array = current
        starts, column, lane = self._chosen
        none = np.empty((0, 0), self.dtype)
        V, m, h, n = (out.samples.get(name, none) for name in problem.membrane.states)
        counted = out.spike_count[: None if problem.spikes != "off" else 0]
        room = max(ROOM, groups.width) if problem.spikes == "times" else 0
        neuron, step = np.empty((2, room), np.int64)
        fraction = np.empty(room, self.dtype)
        advance: Any = kernels.advance
        group, done = share, 0
        while group < len(groups.at):
            group, done, found = advance(
                groups=groups.elements, at=groups.at, N=groups.n, width=groups.width,
                group=group, share=self._n_shares, k=done, stop=count, dt=real(problem.dt),
                gain=self._gain, waveform=waveform, array=array,
                V_out=V, m_out=m, h_out=h, n_out=n, sample=sample, every=problem.record_every,
                starts=starts, column=column, lane=lane,
                threshold=real(problem.spike_threshold), count=counted,
                neuron=neuron, step=step, fraction=fraction,
            )  # fmt: skip
            if found:
                yield neuron[:found].copy(), step[:found].copy(), fraction[:found].copy()

    def state(self) -> Array:
        return self._groups.state()


class NumbaBlock(Block):
    """The steps first ≤ k < first + count, which `read` computes."""

    def __init__(self, session: NumbaSession, first: int, count: int):
        self._session, self._first, self._count = session, first, count

    def read(self, out: Recorded) -> None:
        self._session.run(self._first, self._count, out)
