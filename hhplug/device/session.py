"""The base class of sessions on a device, to which a plugin adds the kernel.

Blocks of steps are enqueued on a stream, and one block's samples are read while the next computes.
"""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Block, Session
from hhplug.currents.noise import quantiles
from hhplug.device.block import DeviceBlock
from hhplug.device.features import DeviceFeatures
from hhplug.device.inputs import concatenated, gain_over_C_m, process, words_of_neurons
from hhplug.device.interface import Array, Arrays, Device, Event
from hhplug.device.launch import InvalidRoom, Launch, Slot, SpikeRoom
from hhplug.lowering.program import Program
from hhplug.problem import Problem
from hhplug.state import State

SLOTS = 2  # blocks that may be enqueued and not yet read
SPIKES_PER_MS = 0.12  # 1/ms; a block has room for this many spikes of each neuron
# Bounds of a block's room, in spikes. There is always room for one spike of each neuron.
LEAST_ROOM, MOST_ROOM = 2**12, 2**24

INT = np.dtype(np.int32)
SINGLE = np.dtype(np.float32)

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

    If the problem has features, `features` is a `DeviceFeatures` and says which arrays there are
    for them; else it is None.
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
        self.features = DeviceFeatures(problem) if problem.features else None
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
        gain = gain_over_C_m(problem)
        self.J, self.gain_per_neuron = len(gain), gain.shape[1] > 1
        of_process, self._neurons = process(problem), words_of_neurons(self.noise)
        self.process_per_neuron = of_process.shape[1] > 1
        self.first_neuron = int(self.noise.neurons[0]) if self.noise else 0
        array = problem.current.array
        self.row_length = array.row_length if array else self.J
        inputs, slices = concatenated(
            {
                "state": [problem.initial_state, *self._carried_noise()],
                "constants": [np.array(self._constants)],
                "rows": list(rows.values()),
                "gain": [gain],
                "process": list(of_process),
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
            if self.features:
                self.arrays |= {name: owned[name] for name in self.features.shapes()}
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
        if self.features:
            shapes.update(self.features.shapes())
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
        if self.features:
            self.features.upload(self)

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
        state = np.empty((self._state_rows, self.problem.n_neurons), self.dtype)
        with self.device.current():
            self.device.transfers.to_host(self.stream.record(), [(state, self.arrays["state"])])
            carry = self.features.carry(self, self._step) if self.features else {}
        if not self.noise:
            return State(state, carry)
        return State(state[:-1], {**self.noise.carry(state[-1]), **carry})

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
            sums=True,
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
