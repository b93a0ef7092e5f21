"""A device of NumPy arrays, so that `hhplug.device` is tested without a GPU.

Its streams defer work until something waits for it, and new memory holds garbage, which is also
written late. If a wait is missing, the data are wrong in every run.
"""

from collections import deque
from contextlib import contextmanager
from functools import partial
from threading import RLock, local
from weakref import WeakSet

import numpy as np

from hhplug.backend import API, Backend, BackendSpec, Capabilities
from hhplug.crossings import crossing
from hhplug.device import (
    Arrays,
    Device,
    DeviceSession,
    KeptMemory,
    Stream,
    Transfers,
    not_enough_memory,
)
from hhplug.lowering.lower import lower
from hhplug.lowering.program import evaluate
from hhplug.plugins.choice import OpenedBackend
from hhplug.plugins.discovery import Entry

RUBBISH = 0x7F  # in every byte: 1e306 as float64, 3e38 as float32, no index as int32


class HostEvent:
    def __init__(self, stream, position):
        self._stream, self._position = stream, position

    def reach(self):
        self._stream.work_off(self._position)

    def synchronize(self):
        self._stream.device.check_current()
        self.reach()


class HostStream(Stream):
    """A queue of work; a prompt one does its work when it is enqueued."""

    def __init__(self, device, prompt):
        self.device, self._prompt = device, prompt
        self._queue, self._enqueued = deque(), 0

    def enqueue(self, work):
        self.device.check_current()
        with self.device.lock:
            self._queue.append(work)
            self._enqueued += 1
            if self._prompt:
                self.work_off(self._enqueued)

    def work_off(self, position):
        with self.device.lock:
            while self._enqueued - len(self._queue) < position:
                self._queue.popleft()()

    def to_host(self, target, source):
        self.device.check_pinned(target, source)
        self.enqueue(partial(np.copyto, target, source[: target.size]))

    def to_device(self, target, source):
        self.device.check_pinned(source, target)
        self.enqueue(partial(np.copyto, target[: source.size], source))

    def copy(self, target, source):
        assert target.shape == source.shape
        self.enqueue(partial(np.copyto, target, source))

    def zero(self, array):
        self.enqueue(partial(array.fill, 0))

    def fill(self, array, value):
        if array.itemsize > 4:  # as CUDA, which writes patterns of 32 bits
            return False
        assert value.dtype == array.dtype
        self.enqueue(partial(array.fill, value))
        return True

    def record(self):
        return HostEvent(self, self._enqueued)

    def wait(self, event):
        self.enqueue(event.reach)

    def synchronize(self):
        self.record().synchronize()


class HostArrays(Arrays):
    def __init__(self, device, arrays):
        self._device, self._arrays = device, arrays
        self.nbytes = sum(array.nbytes for array in arrays.values())

    def __getitem__(self, name):
        return self._arrays[name]

    def free(self):
        self._device.free += self.nbytes
        self._arrays.clear()


class Kept:
    def __init__(self, elements, shape):
        self._elements, self.shape, self.dtype = elements, shape, elements.dtype

    def get(self):
        return self._elements.reshape(self.shape).copy()


class HostDevice(Device):
    """A device on which `prompt` ("copies", "kernels" or "nothing") is done when enqueued."""

    def __init__(self, prompt="nothing", free=10**9):
        self.lock, self._entered, self._prompt = RLock(), local(), prompt
        self.free, self.buffers = free, []  # bytes; pinned buffers
        self.pins = []  # what was pinned after it had been allocated
        self.users = HostStream(self, prompt=False)
        self.keepers = WeakSet()
        with self.current():
            self.transfers = Transfers(
                HostStream(self, prompt == "copies"), self.pinned, self.current, self.is_pinned
            )

    @contextmanager
    def current(self):
        before = getattr(self._entered, "depth", 0)
        self._entered.depth = before + 1
        try:
            yield
        finally:
            self._entered.depth = before

    def check_current(self):
        assert getattr(self._entered, "depth", 0), "called outside device.current()"

    def check_pinned(self, host, array):
        assert any(np.may_share_memory(host, pin) for pin in (*self.buffers, *self.pins))
        assert host.flags.c_contiguous
        assert host.dtype == array.dtype

    def arrays(self, shapes):
        self.check_current()
        size = sum(count * dtype.itemsize for count, dtype in shapes.values())
        if size > self.free:
            raise not_enough_memory(self.free, size)
        self.free -= size
        return HostArrays(self, {name: self._rubbish(*shape) for name, shape in shapes.items()})

    def _rubbish(self, count, dtype):
        memory = np.empty(count * dtype.itemsize, np.uint8)
        self.users.enqueue(
            partial(memory.fill, RUBBISH)
        )  # the last user of the memory still writes
        return memory.view(dtype)

    def kept(self, shape, dtype):
        elements = self.arrays({"": (shape[0] * shape[1], dtype)})[""]
        return Kept(elements, shape), elements

    def pinned(self, size):
        self.check_current()
        self.buffers.append(np.full(size, RUBBISH, np.uint8))
        return self.buffers[-1]

    def pin(self, memory):
        self.pins.append(memory)
        address = memory.ctypes.data

        def unpin():
            self.pins[:] = (each for each in self.pins if each.ctypes.data != address)

        return unpin

    def is_pinned(self, array):
        return any(np.may_share_memory(array, memory) for memory in self.pins)

    def stream(self):
        stream = HostStream(self, self._prompt == "kernels")
        stream.wait(self.users.record())
        return stream


