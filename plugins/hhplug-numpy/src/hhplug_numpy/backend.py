"""The NumPy backend, which computes all steps of a block for one group of neurons at a time.

The arrays of a group fit the cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy import add, multiply
from numpy.typing import NDArray

from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.checks import PerNeuron
from hhplug.machine import cpu_name
from hhplug.problem import Problem
from hhplug_numpy.kernels import Array, Membrane, State, Stepper, aligned

# A step touches 24 rows of a group. float32 rows of 24, 40 and 80 kB reach 6 %, 100 % and 97 % of
# the best speed at 10,000 neurons (AMD EPYC, 1 MB of L2 per core).
ROW_BYTES = 48 * 1024
LANES = 16  # a group's width is a multiple of this: a loop's remainder may round differently


@dataclass(frozen=True)
class Group:
    """The neurons first ≤ i < last, padded to the session's width with copies of the last."""

    first: int
    last: int
    state: State
    membrane: Membrane
    gain: list[Array]  # gain of a separable current, times dt / (2 C_m)
    half_dt_over_C: Array  # ms cm²/µF
    leak: Array  # g_L E_L dt / (2 C_m), mV
    columns: slice | NDArray[np.intp]  # the group's columns in the samples
    recorded: slice | NDArray[np.intp]  # neurons of these columns, counted from first


class NumpyBackend(Backend):
    def __init__(self, device: int | None = None):
        del device  # the CPU is the only device
        self.device = cpu_name()

    def prepare(self, problem: Problem, max_steps: int) -> Session:  # noqa: ARG002
        return NumpySession(problem)


