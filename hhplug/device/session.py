"""The base class of sessions on a device, to which a plugin adds the kernel.

Blocks of steps are enqueued on a stream, and one block's samples are read while the next computes.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Block, EndArrays, OrderedSpikes, Session, new_time_arrays
from hhplug.device.block import DeviceBlock
from hhplug.device.downloads import StateOnHost
from hhplug.device.features import DeviceFeatures
from hhplug.device.inputs import inputs_of
from hhplug.device.interface import Array, Arrays, Event, PlacedSpikes, Shapes
from hhplug.device.kept import Allocation, KeptMemory
from hhplug.device.launch import Launch, Slot, Start
from hhplug.device.spike_store import SpikeStore
from hhplug.device.transfers import Begun, Copy, Source
from hhplug.device.uploads import upload_all
from hhplug.device.work_arrays import INT, SLOTS, WorkArrays
from hhplug.lowering.program import Program
from hhplug.problem import Problem
from hhplug.state import State

SPIKES_PER_MS = 0.12  # 1/ms; a block has room for this many spikes of each neuron
# Bounds of a block's room, in spikes. There is always room for one spike of each neuron.
LEAST_ROOM, MOST_ROOM = 2**12, 2**24

SHARED = ("state", "spike_count")  # arrays of the whole session beside the inputs


class DeviceSession(Session):
    """A session whose subclass, in a plugin, implements `make_ready`, `launch` and `place_spikes`.

    memory: of the device, which the sessions of a backend share.
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
    replay: Start  # where a block is repeated whose spikes didn't fit
    store: SpikeStore  # if the problem's spikes are ordered at the end

    def __init__(
        self,
        memory: KeptMemory,
        problem: Problem,
        max_steps: int,
        program: Program,
        constants: Sequence[float],
    ):
        self.device, self.problem, self._max_steps = memory.device, problem, max_steps
        self._memory, self.results = memory, memory.results
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
        self._valid = False  # whether the last block found no invalid neuron
        self._spikes: OrderedSpikes | None = None
        self._sources: dict[str, tuple[Any, ...]] = {}  # of the inputs, once they are uploaded
        self._undo = ExitStack()

    def _room(self) -> int:
        problem = self.problem
        if problem.spikes != "times":
            return 0
        expected = int(problem.n_neurons * self._max_steps * problem.dt * SPIKES_PER_MS)
        return max(problem.n_neurons, min(max(expected, LEAST_ROOM), MOST_ROOM))

    def open(self) -> Self:
        """Allocate, upload the inputs and make ready; frees everything if any of it fails."""
        self.device.transfers.refuse_fork()
        with self.device.current():
            try:
                self._open()
            except BaseException:
                self._memory.release()
                raise
        return self

    def _open(self) -> None:
        problem, device = self.problem, self.device
        inputs = inputs_of(problem, self.program, self._constants)
        self.rows_per_neuron = inputs["rows"].width > 1
        self.J, self.gain_per_neuron = len(inputs["gain"].rows), inputs["gain"].width > 1
        self.process_per_neuron = inputs["process"].width > 1
        self.first_neuron = int(self.noise.neurons[0]) if self.noise else 0
        array = problem.current.array
        self.row_length = array.row_length if array else self.J
        per_block = problem.spikes != "off" and not problem.ordered_spikes
        self.spike_count = np.zeros(problem.n_neurons if per_block else 0, INT)
        with ExitStack() as undo:
            undo.callback(self._device_samples.clear)  # arrays already given out belong to the user
            if problem.device_arrays:
                shape = (len(self._steps), problem.n_recorded)
                for name in problem.record:
                    self._device_samples[name] = device.kept(shape, self.dtype)
            shapes: Shapes = {name: (each.size, each.dtype) for name, each in inputs.items()}
            given = self._memory.take("inputs", shapes)
            undo.callback(self._keep_inputs, given)
            work = self._work_arrays()
            owned = self._memory.take("work", self._with_sums(work.shapes()))
            undo.callback(self._memory.put, "work", owned)
            self.arrays = {name: given.arrays[name] for name in inputs}
            self.arrays |= {name: owned.arrays[name] for name in SHARED}
            if self.features:
                self.arrays |= {name: owned.arrays[name] for name in self.features.shapes()}
            undo.callback(self.arrays.clear)
            self.replay = work.replay(owned.arrays)
            undo.callback(delattr, self, "replay")
            self.slots = work.slots(owned.arrays)
            undo.callback(self._forget_slots)
            if problem.ordered_spikes:
                self.store = SpikeStore(self, self.arrays["spike_count"])
                undo.callback(self._drop_store)
            self.stream: Any = device.stream()  # may have attributes beyond Stream's
            undo.callback(self._end_stream)
            for slot in self.slots:
                self.stream.zero(slot.invalid.first)
            if problem.ordered_spikes:
                self.stream.zero(self.arrays["spike_count"])
            upload_all(self, given, inputs)
            self.make_ready()
            self._sources = {n: each.sources for n, each in inputs.items() if each.sources}
            self._undo = undo.pop_all()

    def _work_arrays(self) -> WorkArrays:
        return WorkArrays(
            problem=self.problem,
            max_steps=self._max_steps,
            row_length=self.row_length,
            room=self.room,
            state_rows=len(self.program.states) + (self.noise is not None),
        )

    def _with_sums(self, shapes: Shapes) -> Shapes:
        return {**shapes, **self.features.shapes()} if self.features else shapes

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

    @abstractmethod
    def place_spikes(
        self, parts: Sequence[PlacedSpikes], arrays: Arrays, first_neuron: int
    ) -> None:
        """Enqueue on self.stream what puts the spikes of some launches in order.

        arrays: "neuron" (int64) and "time" (float64, ms), which are to be filled, sorted by neuron
            and then by time; and "places", (N,) int64, which is room for the place of each neuron's
            first spike: the spikes of all neurons before it, whose counts self.arrays has as
            "spike_count". A spike's place is its ordinal after that.
        first_neuron: is added to the index of each neuron.

        A time is (first_step + step + fraction) · dt, each operation in float64. No part is empty.
        """

    @abstractmethod
    def widen_counts(self, counts: Array) -> None:
        """Enqueue on self.stream a copy of "spike_count" to an array of int64, (N,)."""

    def upload(self, target: Array, *rows: Source, dtype: np.dtype | None = None) -> None:
        """Copy rows, one after another, to an array, for work enqueued from now on.

        dtype: of the array; None is the run's. The rows may be changed after the call: it returns
        when they have been read.
        """
        self.stream.wait(self.device.transfers.to_device(target, rows, dtype or self.dtype))

    def note_validity(self, valid: bool) -> None:
        """Whether all neurons were valid in the block that was read, its end included."""
        self._valid = valid

    def advance(self, n_steps: int) -> Block:
        with self.device.current():
            block = DeviceBlock(self, self._step, n_steps, self.slots[self._blocks % SLOTS])
        self._blocks += 1
        self._step += n_steps
        return block

    def enqueue(self, work: Launch) -> Event:
        """Launch a kernel; return an event that happens when its samples and spikes are written.

        Unless the spikes are ordered at the end, spike_count then has those of this launch.
        """
        if work.spike_count is not None and not self.problem.ordered_spikes:
            self.stream.zero(work.spike_count)
        if work.spikes:
            self.stream.zero(work.spikes.total)
        if work.invalid:
            self.stream.zero(work.invalid.any)
        self.launch(work)
        return self.stream.record()

    def state(self) -> State:
        problem, new = self.problem, self.results.empty
        variables = new((len(self.program.states), problem.n_neurons), self.dtype)
        arrays = EndArrays(variables)
        if problem.ordered_spikes:  # together with the state, which is faster
            counts = new((problem.n_neurons,), np.int64)
            times = partial(new_time_arrays, self.results) if problem.spikes == "times" else None
            arrays = EndArrays(variables, counts, times)
        with self.device.current():
            return self._begin_end(arrays)()

    def ordered_spikes(self) -> OrderedSpikes:
        spikes, self._spikes = self._spikes, None
        assert spikes, "state() comes before"
        return spikes

    def end_into(self, arrays: EndArrays) -> Callable[[], State]:
        with self.device.current():
            finish = self._begin_end(arrays)

        def finished() -> State:
            with self.device.current():
                return finish()

        return finished

    def _begin_end(self, arrays: EndArrays) -> Callable[[], State]:
        on_host = StateOnHost(self, arrays.variables)
        if arrays.counts is None:
            begun = [self.begin_home(on_host.copies)]
            wait = partial(self.finish_home, begun)
            self.hold(begun)
        else:
            wait = self.store.begin_home(arrays, on_host.copies)

        def finish() -> State:
            self._spikes = wait()
            return on_host.state(self._step, self._valid)

        return finish

    def begin_home(self, copies: Sequence[Copy]) -> Begun:
        """Begin copies to the host of what the session's stream has computed so far."""
        return self.device.transfers.begin_to_host(self.stream, copies)

    def hold(self, begun: Sequence[Begun]) -> None:
        """Let the session's stream, and so its end, wait for copies that were begun."""
        for each in begun:
            if each.done:
                self.stream.wait(each.done)

    def finish_home(self, begun: Sequence[Begun]) -> None:
        """Return when all copies that were begun are made."""
        self.device.transfers.finish(self.stream, begun)

    def allocate(self, shapes: Shapes) -> Arrays:
        """Arrays for the session's stream, which waits for those who used their memory before.

        Raises NotEnoughMemory.
        """
        arrays = self.device.arrays(shapes)
        self.stream.wait(self.device.stream().record())
        return arrays

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

    def __exit__(self, *exception: object) -> None:
        self.close()
        if exception[0]:  # a notebook keeps what the traceback refers to
            self._memory.release()

    def close(self) -> None:
        with self.device.current():
            self._undo.close()

    def _keep_inputs(self, given: Allocation) -> None:
        given.set_contents(self._sources)
        self._memory.put("inputs", given)

    def _drop_store(self) -> None:
        self.store.free()
        del self.store  # which has this session

    def _forget_slots(self) -> None:
        for slot in self.slots:
            slot.done = None  # some libraries can free an event only while the device is current
        self.slots.clear()

    def _end_stream(self) -> None:
        self.stream.synchronize()
        del self.stream
