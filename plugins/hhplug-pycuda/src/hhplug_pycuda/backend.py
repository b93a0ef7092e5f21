"""The PyCUDA backend: blocks of steps on a stream, samples and spikes brought home meanwhile."""

from typing import Any

import numpy as np
import pycuda.driver as cuda  # pyright: ignore[reportMissingImports]
from numpy.typing import NDArray

from hhplug import BackendUnavailable
from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.model import VARIABLES
from hhplug.problem import Problem
from hhplug.stimulus import ArrayCurrent
from hhplug_pycuda import probe
from hhplug_pycuda.gpu import Arrays, DeviceArray, Gpu, gpu
from hhplug_pycuda.layout import CONSTANTS, block_type

SLOTS = 2  # blocks that may be unread
SPIKES_PER_MS = 0.12  # of a neuron, that a block has room for at first
LEAST_ROOM, MOST_ROOM = 2**12, 2**26  # spikes; one a neuron at any rate

# Threads in a block and steps in the loop's body: the best of 32 to 512 and 1 to 4 on an H100.
FEW = 65_536  # neurons, below which the latency of a step counts and not the throughput
SHAPE_OF_FEW = {"float32": (64, 1), "float64": (64, 1)}
SHAPE_OF_MANY = {"float32": (256, 4), "float64": (128, 1)}


class PyCudaBackend(Backend):
    def __init__(self, device: int | None = None):
        names = probe.devices()
        probe.compiler()
        index = device or 0
        if index >= len(names):
            raise BackendUnavailable(
                "no_such_device",
                f"device {index} was asked for, but CUDA shows {len(names)}: {', '.join(names)}",
                f"use a device from 0 to {len(names) - 1}; CUDA_VISIBLE_DEVICES may hide others",
            )
        self.device = names[index]
        self.gpu = gpu(index)

    def prepare(self, problem: Problem, max_steps: int) -> Session:
        with self.gpu.current():
            return PyCudaSession(self.gpu, problem, max_steps)