class NumpySession(Session):
    def __init__(self, problem: Problem):
        self.problem = problem
        self._dtype = np.dtype(problem.dtype)
        self._step = problem.start_step
        n_groups = -(-problem.n_neurons * self._dtype.itemsize // ROW_BYTES)
        self._width = -(-problem.n_neurons // (n_groups * LANES)) * LANES
        self._stepper = Stepper(self._width, problem.dt, self._dtype)
        self._I_ext, self._product, self._V_before = aligned(3, self._width, self._dtype)
        self._I_ext[:] = 0.0
        self._below, self._crossed = np.empty((2, self._width), bool)
        self._threshold = np.array(problem.spike_threshold, self._dtype)
        self._groups = [
            self._group(first, min(first + self._width, problem.n_neurons))
            for first in range(0, problem.n_neurons, self._width)
        ]

    def advance(self, n_steps: int) -> Block:
        block = NumpyBlock(self, self._step, n_steps)
        self._step += n_steps
        return block

    def run(self, first: int, count: int, out: Recorded) -> None:
        """Compute the steps first ≤ k < first + count of every group, and fill out."""
        for group in self._groups:
            self._run_group(group, first, count, out)

    def state(self) -> Array:
        rows = [group.state.array[:, : group.last - group.first] for group in self._groups]
        return np.concatenate(rows, axis=1)

    def _group(self, first: int, last: int) -> Group:
        problem, current = self.problem, self.problem.current

        def mine(values: PerNeuron) -> PerNeuron:
            return values[first:last] if isinstance(values, np.ndarray) else values

        def row(values: PerNeuron) -> Array:
            """Return values padded to the group's width, or of shape () for one number."""
            if np.ndim(values) == 0:
                return np.array(values, self._dtype)
            padded = aligned(1, self._width, self._dtype)[0]
            padded[: last - first] = values
            padded[last - first :] = padded[last - first - 1]
            return padded

        C_m, g_Na, g_K, g_L, E_Na, E_K, E_L = (
            mine(problem.parameters[name])
            for name in ("C_m", "g_Na", "g_K", "g_L", "E_Na", "E_K", "E_L")
        )
        half_dt_over_C = problem.dt / (2.0 * C_m)
        state = aligned(4, self._width, self._dtype)
        for target, values in zip(state, problem.initial_state[:, first:last], strict=True):
            target[:] = row(values)
        gains = current.separable.gain if current.separable else np.empty((0, 1))
        columns, recorded = slice(first, last), slice(0, last - first)
        if problem.record_neurons is not None:
            columns = np.flatnonzero(
                (first <= problem.record_neurons) & (problem.record_neurons < last)
            )
            recorded = problem.record_neurons[columns] - first
        return Group(
            first=first,
            last=last,
            state=State.of(state),
            membrane=Membrane(
                g_Na=row(g_Na * half_dt_over_C),
                g_K=row(g_K * half_dt_over_C),
                g_L=row(g_L * half_dt_over_C),
                E_Na=row(E_Na),
                E_K=row(E_K),
            ),
            leak=row(g_L * E_L * half_dt_over_C),
            gain=[
                row((gain[0] if len(gain) == 1 else mine(gain)) * half_dt_over_C) for gain in gains
            ],
            half_dt_over_C=row(half_dt_over_C),
            columns=columns,
            recorded=recorded,
        )

    def _run_group(self, group: Group, first: int, count: int, out: Recorded) -> None:
        problem, state, V_before = self.problem, group.state, self._V_before
        steps = range(first, first + count)
        find_spikes = problem.spikes != "off"
        row = 0
        for k, I_ext in zip(steps, self._currents(group, first, count), strict=True):
            if k % problem.record_every == 0:
                for name, samples in out.samples.items():
                    samples[row, group.columns] = getattr(state, name)[group.recorded]
                row += 1
            if find_spikes:
                np.copyto(V_before, state.V)
            self._stepper.step(state, I_ext, group.membrane)
            if find_spikes:
                self._find_spikes(group, k, out)

    def _currents(self, group: Group, first: int, count: int) -> Iterator[Array]:
        """Yield (I_ext + g_L E_L) dt / (2 C_m) of each step, mV, in one array that is reused."""
        I_ext, product, current = self._I_ext, self._product, self.problem.current
        if current.separable:
            waveforms = current.separable.waveform(first, count).astype(self._dtype)
            changed = np.any(waveforms[1:] != waveforms[:-1], axis=1).tolist()
            for waveform, new in zip(waveforms, [True, *changed], strict=True):
                if new:
                    np.copyto(I_ext, group.leak)
                    for gain, w in zip(group.gain, waveform, strict=True):
                        multiply(gain, w, product)
                        add(I_ext, product, I_ext)
                yield I_ext
        else:
            assert current.array
            for values in current.array.chunk(first, count):
                # This rounds float64 values to the run's dtype before any arithmetic.
                I_ext[: group.last - group.first] = (
                    values[group.first : group.last] if values.ndim else values
                )
                multiply(I_ext, group.half_dt_over_C, I_ext)
                add(I_ext, group.leak, I_ext)
                yield I_ext

    def _find_spikes(self, group: Group, k: int, out: Recorded) -> None:
        V_before, V, threshold = self._V_before, group.state.V, self._threshold
        np.less(V_before, threshold, self._below)
        np.greater_equal(V, threshold, self._crossed)
        np.logical_and(self._below, self._crossed, self._crossed)
        if not np.count_nonzero(self._crossed):
            return
        spiking = np.flatnonzero(self._crossed[: group.last - group.first])
        neuron = group.first + spiking
        out.spike_count[neuron] += 1
        if self.problem.spikes == "times":
            before, after = V_before[spiking], V[spiking]
            fraction = (threshold - before) / (after - before)
            out.add_spikes(neuron, np.full(len(neuron), k), fraction)


class NumpyBlock(Block):
    """The steps first ≤ k < first + count, which `read` computes."""

    def __init__(self, session: NumpySession, first: int, count: int):
        self._session = session
        self._first = first
        self._count = count

    def read(self, out: Recorded) -> None:
        self._session.run(self._first, self._count, out)
