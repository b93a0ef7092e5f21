"""The NumPy backend, which computes all steps of a block for one group of neurons at a time.

The arrays of a group fit the cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import add, multiply
from numpy.typing import NDArray

from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.checks import PerNeuron
from hhplug.crossings import crossing
from hhplug.currents.noise import Process
from hhplug.machine import cpu_name
from hhplug.problem import Problem
from hhplug.state import State
from hhplug_numpy.kernels import Array, Step, Stepper, aligned

# A step touches 24 rows of a group. float32 rows of 24, 40 and 80 kB reach 6 %, 100 % and 97 % of
# the best speed at 10,000 neurons (AMD EPYC, 1 MB of L2 per core).
ROW_BYTES = 48 * 1024
NOISE_STEPS = 64  # steps whose noise is computed together, a multiple of 4, since four share words
LANES = 16  # a group's width is a multiple of this: a loop's remainder may round differently


@dataclass(frozen=True)
class Group:
    """The neurons first ≤ i < last, padded to the session's width with copies of the last."""

    first: int
    last: int
    state: Array  # (n_states, width), in the order of the membrane's states
    step: Step
    valid: NDArray[np.bool_]  # (width,); neurons that aren't known to be invalid
    gain: list[Array]  # gain of a separable current, times per_C_m
    per_C_m: Array  # the program's rows of these names: dt / (2 C_m), ms cm²/µF; …
    leak: Array  # … the leaks' Σ g E dt / (2 C_m), mV …
    most_open: Array  # … and the largest `conductance` of a stable step
    columns: slice | NDArray[np.intp]  # the group's columns in the samples
    recorded: slice | NDArray[np.intp]  # neurons of these columns, counted from first
    process: Process | None  # of the noise; its values are (steps, last - first)
    sigma: Array  # of the noise, times per_C_m


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
        self._stepper = Stepper(
            problem.membrane, self._width, problem.dt, self._dtype, problem.method
        )
        self._product, self._V_before = aligned(2, self._width, self._dtype)
        self._product[:] = 0.0  # beyond the last group's neurons
        self._stepper.I_ext[:] = 0.0
        self._below, self._above, self._crossed, self._stable = np.empty((4, self._width), bool)
        self._threshold = np.array(problem.spike_threshold, self._dtype)
        self._per_step = self._dtype.type(self._stepper.program.per_step(problem.dt))
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
        rows = self._rows(first, count)
        for group in self._groups:
            self._run_group(group, rows, first, count, out)

    def state(self) -> State:
        rows = [group.state[:, : group.last - group.first] for group in self._groups]
        variables, noise = np.concatenate(rows, axis=1), self.problem.current.noise
        if not noise:
            return State(variables)
        values = [group.process.at(np.array([self._step]))[0]
                  for group in self._groups if group.process]  # fmt: skip
        return State(variables, noise.carry(np.concatenate(values)))

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

        program = self._stepper.program
        values = {name: mine(value) for name, value in problem.parameters.items()}
        values["dt"] = problem.dt
        formulas = {name: formula.value(values) for name, formula in program.rows.items()}
        rows = {name: row(value) for name, value in formulas.items()}
        state = aligned(len(program.states), self._width, self._dtype)
        for target, given in zip(state, problem.initial_state[:, first:last], strict=True):
            target[:] = row(given)
        noise = current.noise
        separable = noise.separable if noise else current.separable
        gains = separable.gain if separable else np.empty((0, 1))
        columns, recorded = slice(first, last), slice(0, last - first)
        if problem.record_neurons is not None:
            columns = np.flatnonzero(
                (first <= problem.record_neurons) & (problem.record_neurons < last)
            )
            recorded = problem.record_neurons[columns] - first
        return Group(
            first=first,
            last=last,
            state=state,
            step=self._stepper.step_of(state, rows),
            valid=np.ones(self._width, bool),
            gain=[
                row((gain[0] if len(gain) == 1 else mine(gain)) * formulas["per_C_m"])
                for gain in gains
            ],
            per_C_m=rows["per_C_m"],
            leak=rows["leak"],
            most_open=rows["most_open"],
            columns=columns,
            recorded=recorded,
            process=noise.process(slice(first, last)) if noise else None,
            sigma=row(mine(noise.sigma if noise else 0.0) * formulas["per_C_m"]),
        )

    def _rows(self, first: int, count: int) -> NDArray[Any]:
        """The waveforms of a separable current, (count, J), or the rows of any other."""
        current = self.problem.current
        separable = current.noise.separable if current.noise else current.separable
        if separable:
            return separable.waveform(first, count).astype(self._dtype)
        assert current.array
        return current.array.chunk(first, count)

    def _run_group(
        self, group: Group, rows: NDArray[Any], first: int, count: int, out: Recorded
    ) -> None:
        problem, state, V_before = self.problem, group.state, self._V_before
        states = problem.membrane.states
        steps = range(first, first + count)
        find_spikes, times = problem.spikes != "off", problem.spikes == "times"
        row, upward = 0, []
        if find_spikes:
            np.less(state[0], self._threshold, self._below)
        for k, _ in zip(steps, self._currents(group, rows, first), strict=True):
            if k % problem.record_every == 0:
                for name, samples in out.samples.items():
                    samples[row, group.columns] = state[states.index(name)][group.recorded]
                row += 1
            if times:
                np.copyto(V_before, state[0])
            group.step.advance()
            np.less_equal(group.step.conductance, group.most_open, self._stable)  # False for NaN
            if not np.logical_and.reduce(self._stable):
                self._note_invalid(group, k, out)
            if find_spikes:
                upward += self._crossings(group, k, out)
        if upward:
            self._add_spikes(upward, out)

    def _currents(self, group: Group, rows: NDArray[Any], first: int) -> Iterator[None]:
        """Set the stepper's current, I_ext · per_C_m + leak, for each row; `first` is its step."""
        I_ext, product = self._stepper.I_ext, self._product
        if group.process:
            values = self._noise(group.process, first, len(rows))
            for waveform, x in zip(rows, values, strict=True):
                self._sum_waveforms(group, waveform)
                product[: group.last - group.first] = x
                multiply(product, group.sigma, product)
                add(I_ext, product, I_ext)
                yield
        elif self.problem.current.separable:
            changed = np.any(rows[1:] != rows[:-1], axis=1).tolist()
            for waveform, new in zip(rows, [True, *changed], strict=True):
                if new:
                    self._sum_waveforms(group, waveform)
                yield
        else:
            for values in rows:
                # This rounds float64 values to the run's dtype before any arithmetic.
                I_ext[: group.last - group.first] = (
                    values[group.first : group.last] if values.ndim else values
                )
                multiply(I_ext, group.per_C_m, I_ext)
                add(I_ext, group.leak, I_ext)
                yield

    def _sum_waveforms(self, group: Group, waveform: Array) -> None:
        I_ext, product = self._stepper.I_ext, self._product
        np.copyto(I_ext, group.leak)
        for gain, w in zip(group.gain, waveform, strict=True):
            multiply(gain, w, product)
            add(I_ext, product, I_ext)

    def _noise(self, process: Process, first: int, count: int) -> Iterator[Array]:
        """The values of a process in each of so many steps, (neurons,)."""
        end = first + count
        while first < end:
            # The process draws for the steps after these, so that this ends with a counter's four.
            stop = min(end, (first // NOISE_STEPS + 1) * NOISE_STEPS - 1)
            stop = stop if stop > first else min(end, stop + NOISE_STEPS)
            yield from process.at(np.arange(first, stop))
            first = stop

    def _note_invalid(self, group: Group, k: int, out: Recorded) -> None:
        new = ~self._stable & group.valid
        if new.any():
            group.valid[new] = False
            lanes = np.flatnonzero(new[: group.last - group.first])
            out.add_invalid(group.first + lanes, np.full(len(lanes), k))

    def _crossings(self, group: Group, k: int, out: Recorded) -> Iterator[Sequence[Array]]:
        """Count the upward crossings during step k; yield what their times follow from.

        That is their neurons and steps, and the arguments of `crossing`.
        """
        V_before, V, threshold = self._V_before, group.state[0], self._threshold
        np.greater_equal(V, threshold, self._above)
        np.logical_and(self._below, self._above, self._crossed)
        np.logical_not(self._above, self._below)  # of NaN too, which crosses nothing
        if not np.count_nonzero(self._crossed):
            return
        spiking = np.flatnonzero(self._crossed[: group.last - group.first])
        neuron = group.first + spiking
        out.spike_count[neuron] += 1
        if self.problem.spikes == "times":
            before = V_before[spiking]
            slopes = [
                np.broadcast_to(s, len(V))[spiking] * self._per_step for s in group.step.slopes
            ]
            yield neuron, np.full(len(neuron), k), threshold - before, V[spiking] - before, *slopes

    def _add_spikes(self, upward: Sequence[Sequence[Array]], out: Recorded) -> None:
        neuron, step, *about = map(np.concatenate, zip(*upward, strict=True))
        out.add_spikes(neuron, step, crossing(*about))


class NumpyBlock(Block):
    """The steps first ≤ k < first + count, which `read` computes."""

    def __init__(self, session: NumpySession, first: int, count: int):
        self._session = session
        self._first = first
        self._count = count

    def read(self, out: Recorded) -> None:
        self._session.run(self._first, self._count, out)
