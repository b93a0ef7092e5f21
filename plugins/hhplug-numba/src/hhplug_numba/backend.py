"""The Numba backend: groups of neurons that fit the cache, spread over the cores."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from hhplug_numba.kernels import LANES, PARAMETERS, ROWS, STRIDE, WIDTH

Array = NDArray[Any]
Crossings = tuple[Array, Array, Array]  # neuron, step of the block, fraction

SPREAD_FROM = 64  # neurons, below which a second thread costs more than it brings
ROOM = 4096  # spikes that a group notes before it hands them over
CACHE_LINE = 64  # bytes
SHARES = 4  # of a block, for each thread: a core that others use too gets fewer


class NumbaBackend(Backend):
    def __init__(self, device: int | None = None):
        del device  # it has none to choose from
        self.device = cpu_name()
        self.threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="hhplug-numba")

    def prepare(self, problem: Problem, max_steps: int) -> Session:  # noqa: ARG002
        return NumbaSession(self, problem)


@dataclass(frozen=True)
class Group:
    """Neurons first ≤ i < last, padded with copies of the last."""

    first: int
    last: int
    g: Array  # as `kernels` has it
    gain: Array  # (J, width): of a separable current, over C_m
    column: NDArray[np.int64]  # of the recording, and the neuron in it, counted from first; …
    lane: NDArray[np.int64]  # … both empty where all neurons are recorded


class NumbaSession(Session):
    def __init__(self, backend: NumbaBackend, problem: Problem):
        self.problem, self._pool, self._threads = problem, backend.pool, backend.threads
        self.dtype = np.dtype(problem.dtype)
        self._step = problem.start_step
        self._groups = list(self._grouped())
        nowhere = Recorded({}, np.zeros(problem.n_neurons, np.int64), [])
        self._run_groups(self._groups[:1], self.current(self._step, 0), 0, nowhere)  # compiles

    def _grouped(self) -> Iterator[Group]:
        problem, n = self.problem, self.problem.n_neurons
        most = WIDTH[self.dtype.name]
        n_groups = -(-n // most)
        if n >= SPREAD_FROM * self._threads:
            n_groups = -(-n_groups // self._threads) * self._threads  # as many for each
        width = -(-n // (n_groups * LANES)) * LANES
        n_groups = -(-n // width)
        neuron = np.minimum(np.arange(n_groups * width), n - 1).reshape(n_groups, width)
        gain = _per_neuron(_gains(problem), neuron, self.dtype)
        places = _placed(problem.initial_state, folded(problem.parameters), neuron, self.dtype)
        for group, g in enumerate(places):
            first, last = group * width, min((group + 1) * width, n)
            column = lane = np.empty(0, np.int64)
            if problem.record_neurons is not None:
                chosen = problem.record_neurons
                column = np.flatnonzero((first <= chosen) & (chosen < last))
                lane = chosen[column] - first
            yield Group(first, last, g, np.ascontiguousarray(gain[:, group]), column, lane)

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
        n_shares = SHARES * self._threads
        shares = [self._groups[share::n_shares] for share in range(n_shares)]
        if len(self._groups) == 1:
            done = [self._run_groups(self._groups, current, count, out, sample)]
        else:
            done = self._pool.map(
                lambda groups: self._run_groups(groups, current, count, out, sample), shares
            )
        for crossings in done:
            for neuron, step, fraction in crossings:
                out.add_spikes(neuron, step + np.int64(first), fraction)

    def _run_groups(
        self,
        groups: Sequence[Group],
        current: tuple[Array, Array],
        count: int,
        out: Recorded,
        sample: int = 0,
    ) -> list[Crossings]:
        """A share of a block, which is sampled from its step `sample` on."""
        return [
            crossings
            for group in groups
            for crossings in self._run_group(group, current, count, out, sample)
        ]

    def _run_group(
        self, group: Group, current: tuple[Array, Array], count: int, out: Recorded, sample: int
    ) -> Iterator[Crossings]:
        problem, real = self.problem, self.dtype.type
        neurons = group.last - group.first
        none = np.empty((0, 0), self.dtype)
        unrecorded = problem.record_neurons is not None and not group.column.size
        V, m, h, n = (none if unrecorded else out.samples.get(v, none) for v in VARIABLES)
        counted = slice(group.first, group.last if problem.spikes != "off" else group.first)
        room = max(ROOM, neurons) if problem.spikes == "times" else 0
        lane, step = np.empty((2, room), np.int32)
        fraction = np.empty(room, self.dtype)
        advance: Any = kernels.advance
        waveform, array = current
        done, row = 0, 0
        while True:
            done, found, row, sample = advance(
                group.g, neurons, group.first,
                done, count, real(problem.dt),
                group.gain, waveform, array,
                V, m, h, n, row, sample, problem.record_every, group.column, group.lane,
                real(problem.spike_threshold), out.spike_count[counted], lane, step, fraction,
            )  # fmt: skip
            if found:
                yield group.first + lane[:found], step[:found].copy(), fraction[:found].copy()
            if done == count:
                return

    def state(self) -> Array:
        state = np.empty((len(VARIABLES), self.problem.n_neurons), self.dtype)
        for group in self._groups:
            for row in range(len(VARIABLES)):
                start = row * STRIDE
                neurons = group.last - group.first
                state[row, group.first : group.last] = group.g[start : start + neurons]
        return state


class NumbaBlock(Block):
    """Steps first ≤ k < first + count; they are computed when they are read."""

    def __init__(self, session: NumbaSession, first: int, count: int):
        self._session, self._first, self._count = session, first, count

    def read(self, out: Recorded) -> None:
        self._session.run(self._first, self._count, out)


def _placed(state: Array, parameters: Array, neuron: Array, dtype: np.dtype) -> Iterator[Array]:
    """The groups as `kernels` has them, as many side by side in the same rows as a STRIDE holds."""
    n_groups, width = neuron.shape
    side_by_side = (STRIDE - LANES) // WIDTH[dtype.name]
    shape = (-(-n_groups // side_by_side), ROWS, STRIDE)
    room = np.zeros(np.prod(shape) + CACHE_LINE // dtype.itemsize, dtype)
    start = -room.ctypes.data % CACHE_LINE // dtype.itemsize
    places = room[start : start + np.prod(shape)].reshape(shape)
    for side in range(side_by_side):
        mine, left = neuron[side::side_by_side], side * WIDTH[dtype.name]
        rows = places[: len(mine), :, left : left + width].swapaxes(0, 1)
        rows[: len(VARIABLES)] = state[:, mine]
        rows[PARAMETERS.start :] = _per_neuron(parameters, mine, dtype)
    for group in range(n_groups):
        place, side = divmod(group, side_by_side)
        yield places[place].reshape(-1)[side * WIDTH[dtype.name] :]


def _per_neuron(values: Array, neuron: Array, dtype: np.dtype) -> Array:
    """Rows of values for n neurons, or for all one, as (rows, groups, width)."""
    if values.shape[1] > 1:
        return values.astype(dtype)[:, neuron]
    return np.broadcast_to(values.astype(dtype)[:, :, np.newaxis], (len(values), *neuron.shape))


def _gains(problem: Problem) -> Array:
    """Of a separable current, over C_m: (J, n) or (J, 1)."""
    if not isinstance(problem.current, SeparableCurrent):
        return np.empty((0, 1))
    return problem.current.gain / np.asarray(problem.parameters.C_m)
