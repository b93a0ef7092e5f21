"""The base class of sessions on a device, to which a plugin adds the kernel.

Blocks of steps are enqueued on a stream, and one block's samples are read while the next computes.
"""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Block, Recorded, Session
from hhplug.currents.noise import quantiles
from hhplug.currents.noisy import Noise
from hhplug.device.interface import Array, Arrays, Device, Event
from hhplug.device.launch import InvalidRoom, Launch, Slot, SpikeRoom
from hhplug.lowering.program import Program
from hhplug.problem import Problem
from hhplug.state import State

SLOTS = 2  # blocks that may be enqueued and not yet read
SPIKES_PER_MS = 0.12  # 1/ms; a block has room for this many spikes of each neuron
# Bounds of a block's room, in spikes. There is always room for one spike of each neuron.
LEAST_ROOM, MOST_ROOM = 2**12, 2**24

ALIGNMENT = 64  # elements; each input begins at a multiple of it
INT = np.dtype(np.int32)
SINGLE = np.dtype(np.float32)
UNSIGNED = np.dtype(np.uint32)  # type of "total" on the host, since it may exceed 2**31

SHARED = ("inputs", "column", "replay", "quantiles", "neurons")  # arrays of the whole session

Shapes = dict[Hashable, tuple[int, np.dtype]]
"""Key of an array → its number of elements and its type."""