class HostSession(DeviceSession):
    def make_ready(self):
        self.device.check_current()

    def launch(self, work):
        self.stream.enqueue(partial(self._kernel, work))

    def _kernel(self, work):
        n, every = self.problem.n_neurons, self.every
        program = self.program
        threshold, per_step, *scalars = self.arrays["constants"]
        rows = self.arrays["rows"].reshape(len(program.rows), -1)
        values = dict(zip(program.scalars, scalars, strict=True))
        values |= zip(program.rows, rows, strict=True)
        gain = self.arrays["gain"].reshape(self.J, -1)
        column = np.arange(n) if self.problem.record_neurons is None else self.arrays["column"]
        columns = np.flatnonzero(column >= 0)
        state = work.state.reshape(len(program.states), n)
        count = np.zeros(n, np.int32) if work.spike_count is None else work.spike_count
        first_invalid = np.zeros(n, np.int32)
        assert not (work.spikes and work.spikes.total[0])
        # A kernel reads the row after the last, too.
        assert work.held or work.current.size >= (work.n_steps + 1) * self.row_length
        for k in range(work.n_steps):
            row = work.current[0 if work.held else k * self.row_length :][: self.row_length]
            I_ext = (
                row * values["per_C_m"] if self.array_current else sum(map(np.multiply, gain, row))
            )
            before = dict(zip(program.states, state.copy(), strict=True))
            sample, between = divmod(k - work.first_sample, every)
            if sample >= 0 and between == 0:
                for name, target in work.samples.items():
                    target = target[sample * self.problem.n_recorded :]
                    target[column[columns]] = before[name][columns]
            after = evaluate(program, {**values, **before, "I": I_ext + values["leak"]})
            state[:] = [after[program.outputs[name]] for name in program.states]
            invalid = ~(after[program.conductance] <= values["most_open"])
            first_invalid[invalid & (first_invalid == 0)] = k + 1
            V, V_next = before["V"], state[0]
            neuron = np.flatnonzero((V < threshold) & (threshold <= V_next))
            if work.spikes:
                begin, end = (
                    np.broadcast_to(after[slope], n)[neuron] * per_step
                    for slope in (program.slopes[0], program.slopes[-1])
                )
                rise, change = threshold - V[neuron], V_next[neuron] - V[neuron]
                fraction = crossing(rise, change, begin, end)
                self._keep_spikes(work.spikes, neuron, k, fraction, count[neuron])
            count[neuron] += 1
        first_invalid[(first_invalid == 0) & ~np.isfinite(state).all(axis=0)] = work.n_steps + 1
        if work.invalid and first_invalid.any():
            work.invalid.any[0] = 1
            found = first_invalid > 0
            work.invalid.first[found] = first_invalid[found]

    def _keep_spikes(self, spikes, neuron, k, fraction, ordinal):
        found = slice(spikes.total[0], spikes.total[0] + len(neuron))
        room = len(spikes.neuron[found])
        spikes.neuron[found] = neuron[:room]
        spikes.step[found] = k
        spikes.fraction[found] = fraction[:room]
        spikes.ordinal[found] = ordinal[:room]
        spikes.total[0] += len(neuron)

    def place_spikes(self, parts, arrays, first_neuron):
        self.stream.enqueue(partial(self._place_spikes, parts, arrays, first_neuron))

    def widen_counts(self, counts):
        self.stream.copy(counts, self.arrays["spike_count"])

    def _place_spikes(self, parts, arrays, first_neuron):
        count = self.arrays["spike_count"]
        places = arrays["places"]
        places[:] = np.cumsum(count) - count
        for part in parts:
            place = places[part.neuron] + part.ordinal
            arrays["neuron"][place] = part.neuron + first_neuron
            step = part.step + np.int64(part.first_step)
            arrays["time"][place] = np.add(step, part.fraction, dtype=float) * self.problem.dt


class HostBackend(Backend):
    device = "NumPy arrays"

    def __init__(self, host):
        self._memory = KeptMemory(host)

    def prepare(self, problem, max_steps):
        program = lower(problem.membrane, f"gpu-{problem.dtype}", problem.method)
        constants = [
            problem.spike_threshold,
            problem.dt,
            *program.scalar_values(problem.dt).values(),
        ]
        return HostSession(self._memory, problem, max_steps, program, constants).open()

    def release_memory(self):
        self._memory.release()


def backend_on(device):
    """Return a HostBackend on this device, opened for `simulate`."""
    capabilities = Capabilities(membranes="any", device_arrays=True, ordered_spikes=True)
    spec = BackendSpec("host", "host_device:HostBackend", API, "a toy", capabilities=capabilities)
    return OpenedBackend(Entry("host", "tests", "", spec), spec, HostBackend(device))
