"""The base class of sessions on a device, to which a plugin adds the kernel.

Blocks of steps are enqueued on a stream, and one block's samples are read while the next computes.
"""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Block, EndArrays, OrderedSpikes, Session
from hhplug.device.block import DeviceBlock
from hhplug.device.downloads import StateOnHost
from hhplug.device.ending import Ending
from hhplug.device.features import DeviceFeatures
from hhplug.device.inputs import inputs_of, separable_of
from hhplug.device.interface import Array, Arrays, Event, PlacedSpikes, Shapes
from hhplug.device.kept import Allocation, KeptMemory
from hhplug.device.launch import SLOTS, Launch, Slot, Start
from hhplug.device.spike_store import SpikeStore
from hhplug.device.transfers import Begun, Copy, Source
from hhplug.device.uploads import Sources, upload_all
from hhplug.device.work_arrays import INT, Views, WorkArrays
from hhplug.lowering.program import Program
from hhplug.problem import Problem
from hhplug.state import State

SPIKES_PER_MS = 0.12  # 1/ms; a block has room for this many spikes of each neuron
# Bounds of a block's room, in spikes. There is always room for one spike of each neuron.
LEAST_ROOM, MOST_ROOM = 2**12, 2**24


class DeviceSession(Session):
    """A session whose subclass, in a plugin, implements `make_ready`, `launch` and `place_spikes`.

    memory: of the device, which the sessions of a backend share.
    program: a step of the problem's membrane, as the kernel computes it.
    constants: numbers that the kernel needs, in its order.

    `open` allocates and uploads. self.arrays then has these arrays:

    "constants": the constants;
    "rows", (rows, N) or (rows, 1): the program's rows, in its order;
    "gain", (J, N) or (J, 1): gain of a separable current, over C_m; J is at least 1;
    "held", (J,): the waveforms, if they are the same in all steps of the run; else empty;
    "state" and "spike_count", of all blocks, as `Launch` explains them;
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
    steady: bool  # whether the current, or that beside a noise, is the same in all steps
    J: int  # waveforms of a separable current, at least 1
    row_length: int  # numbers that describe the current of one step on the device
    process_per_neuron: bool
    first_neuron: int
    replay: Start | None  # where a block is repeated whose spikes didn't fit; while it is open
    store: SpikeStore | None  # while it is open, if the problem's spikes are ordered at the end
    stream: Any  # while it is open; it may have attributes beyond Stream's

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
        # What the session holds of the kept memory, while it is open.
        self._given: Allocation | None = None
        self._work: Allocation | None = None
        self._flags: NDArray[np.int32] | None = None
        self._uploaded: Sources = {}  # once all uploads are enqueued
        self.stream = self.store = self.replay = None
        self._ending: Ending | None = None  # while it is open

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
                try:
                    self._end()
                finally:
                    self._memory.release()
                raise
        return self

    def _open(self) -> None:
        problem, memory = self.problem, self._memory
        current = problem.current
        self.steady = self._is_steady()
        held = partial(self.current, problem.start_step, 1) if self.steady else None
        inputs = inputs_of(problem, self.program, self._constants, held)
        self.rows_per_neuron = inputs["rows"].width > 1
        self.J, self.gain_per_neuron = inputs["gain"].n_rows, inputs["gain"].width > 1
        self.process_per_neuron = bool(self.noise) and inputs["process"].width > 1
        self.first_neuron = int(self.noise.neurons[0]) if self.noise else 0
        self.row_length = current.array.row_length if current.array else self.J
        per_block = problem.spikes != "off" and not problem.ordered_spikes
        self.spike_count = np.zeros(problem.n_neurons if per_block else 0, INT)
        self.stream, self._ending = memory.take_stream(), Ending(self)
        if problem.device_arrays:  # arrays already given out belong to the user
            shape = (len(self._steps), problem.n_recorded)
            for name in problem.record:
                self._device_samples[name] = self.device.kept(shape, self.dtype)
            self._wait_for_users()
        shapes: Shapes = {name: (each.size, each.dtype) for name, each in inputs.items()}
        self._given = given = self.take("inputs", shapes)
        work = self._work_arrays()
        self._work = self.take("work", self._with_sums(work.shapes()))
        owned = self._work.arrays
        views: Views = self._work.views or work.views(owned)
        self._work.views = views
        self.arrays = {name: given.arrays[name] for name in inputs}
        self.arrays |= {"state": owned["state"], "spike_count": views.spike_count}
        if self.features:
            self.arrays |= {name: owned[name] for name in self.features.shapes()}
        self.replay, self.slots = views.replay, views.slots
        self._flags = memory.take_flags()
        for slot, found in zip(self.slots, self._flags, strict=True):
            slot.found = found
        if problem.ordered_spikes:
            self.store = SpikeStore(self, views.spike_count)
        self.stream.zero(owned["zeroed"])
        uploaded = upload_all(self, given, inputs)
        self.make_ready()
        self._uploaded = uploaded

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
        separable = separable_of(self.problem)
        assert separable
        rows = separable.waveform(first, count).astype(self.dtype)
        return rows if rows.size else np.zeros((count, 1), self.dtype)

    def _is_steady(self) -> bool:
        separable, problem = separable_of(self.problem), self.problem
        return bool(separable) and separable.constant_over(problem.start_step, problem.n_steps)

    def held_values(self) -> tuple[bool, ...]:
        """The values that `Launch.held` may take in blocks of this run."""
        if self.array_current:
            return (False,)
        return (True,) if self.steady else (True, False)

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

        arrays: "neuron" (int64) and "time" (float64, ms), whose first elements are to be filled,
            sorted by neuron and then by time; and "places", (N,) int64, which is room for the place
            of each neuron's first spike: the spikes of all neurons before it, whose counts
            self.arrays has as "spike_count". A spike's place is its ordinal after that.
        first_neuron: is added to the index of each neuron.

        A time is (first_step + step + fraction) · dt, each operation in float64. No part is empty.
        """

    @abstractmethod
    def widen_counts(self, counts: Array) -> None:
        """Enqueue on self.stream a copy of "spike_count" to an array of int64, (N,).

        It is called for large N.
        """

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

    def enqueue(self, work: Launch, slot: Slot) -> Event:
        """Launch a kernel; return an event that happens when its samples and spikes are written.

        slot: has the launch's flags, which are then in slot.found too. Unless the spikes are
        ordered at the end, spike_count then has those of this launch.
        """
        if work.spike_count is not None and not self.problem.ordered_spikes:
            self.stream.zero(work.spike_count)
        self.stream.zero(slot.flags)
        assert slot.found is not None
        self.launch(work)
        self.stream.to_host(slot.found, slot.flags)
        return self.stream.record()

    @property
    def ending(self) -> Ending:
        """What brings the state and the spikes home, while the session is open."""
        assert self._ending
        return self._ending

    def begin_state(self, variables: NDArray[Any]) -> None:
        with self.device.current():
            self.ending.begin_state(variables)

    def state(self) -> State:
        with self.device.current():
            return self.ending.begin(self.ending.arrays())()

    def state_of(self, on_host: StateOnHost) -> State:
        """The state at the step that is reached, which came home after the last block was read."""
        return on_host.state(self._step, self._valid)

    def ordered_spikes(self) -> OrderedSpikes:
        return self.ending.take_spikes()

    def end_into(self, arrays: EndArrays) -> Callable[[], State]:
        with self.device.current():
            finish = self.ending.begin(arrays)

        def finished() -> State:
            with self.device.current():
                return finish()

        return finished

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

    def take(self, purpose: Hashable, shapes: Shapes) -> Allocation:
        """Arrays for the session's work, of the kept memory. Raises NotEnoughMemory."""
        allocation = self._memory.take(purpose, shapes)
        if allocation.fresh:
            self._wait_for_users()
        return allocation

    def give_back(self, purpose: Hashable, allocation: Allocation) -> None:
        """Keep arrays for the next session. All work on them is done."""
        self._memory.put(purpose, allocation)

    def drop(self, purpose: Hashable) -> bool:
        """Free what is kept for a purpose. Returns whether anything was."""
        return self._memory.drop(purpose)

    def _wait_for_users(self) -> None:
        """Make all work from now on wait for those who used new memory before."""
        used = self.device.stream().record()
        self.stream.wait(used)
        self.device.transfers.wait(used)

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
            current=self.arrays["held"] if self.steady else slot.current,
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
            self._end()

    def _end(self) -> None:
        """Wait for the stream, and keep for the next session what there is to keep."""
        stream, self.stream = self.stream, None
        try:
            if stream:
                if self._ending:
                    self._ending.hold(stream)
                stream.synchronize()
                self._memory.put_stream(stream)
                if self._flags is not None:
                    self._memory.put_flags(self._flags)
        finally:
            if self.store:
                self.store.free()
            for slot in self.slots:
                slot.done = None  # some libraries can free an event only while it is current
            # Nothing here may hold arrays any more, or some libraries don't free them.
            self.store = self.replay = None
            self.slots, self.arrays = [], {}
            self._flags = self._ending = None
            self._device_samples.clear()
            work, self._work = self._work, None
            given, self._given = self._given, None
            if work:
                self._memory.put("work", work)
            if given:
                given.note_contents(self._uploaded)
                self._memory.put("inputs", given)