class DeviceSession(Session):
    """A session whose subclass, in a plugin, implements `make_ready` and `launch`.

    device: the device, which sessions share.
    program: a step of the problem's membrane, as the kernel computes it.
    constants: numbers that the kernel needs, in its order.

    `open` allocates and uploads. self.arrays then has these arrays:

    "constants": the constants;
    "rows", (rows, N) or (rows, 1): the program's rows, in its order;
    "gain", (J, N) or (J, 1): gain of a separable current, over C_m; J is at least 1;
    "column", (N,) int32: each neuron's column among the recorded ones, −1 if it is not recorded;
    empty if every neuron is recorded.

    If the current has a noise, "state" has a row more, the process x, and there are also

    "process", (3, N) or (3, 1): decay, kick, and sigma over C_m of `hhplug.currents.noisy`;
    "quantiles", (pieces, 2) float32: A and B of `hhplug.currents.noise.quantiles`;
    "neurons", (2, N) int32: low and high words of the neurons' numbers; empty if these are
    consecutive, from `first_neuron` on.
    """

    rows_per_neuron: bool
    gain_per_neuron: bool
    J: int  # waveforms of a separable current, at least 1
    row_length: int  # numbers that describe the current of one step on the device
    process_per_neuron: bool
    first_neuron: int

    def __init__(
        self,
        device: Device,
        problem: Problem,
        max_steps: int,
        program: Program,
        constants: Sequence[float],
    ):
        self.device, self.problem, self._max_steps = device, problem, max_steps
        self.program, self._constants = program, constants
        self.dtype = np.dtype(problem.dtype)
        self.arrays: dict[str, Array] = {}
        self.slots: list[Slot] = []
        self.array_current = problem.current.array is not None
        self.noise = problem.current.noise
        # A longer interval changes nothing within a block, and may not fit the kernel's int32.
        self.every = min(problem.record_every, max_steps)
        self.room = self._room()  # spikes of a launch that fit their arrays
        self._step, self._blocks = problem.start_step, 0
        self._steps = problem.sample_steps(problem.start_step, problem.n_steps)
        self._device_samples: dict[str, tuple[Any, Array]] = {}
        self._undo = ExitStack()

    def _room(self) -> int:
        problem = self.problem
        if problem.spikes != "times":
            return 0
        expected = int(problem.n_neurons * self._max_steps * problem.dt * SPIKES_PER_MS)
        return max(problem.n_neurons, min(max(expected, LEAST_ROOM), MOST_ROOM))

    def open(self) -> Self:
        """Allocate, upload the inputs and make ready; frees everything if any of it fails."""
        problem, device = self.problem, self.device
        device.transfers.refuse_fork()
        rows = self.program.row_values(problem.parameters, problem.dt)
        self.rows_per_neuron = rows["leak"].size > 1
        gain = _gain(problem)
        self.J, self.gain_per_neuron = len(gain), gain.shape[1] > 1
        process, self._neurons = _process(problem), _words_of_neurons(self.noise)
        self.process_per_neuron = process.shape[1] > 1
        self.first_neuron = int(self.noise.neurons[0]) if self.noise else 0
        array = problem.current.array
        self.row_length = array.row_length if array else self.J
        inputs, slices = _concatenated(
            {
                "state": [problem.initial_state, *self._carried_noise()],
                "constants": [np.array(self._constants)],
                "rows": list(rows.values()),
                "gain": [gain],
                "process": list(process),
            }
        )
        self.spike_count = np.zeros(0 if problem.spikes == "off" else problem.n_neurons, INT)
        with device.current(), ExitStack() as undo:
            undo.callback(self._device_samples.clear)  # arrays already given out belong to the user
            if problem.device_arrays:
                shape = (len(self._steps), problem.n_recorded)
                for name in problem.record:
                    self._device_samples[name] = device.kept(shape, self.dtype)
            shapes = self._shapes(sum(rows.size for rows in inputs))
            owned = device.arrays(shapes)
            undo.callback(owned.free)
            self.arrays = {name: owned[name] for name in SHARED}
            self.arrays |= {name: owned["inputs"][part] for name, part in slices.items()}
            undo.callback(self.arrays.clear)
            self.slots = [self._slot(owned, number) for number in range(SLOTS)]
            undo.callback(self._forget_slots)
            self.stream: Any = device.stream()  # may have attributes beyond Stream's
            undo.callback(self._end_stream)
            for slot in self.slots:
                self.stream.zero(slot.invalid.first)
            self._upload_all(inputs)
            self.make_ready()
            self._undo = undo.pop_all()
        return self

    def _shapes(self, inputs: int) -> Shapes:
        """The arrays to allocate. inputs: number of elements of all inputs together."""
        problem, real = self.problem, self.dtype
        n, times = problem.n_neurons, problem.spikes == "times"
        state = (self._state_rows * n if times else 0, real)
        recorded = (-(-self._max_steps // problem.record_every) * problem.n_recorded, real)
        shapes: Shapes = {
            "inputs": (inputs, real),
            "column": (0 if problem.record_neurons is None else n, INT),
            "replay": state,
            "quantiles": (np.size(quantiles()) if self.noise else 0, SINGLE),
            "neurons": (self._neurons.size, INT),
        }
        for slot in range(SLOTS):
            shapes |= {
                (slot, "current"): (self._max_steps * self.row_length, real),
                (slot, "start"): state,
                (slot, "spike_count"): (0 if problem.spikes == "off" else n, INT),
                (slot, "total"): (1, INT),
                (slot, "neuron"): (self.room, INT),
                (slot, "step"): (self.room, INT),
                (slot, "fraction"): (self.room, real),
                (slot, "any"): (1, INT),
                (slot, "first"): (n, INT),
            }
            if not problem.device_arrays:
                shapes |= {(slot, "samples", name): recorded for name in problem.record}
        return shapes

    def _slot(self, owned: Arrays, number: int) -> Slot:
        problem = self.problem
        names = () if problem.device_arrays else problem.record
        times = problem.spikes == "times"
        room = SpikeRoom._make(owned[number, name] for name in SpikeRoom._fields)
        return Slot(
            current=owned[number, "current"],
            samples={name: owned[number, "samples", name] for name in names},
            spike_count=None if problem.spikes == "off" else owned[number, "spike_count"],
            spikes=room if times else None,
            invalid=InvalidRoom._make(owned[number, name] for name in InvalidRoom._fields),
            start=owned[number, "start"] if times else None,
        )

    def _upload_all(self, inputs: Sequence[NDArray[Any]]) -> None:
        problem = self.problem
        self.device.transfers.wait(self.stream.record())
        self.upload(self.arrays["inputs"], *inputs)
        if problem.record_neurons is not None:
            column = np.full(problem.n_neurons, -1, np.int32)
            column[problem.record_neurons] = np.arange(problem.n_recorded)
            self.upload(self.arrays["column"], column, dtype=INT)
        if self.noise:
            self.upload(self.arrays["quantiles"], np.stack(quantiles(), axis=1), dtype=SINGLE)
            if self._neurons.size:
                self.upload(self.arrays["neurons"], self._neurons, dtype=INT)

    @property
    def _state_rows(self) -> int:
        return len(self.program.states) + (self.noise is not None)

    def _carried_noise(self) -> list[NDArray[Any]]:
        """The row of the state with the process x, which the kernel sets where a run begins."""
        if not self.noise:
            return []
        carried = self.noise.carried
        return [np.zeros((1, self.problem.n_neurons)) if carried is None else carried[np.newaxis]]

    def noise_begins(self, work: Launch) -> bool:
        """Whether x of the launch's first step is first · ξ, instead of what the state has."""
        assert self.noise
        return self.noise.carried is None and work.first_step == self.problem.start_step

    def current(self, first: int, count: int) -> NDArray[Any]:
        """Return the current of the steps first ≤ k < first + count.

        The rows are those of an array current, or the waveforms of a separable one, (count, J);
        without any current they are zeros, (count, 1).
        """
        current = self.problem.current
        if current.array:
            return current.array.chunk(first, count)
        separable = self.noise.separable if self.noise else current.separable
        assert separable
        rows = separable.waveform(first, count).astype(self.dtype)
        return rows if rows.size else np.zeros((count, 1), self.dtype)

    def held_values(self) -> tuple[bool, ...]:
        """The values that `Launch.held` may take in blocks of this run."""
        problem, current = self.problem, self.problem.current
        if current.array:
            return (False,)
        steady = current.noise.separable if current.noise else current
        whole_run = steady.constant_over(problem.start_step, problem.n_steps)
        return (True,) if whole_run else (True, False)

    @abstractmethod
    def make_ready(self) -> None:
        """Compile the kernel and do all that must precede the first launch."""

    @abstractmethod
    def launch(self, work: Launch) -> None:
        """Enqueue the kernel on self.stream."""

    def upload(self, target: Array, *rows: NDArray[Any], dtype: np.dtype | None = None) -> None:
        """Copy rows, one after another, to an array, for work enqueued from now on.

        dtype: of the array; None is the run's. The rows may be changed after the call: it returns
        when they have been read.
        """
        self.stream.wait(self.device.transfers.to_device(target, rows, dtype or self.dtype))

    def advance(self, n_steps: int) -> Block:
        with self.device.current():
            block = DeviceBlock(self, self._step, n_steps, self.slots[self._blocks % SLOTS])
        self._blocks += 1
        self._step += n_steps
        return block

    def enqueue(self, work: Launch) -> Event:
        """Launch a kernel; return an event that happens when its samples and spikes are written."""
        if work.spikes:
            self.stream.zero(work.spikes.total)
        if work.invalid:
            self.stream.zero(work.invalid.any)
        self.launch(work)
        return self.stream.record()

    def state(self) -> State:
        shape = len(self.program.states), self.problem.n_neurons
        variables = np.empty(shape, self.dtype)
        return State(variables, self.state_into(variables))

    def state_into(self, variables: NDArray[Any]) -> dict[str, NDArray[Any]]:
        state, size = self.arrays["state"], variables.size
        copies, x = [(variables, state[:size])], np.empty(self.problem.n_neurons, self.dtype)
        if self.noise:
            copies.append((x, state[size:]))
        with self.device.current():
            self.device.transfers.to_host(self.stream.record(), copies)
        return self.noise.carry(x) if self.noise else {}

    def device_samples(self) -> dict[str, Any]:
        return {name: array for name, (array, _) in self._device_samples.items()}

    def work(self, n_steps: int, slot: Slot, first_sample: int, held: bool) -> Launch:
        """Return the launch of the next n_steps steps.

        first_sample: the step of the launch whose sample is the first; n_steps or more for none.
        """
        return Launch(
            n_steps=n_steps,
            first_step=self._step,
            state=self.arrays["state"],
            current=slot.current,
            held=held,
            samples=self._samples_on_device(self._step + first_sample) or slot.samples,
            first_sample=min(first_sample, n_steps),
            spike_count=slot.spike_count,
            spikes=slot.spikes,
            invalid=slot.invalid,
        )

    def _samples_on_device(self, first: int) -> dict[str, Array]:
        """Return variable → array for a block whose first sample is of step `first` of the run.

        It is empty unless the user asked for device arrays.
        """
        row = (first - self._steps.start) // self._steps.step
        offset = row * self.problem.n_recorded
        return {name: elements[offset:] for name, (_, elements) in self._device_samples.items()}

    def close(self) -> None:
        with self.device.current():
            self._undo.close()

    def _forget_slots(self) -> None:
        for slot in self.slots:
            slot.done = None  # some libraries can free an event only while the device is current
        self.slots.clear()

    def _end_stream(self) -> None:
        self.stream.synchronize()
        del self.stream


class DeviceBlock(Block):
    """The enqueued steps first ≤ k < first + count."""

    def __init__(self, session: DeviceSession, first: int, count: int, slot: Slot):
        self._session, self._first, self._slot = session, first, slot
        rows = session.current(first, count)
        held = not session.array_current and bool((rows == rows[0]).all())
        session.upload(slot.current, rows[:1] if held else rows)
        first_sample = session.problem.sample_steps(first, count).start - first
        self._work = session.work(count, slot, first_sample, held)
        if slot.start is not None:
            session.stream.copy(slot.start, session.arrays["state"])
        slot.done = session.enqueue(self._work)

    def read(self, out: Recorded) -> None:
        session, slot = self._session, self._slot
        assert slot.done
        total, any_invalid = np.zeros(1, UNSIGNED), np.zeros(1, INT)
        copies = [(array, slot.samples[name]) for name, array in out.samples.items()]
        copies.append((any_invalid, slot.invalid.any))
        if slot.spike_count is not None:
            copies.append((session.spike_count, slot.spike_count))
        if slot.spikes:
            copies.append((total.view(INT), slot.spikes.total))
        with session.device.current():
            session.device.transfers.to_host(slot.done, copies)
            if slot.spike_count is not None:
                out.spike_count += session.spike_count
            if total[0] > session.room:
                self._replay(out)
            elif slot.spikes and total[0]:
                self._give_spikes(out, slot.spikes, slot.done, int(total[0]), self._first)
            if any_invalid[0]:
                self._give_invalid(out, slot.invalid, slot.done)

    def _give_invalid(self, out: Recorded, invalid: InvalidRoom, ready: Event) -> None:
        first = np.empty(self._session.problem.n_neurons, INT)
        self._session.device.transfers.to_host(ready, [(first, invalid.first)])
        self._session.stream.zero(invalid.first)
        neuron = np.flatnonzero(first)
        out.add_invalid(neuron, first[neuron] + np.int64(self._first - 1))

    def _give_spikes(
        self, out: Recorded, spikes: SpikeRoom, ready: Event, total: int, first: int
    ) -> None:
        """Copy the spikes of a launch that began with step `first` to the host and add them."""
        neuron, step = np.empty((2, total), INT)
        fraction = np.empty(total, self._session.dtype)
        copies = [(neuron, spikes.neuron), (step, spikes.step), (fraction, spikes.fraction)]
        self._session.device.transfers.to_host(ready, copies)
        out.add_spikes(neuron, step + np.int64(first), fraction)

    def _replay(self, out: Recorded) -> None:
        """Repeat the block from its saved start, for the spikes only, in launches whose spikes fit.

        There is room for one spike of each neuron, so that a launch of one step always fits.
        """
        session, whole, spikes = self._session, self._work, self._work.spikes
        start, end = self._slot.start, session.arrays["replay"]
        assert spikes
        work = replace(whole, state=end, samples={}, spike_count=None, invalid=None)
        done, steps = 0, max(1, whole.n_steps // 2)
        while done < whole.n_steps:
            steps = min(steps, whole.n_steps - done)
            current = whole.current if whole.held else whole.current[done * session.row_length :]
            session.stream.copy(end, start)
            first = self._first + done
            ready = session.enqueue(replace(work, n_steps=steps, first_step=first, current=current))
            total = np.empty(1, UNSIGNED)
            session.device.transfers.to_host(ready, [(total.view(INT), spikes.total)])
            if total[0] > session.room:
                steps = max(1, steps // 2)
                continue
            if total[0]:
                self._give_spikes(out, spikes, ready, int(total[0]), first)
            session.stream.copy(start, end)
            done += steps


def _concatenated(
    inputs: Mapping[str, Sequence[NDArray[Any]]],
) -> tuple[list[NDArray[Any]], dict[str, slice]]:
    """Return all arrays with padding between, to be copied as one, and name → its elements."""
    rows, slices, end = [], {}, 0
    for name, arrays in inputs.items():
        size = sum(array.size for array in arrays)
        slices[name] = slice(end, end + size)
        rows += [*arrays, np.zeros(-size % ALIGNMENT)]
        end += size + rows[-1].size
    return rows, slices


def _gain(problem: Problem) -> NDArray[Any]:
    """Return the gain over C_m, (J, N) or (J, 1); zeros, (1, 1), where there is no current."""
    gain = problem.current.gain_over(problem.parameters["C_m"])
    return gain if len(gain) else np.zeros((1, 1))


def _process(problem: Problem) -> NDArray[np.float64]:
    """Return decay, kick and sigma over C_m of the noise, (3, N) or (3, 1); (0, 1) without one."""
    noise = problem.current.noise
    if not noise:
        return np.empty((0, 1))
    of = noise.recursion
    rows = of.decay, of.kick, np.atleast_1d(noise.sigma / problem.parameters["C_m"])
    return np.stack(np.broadcast_arrays(*rows))


def _words_of_neurons(noise: Noise | None) -> NDArray[np.int32]:
    """Return low and high words of the neurons' numbers, (2, N); empty if they are consecutive."""
    if not noise or (np.diff(noise.neurons) == 1).all():
        return np.empty((2, 0), np.int32)
    words = noise.neurons & 0xFFFFFFFF, noise.neurons >> 32
    return np.stack(words).astype(np.uint32).view(np.int32)
