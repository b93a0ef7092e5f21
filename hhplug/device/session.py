"""A session on a device without its kernel: blocks of steps are enqueued on a stream, and what one
block recorded is read while the next computes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Block, Recorded, Session
from hhplug.device.interface import Array, Device, Event
from hhplug.model import derived_parameters
from hhplug.problem import Problem

SLOTS = 2  # blocks that may be enqueued and not yet read
SPIKES_PER_MS = 0.12  # spikes of a neuron per ms, for which a block has room
# Bounds of the room in spikes; there is always room for one spike of each neuron.
LEAST_ROOM, MOST_ROOM = 2**12, 2**24

ALIGNMENT = 64  # elements; each input begins at a multiple of it
INT = np.dtype(np.int32)
UNSIGNED = np.dtype(np.uint32)  # type of "total" on the host: it may pass 2**31


class SpikeRoom(NamedTuple):
    """The arrays that a launch writes its spikes to."""

    total: Array  # (1,) int32, 0 at first: spikes found, including those without room
    neuron: Array  # (room,) int32
    step: Array  # (room,) int32: step of the launch, from 0
    fraction: Array  # (room,): fraction of the step before the crossing


@dataclass(frozen=True)
class Launch:
    """The arguments of one kernel launch; arrays are on the device."""

    n_steps: int
    state: Array  # (4·N): V m h n, updated in place
    current: Array  # waveform (n_steps × J), or rows of an array current
    held: bool  # all rows are equal, and only the first is given
    samples: Mapping[str, Array]  # variable → room for its samples, one after another
    first_sample: int  # first sampled step of this launch; n_steps if none is sampled
    spike_count: Array | None  # (N,) int32: upward crossings in this launch, or None
    spikes: SpikeRoom | None  # None unless spike times are kept


class DeviceSession(Session):
    """A session whose subclass, in a plugin, implements `make_ready` and `launch`.

    self.arrays holds these before either is called:

    "constants": the constants that the plugin passed to __init__;
    "parameters", (7, N) or (7, 1): g_Na g_K g_L E_Na E_K g_L·E_L 1/C_m, conductances over C_m;
    "gain", (J, N) or (J, 1): gain of a separable current, over C_m; J is at least 1;
    "column", (N,) int32: each neuron's column among the recorded ones, −1 if it is not recorded;
    empty if every neuron is recorded.
    """

    def __init__(
        self, device: Device, problem: Problem, max_steps: int, constants: Sequence[float]
    ):
        device.transfers.refuse_fork()
        self.device, self.problem = device, problem
        self.dtype = np.dtype(problem.dtype)
        self._steps = problem.sample_steps(problem.start_step, problem.n_steps)
        self._step = problem.start_step
        self._blocks = 0
        parameters, gain = derived_parameters(problem.parameters), _gain(problem)
        inputs, slices = _concatenated(
            {
                "state": [problem.initial_state],
                "constants": [np.array(constants)],
                "parameters": parameters,
                "gain": [gain],
            }
        )
        self.parameters_per_neuron = parameters[0].size > 1
        self.J, self.gain_per_neuron = len(gain), gain.shape[1] > 1
        array = problem.current.array
        self.array_current = array is not None
        self.row_length = array.row_length if array else self.J  # elements per step
        # A longer interval changes nothing within a block, and may not fit the kernel's int32.
        self.every = min(problem.record_every, max_steps)
        times = problem.spikes == "times"
        expected = int(problem.n_neurons * max_steps * problem.dt * SPIKES_PER_MS)
        room = max(problem.n_neurons, min(max(expected, LEAST_ROOM), MOST_ROOM))
        self.room = room if times else 0  # spikes of a launch that fit their arrays
        self.spike_count = np.zeros(0 if problem.spikes == "off" else problem.n_neurons, INT)
        self.done: dict[int, Event] = {}  # slot → end of its last block
        shapes = self._shapes(max_steps)
        with device.current(), ExitStack() as undo:
            self._device_samples: dict[str, tuple[Any, Array]] = {}
            undo.callback(self._device_samples.clear)  # arrays already given out belong to the user
            if problem.device_arrays:
                shape = (len(self._steps), problem.n_recorded)
                for name in problem.record:
                    self._device_samples[name] = device.kept(shape, self.dtype)
            size = sum(rows.size for rows in inputs)
            owned = device.arrays({"inputs": (size, self.dtype)} | shapes)
            undo.callback(owned.free)
            self.arrays = {name: owned[name] for name in ("inputs", *shapes)}
            self.arrays |= {name: owned["inputs"][part] for name, part in slices.items()}
            undo.callback(self.arrays.clear)
            self.stream: Any = device.stream()  # may have attributes beyond Stream's
            undo.callback(self._end_stream)
            self._upload_all(inputs)
            self.make_ready()
            self._undo = undo.pop_all()

    def _upload_all(self, inputs: Sequence[NDArray[Any]]) -> None:
        problem = self.problem
        self.device.transfers.wait(self.stream.record())
        self.upload("inputs", *inputs)
        if problem.record_neurons is not None:
            column = np.full(problem.n_neurons, -1, np.int32)
            column[problem.record_neurons] = np.arange(problem.n_recorded)
            self.upload("column", column)

    def current(self, first: int, count: int) -> NDArray[Any]:
        """Return the current of the steps first ≤ k < first + count.

        The rows are those of an array current, or the waveforms of a separable one, (count, J);
        without any current they are zeros, (count, 1).
        """
        current = self.problem.current
        if current.array:
            return current.array.chunk(first, count)
        assert current.separable
        rows = current.separable.waveform(first, count).astype(self.dtype)
        return rows if rows.size else np.zeros((count, 1), self.dtype)

    @abstractmethod
    def make_ready(self) -> None:
        """Compile the kernel and do all that must precede the first launch."""

    @abstractmethod
    def launch(self, work: Launch) -> None:
        """Enqueue the kernel on self.stream."""

    def _shapes(self, max_steps: int) -> dict[str, tuple[int, np.dtype]]:
        problem, real = self.problem, self.dtype
        n, some = problem.n_neurons, problem.record_neurons is not None
        state = (4 * n, real)
        times = problem.spikes == "times"
        rows = -(-max_steps // problem.record_every)
        shapes = {
            "column": (n if some else 0, INT),
            "replay": state if times else (0, real),
        }
        for slot in range(SLOTS):
            shapes |= {
                f"current{slot}": (max_steps * self.row_length, real),
                f"start{slot}": state if times else (0, real),
                f"count{slot}": (n if problem.spikes != "off" else 0, INT),
                f"total{slot}": (1, INT),
                f"neuron{slot}": (self.room, INT),
                f"step{slot}": (self.room, INT),
                f"fraction{slot}": (self.room, real),
            }
            if not problem.device_arrays:
                recorded = (rows * problem.n_recorded, real)
                shapes |= {f"{name}{slot}": recorded for name in problem.record}
        return shapes

    def upload(self, name: str, *rows: NDArray[Any]) -> None:
        """Copy rows, one after another, to an array, for work enqueued from now on.

        The rows may be changed after the call: it returns when they have been read.
        """
        kind = INT if name == "column" else self.dtype
        self.stream.wait(self.device.transfers.to_device(self.arrays[name], rows, kind))

    def advance(self, n_steps: int) -> Block:
        with self.device.current():
            block = DeviceBlock(self, self._step, n_steps, self._blocks % SLOTS)
        self._blocks += 1
        self._step += n_steps
        return block

    def enqueue(self, work: Launch) -> Event:
        """Launch a kernel; return an event that happens when its samples and spikes are written."""
        if work.spikes:
            self.stream.zero(work.spikes.total)
        self.launch(work)
        return self.stream.record()

    def state(self) -> NDArray[Any]:
        state = np.empty((4, self.problem.n_neurons), self.dtype)
        with self.device.current():
            self.device.transfers.to_host(self.stream.record(), [(state, self.arrays["state"])])
        return state

    def device_samples(self) -> dict[str, Any]:
        return {name: array for name, (array, _) in self._device_samples.items()}

    def work(self, n_steps: int, slot: int, first_sample: int, held: bool) -> Launch:
        """Return the launch of the next n_steps steps.

        Its first sample is of its step first_sample; it has none if that is not below n_steps.
        """
        spikes = self.problem.spikes
        return Launch(
            n_steps=n_steps,
            state=self.arrays["state"],
            current=self.arrays[f"current{slot}"],
            held=held,
            samples=self._sample_arrays(self._step + first_sample, slot),
            first_sample=min(first_sample, n_steps),
            spike_count=None if spikes == "off" else self.arrays[f"count{slot}"],
            spikes=SpikeRoom._make(self.arrays[f"{name}{slot}"] for name in SpikeRoom._fields)
            if spikes == "times"
            else None,
        )

    def _sample_arrays(self, first: int, slot: int) -> dict[str, Array]:
        """Return variable → array for a block whose first sample is of step `first` of the run."""
        if not self._device_samples:
            return {name: self.arrays[f"{name}{slot}"] for name in self.problem.record}
        row = (first - self._steps.start) // self._steps.step
        offset = row * self.problem.n_recorded
        return {name: elements[offset:] for name, (_, elements) in self._device_samples.items()}

    def close(self) -> None:
        with self.device.current():
            self._undo.close()

    def _end_stream(self) -> None:
        self.stream.synchronize()
        self.done.clear()  # some libraries free these only while the device is current
        del self.stream


class DeviceBlock(Block):
    """The enqueued steps first ≤ k < first + count."""

    def __init__(self, session: DeviceSession, first: int, count: int, slot: int):
        self._session, self._first, self._slot = session, first, slot
        problem = session.problem
        rows = session.current(first, count)
        held = not session.array_current and bool((rows == rows[0]).all())
        session.upload(f"current{slot}", rows[:1] if held else rows)
        first_sample = problem.sample_steps(first, count).start - first
        self._work = session.work(count, slot, first_sample, held)
        if self._work.spikes:
            session.stream.copy(self._array("start"), session.arrays["state"])
        session.done[slot] = session.enqueue(self._work)

    def _array(self, name: str) -> Array:
        return self._session.arrays[f"{name}{self._slot}"]

    def read(self, out: Recorded) -> None:
        session, problem = self._session, self._session.problem
        count = session.spike_count
        total = np.zeros(1, UNSIGNED)
        copies = [(array, self._array(name)) for name, array in out.samples.items()]
        if problem.spikes != "off":
            copies.append((count, self._array("count")))
        if problem.spikes == "times":
            copies.append((total.view(INT), self._array("total")))
        with session.device.current():
            ready = session.done[self._slot]
            session.device.transfers.to_host(ready, copies)
            if problem.spikes != "off":
                out.spike_count += count
            if total[0] > session.room:
                self._replay(out)
            elif total[0]:
                self._give_spikes(out, ready, int(total[0]), self._first)

    def _give_spikes(self, out: Recorded, ready: Event, total: int, first: int) -> None:
        """Copy the spikes of a launch that began with step `first` to the host and add them."""
        kinds = {"neuron": INT, "step": INT, "fraction": self._session.dtype}
        arrays = {name: np.empty(total, kind) for name, kind in kinds.items()}
        copies = [(array, self._array(name)) for name, array in arrays.items()]
        self._session.device.transfers.to_host(ready, copies)
        out.add_spikes(arrays["neuron"], arrays["step"] + np.int64(first), arrays["fraction"])

    def _replay(self, out: Recorded) -> None:
        """Repeat the block from its saved start, for the spikes only, in launches whose spikes fit.

        There is room for one spike of each neuron, so that a launch of one step always fits.
        """
        session, whole = self._session, self._work
        start, end = self._array("start"), session.arrays["replay"]
        work = replace(whole, state=end, samples={}, spike_count=None)
        done, steps = 0, max(1, whole.n_steps // 2)
        while done < whole.n_steps:
            steps = min(steps, whole.n_steps - done)
            current = whole.current if whole.held else whole.current[done * session.row_length :]
            session.stream.copy(end, start)
            ready = session.enqueue(replace(work, n_steps=steps, current=current))
            total = np.empty(1, UNSIGNED)
            session.device.transfers.to_host(ready, [(total.view(INT), self._array("total"))])
            if total[0] > session.room:
                steps = max(1, steps // 2)
                continue
            if total[0]:
                self._give_spikes(out, ready, int(total[0]), self._first + done)
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
    gain = problem.current.gain_over(problem.parameters.C_m)
    return gain if len(gain) else np.zeros((1, 1))