class PyCudaSession(Session):
    def __init__(self, gpu: Gpu, problem: Problem, max_steps: int):
        self.gpu, self.problem = gpu, problem
        self.dtype = np.dtype(problem.dtype)
        self.steps = problem.sample_steps(problem.start_step, problem.n_steps)
        self._step = problem.start_step
        self._blocks = 0
        self._open = True
        n, real = problem.n_neurons, self.dtype.itemsize
        current = problem.current
        self._array = current.array if isinstance(current, ArrayCurrent) else None
        parameters, gain = self._parameters(), self._gain()
        times = problem.spikes == "times"
        expected = int(n * max_steps * problem.dt * SPIKES_PER_MS)
        self.room = max(n, min(max(expected, LEAST_ROOM), MOST_ROOM)) if times else 0
        rows = -(-max_steps // problem.record_every)
        row = len(gain) if self._array is None else self._array[0].size
        sizes = {
            "state": 4 * n * real,
            "parameters": parameters.nbytes,
            "constants": len(CONSTANTS) * real,
            "gain": gain.nbytes,
            "column": 0 if problem.record_neurons is None else 4 * n,
            "replay": 4 * n * real if times else 0,
        }
        for slot in range(SLOTS):
            sizes |= {
                f"current{slot}": max_steps * row * real,
                f"start{slot}": 4 * n * real if times else 0,
                f"count{slot}": 4 * n,
                f"total{slot}": 4,
                f"neuron{slot}": 4 * self.room,
                f"step{slot}": 4 * self.room,
                f"fraction{slot}": real * self.room,
            }
            if not problem.device_arrays:
                sample = problem.n_recorded * real
                sizes |= {f"{name}{slot}": rows * sample for name in problem.record}
        threads, unroll = (SHAPE_OF_FEW if n < FEW else SHAPE_OF_MANY)[str(problem.dtype)]
        module = gpu.module(
            REAL64=self.dtype == np.float64,
            RECORD=bool(problem.record),
            ARRAY=self._array is not None,
            LATENCY=n < FEW,
            UNROLL=unroll,
            THREADS=threads,
        )
        self._kernel = module.get_function("hh")
        self._shape = {"block": (threads, 1, 1), "grid": (-(-n // threads), 1)}
        self.kept: dict[str, DeviceArray] = {}
        if problem.device_arrays:
            shape = (len(self.steps), problem.n_recorded)
            self.kept = {name: DeviceArray(gpu, shape, self.dtype) for name in problem.record}
        self.arrays = Arrays(sizes)
        self.stream = cuda.Stream()
        state = np.ascontiguousarray(problem.initial_state, self.dtype)
        cuda.memcpy_htod(self.arrays["state"], state)
        cuda.memcpy_htod(self.arrays["parameters"], parameters)
        cuda.memcpy_htod(self.arrays["constants"], np.array(CONSTANTS, self.dtype))
        if gain.size:
            cuda.memcpy_htod(self.arrays["gain"], gain)
        if problem.record_neurons is not None:
            column = np.full(n, -1, np.int32)
            column[problem.record_neurons] = np.arange(problem.n_recorded)
            cuda.memcpy_htod(self.arrays["column"], column)
        self.template = self._arguments(parameters, gain)

    def _parameters(self) -> NDArray[Any]:
        """g_Na g_K g_L E_Na E_K g_L·E_L 1/C_m, the conductances over C_m: (7, n) or (7, 1)."""
        values = vars(self.problem.parameters).items()
        p = {name: np.atleast_1d(value) for name, value in values}
        over = 1.0 / p["C_m"]
        conductances = [p[name] * over for name in ("g_Na", "g_K", "g_L")]
        rows = [*conductances, p["E_Na"], p["E_K"], conductances[2] * p["E_L"], over]
        return np.stack(np.broadcast_arrays(*rows)).astype(self.dtype)

    def _gain(self) -> NDArray[Any]:
        """Of a separable current, over C_m: (J, n) or (J, 1)."""
        current = self.problem.current
        if isinstance(current, ArrayCurrent):
            return np.empty((0, 1), self.dtype)
        C_m = np.asarray(self.problem.parameters.C_m)
        return (current.gain / C_m).astype(self.dtype)

    def _arguments(self, parameters: NDArray[Any], gain: NDArray[Any]) -> NDArray[Any]:
        """What is the same for every block."""
        problem, arrays = self.problem, self.arrays
        b = np.zeros((), block_type(self.dtype))
        b["N"], b["dt"] = problem.n_neurons, problem.dt
        b["state"], b["parameters"] = arrays["state"], arrays["parameters"]
        b["constants"] = arrays["constants"]
        b["per_neuron"] = parameters.shape[1] > 1
        current = b["current"]
        current["gain"], current["J"] = arrays["gain"], len(gain)
        current["gain_per_neuron"] = gain.shape[1] > 1
        current["array_per_neuron"] = self._array is not None and self._array.ndim == 2
        b["samples"]["columns"] = problem.n_recorded
        b["samples"]["every"] = problem.record_every
        if problem.record_neurons is not None:
            b["samples"]["column"] = arrays["column"]
        b["spikes"]["threshold"], b["spikes"]["room"] = problem.spike_threshold, self.room
        return b

    def advance(self, n_steps: int) -> Block:
        with self.gpu.current():
            block = PyCudaBlock(self, self._step, n_steps, self._blocks % SLOTS)
        self._blocks += 1
        self._step += n_steps
        return block

    def enqueue(self, arguments: NDArray[Any], slot: int) -> cuda.Event:
        """Run a block; the event happens when its samples and spikes are there."""
        cuda.memset_d32_async(self.arrays[f"total{slot}"], 0, 1, self.stream)
        self._kernel(arguments[()], stream=self.stream, **self._shape)
        return self.mark()

    def state(self) -> NDArray[Any]:
        with self.gpu.current():
            state = np.empty((4, self.problem.n_neurons), self.dtype)
            self.gpu.transfers.to_host(self.mark(), [(state, self.arrays["state"])])
            return state

    def device_samples(self) -> dict[str, DeviceArray]:
        return self.kept

    def close(self) -> None:
        if self._open:
            self._open = False
            with self.gpu.current():
                self.stream.synchronize()
                self.arrays.free()

    def mark(self) -> cuda.Event:
        """An event behind what has been enqueued."""
        return cuda.Event(cuda.event_flags.DISABLE_TIMING).record(self.stream)


class PyCudaBlock(Block):
    """Steps first ≤ k < first + count, enqueued."""

    def __init__(self, session: PyCudaSession, first: int, count: int, slot: int):
        self._session, self._first, self._count, self._slot = session, first, count, slot
        problem, arrays = session.problem, session.arrays
        b = self._arguments = session.template.copy()
        b["steps"] = count
        kept = problem.sample_steps(first, count)
        b["samples"]["first"] = kept.start - first
        row = (kept.start - session.steps.start) // session.steps.step
        for i, name in enumerate(VARIABLES):
            if name in session.kept:
                offset = row * problem.n_recorded * session.dtype.itemsize
                b["samples"]["variable"][i] = session.kept[name].address + offset
            elif name in problem.record:
                b["samples"]["variable"][i] = arrays[f"{name}{slot}"]
        self._upload_current()
        if problem.spikes != "off":
            b["spikes"]["count"] = arrays[f"count{slot}"]
        if problem.spikes == "times":
            for name in ("total", "neuron", "step", "fraction"):
                b["spikes"][name] = arrays[f"{name}{slot}"]
            state = 4 * problem.n_neurons * session.dtype.itemsize
            cuda.memcpy_dtod_async(arrays[f"start{slot}"], arrays["state"], state, session.stream)
        self._done = session.enqueue(b, slot)

    def _upload_current(self) -> None:
        session, current = self._session, self._session.problem.current
        if isinstance(current, ArrayCurrent):
            rows, self._row_length = current.chunk(self._first, self._count), 1
            if rows.ndim == 2:
                self._row_length = rows.shape[1]
            pointer = "array"
        else:
            rows = current.waveform(self._first, self._count).astype(session.dtype)
            self._row_length = rows.shape[1]
            if not rows.size or (rows == rows[0]).all():
                rows = rows[:1]
                self._arguments["current"]["held"] = 1
            pointer = "waveform"
        address = session.arrays[f"current{self._slot}"]
        self._arguments["current"][pointer] = address
        self._pointer = pointer
        if rows.size:
            ready = session.gpu.transfers.to_device(address, rows, session.dtype)
            session.stream.wait_for_event(ready)

    def read(self, out: Recorded) -> None:
        session, problem = self._session, self._session.problem
        with session.gpu.current():
            count = np.zeros(problem.n_neurons, np.int32)
            total = np.zeros(1, np.uint32)
            copies = [(array, self._address(name)) for name, array in out.samples.items()]
            if problem.spikes != "off":
                copies.append((count, self._address("count")))
            if problem.spikes == "times":
                copies.append((total, self._address("total")))
            session.gpu.transfers.to_host(self._done, copies)
            if problem.spikes != "off":
                out.spike_count += count
            if total[0] > session.room:
                self._replay(out)
            elif total[0]:
                self._give_spikes(out, self._done, int(total[0]), self._first)

    def _address(self, name: str) -> int:
        return self._session.arrays[f"{name}{self._slot}"]

    def _give_spikes(self, out: Recorded, ready: cuda.Event, total: int, first: int) -> None:
        """Bring home the spikes of a run that began with step `first`."""
        kinds = {"neuron": np.int32, "step": np.int32, "fraction": self._session.dtype}
        arrays = {name: np.empty(total, kind) for name, kind in kinds.items()}
        copies = [(array, self._address(name)) for name, array in arrays.items()]
        self._session.gpu.transfers.to_host(ready, copies)
        out.add_spikes(arrays["neuron"], arrays["step"] + np.int64(first), arrays["fraction"])

    def _replay(self, out: Recorded) -> None:
        """Do the block again from its saved start, for the spikes alone, in runs with room enough.

        There is room for one spike of every neuron, so that one step always succeeds.
        """
        session, arrays, slot = self._session, self._session.arrays, self._slot
        start, end = arrays[f"start{slot}"], arrays["replay"]
        size = 4 * session.problem.n_neurons * session.dtype.itemsize
        b = self._arguments.copy()
        b["state"] = end
        b["spikes"]["count"] = 0
        b["samples"]["variable"] = 0
        done, steps = 0, self._count
        while done < self._count:
            steps = min(steps, self._count - done)
            b["steps"] = steps
            if not b["current"]["held"]:
                offset = done * self._row_length * session.dtype.itemsize
                b["current"][self._pointer] = arrays[f"current{slot}"] + offset
            cuda.memcpy_dtod_async(end, start, size, session.stream)
            ready = session.enqueue(b, slot)
            total = np.empty(1, np.uint32)
            session.gpu.transfers.to_host(ready, [(total, self._address("total"))])
            if total[0] > session.room:
                steps = max(1, steps // 2)
                continue
            if total[0]:
                self._give_spikes(out, ready, int(total[0]), self._first + done)
            cuda.memcpy_dtod_async(start, end, size, session.stream)
            done += steps
