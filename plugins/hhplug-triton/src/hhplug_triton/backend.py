"""The Triton backend, which launches the kernel of `kernels` in the sessions of `hhplug.device`."""

import platform
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import triton

from hhplug import BackendUnavailable
from hhplug.backend import Backend, Session
from hhplug.device import (
    Arrays,
    DeviceSession,
    InvalidRoom,
    KeptMemory,
    Launch,
    PlacedSpikes,
    SpikeRoom,
    chosen_index,
    no_memory_to_begin,
)
from hhplug.features.definitions import ONSET_SLOPE
from hhplug.problem import Problem
from hhplug_triton import kernels, placing
from hhplug_triton.equations import Equations, equations
from hhplug_triton.instructions import note_crossings
from hhplug_triton.kernel_cache import make_writable
from hhplug_triton.probe import FOR_TESTS, interpreted
from hhplug_triton.torch_device import TORCH, TorchDevice, is_nvidia, torch_device, unsliced

FEW = 65_536  # neurons; smaller populations are bound by a step's latency, not by throughput


@dataclass(frozen=True)
class Shape:
    """The launch shape: neurons and warps per program, and steps per loop iteration."""

    block: int
    warps: int
    unroll: int
    maxnreg: int | None = None  # most registers per thread; with None the compiler uses few


# Neuron-steps/s of the squid on an H100, in brackets with other shapes: 32 to 512 neurons, 1 to 16
# warps, and 1 to 6 steps.
SHAPE_OF_MANY = {  # 8 million neurons
    "float32": Shape(256, 8, 4),  # 1.36e11 (1.32e11–1.34e11)
    "float64": Shape(128, 4, 2),  # 4.18e10 (3.96e10–4.16e10)
}
SHAPE_OF_FEW = {  # 10,000 neurons
    "float32": Shape(32, 1, 4, maxnreg=128),  # 5.8e10 (5.3e10–5.7e10)
    "float64": Shape(32, 1, 4, maxnreg=255),  # 2.01e10 (1.54e10–1.99e10)
}
INTERPRETED_BLOCK = 2**16  # neurons; the interpreter's time grows with the number of programs
# The interpreter replaces functions of triton.language while a kernel runs, and keeps the number of
# the program that it is at, for all threads of the process.
INTERPRETER_LOCK = threading.Lock()


def _interpreter() -> AbstractContextManager[Any]:
    """Return a context in which a kernel may be launched, also by Triton's interpreter."""
    return INTERPRETER_LOCK if interpreted() else nullcontext()


class TritonBackend(Backend):
    def __init__(self, device: int | None = None):
        kind, names = _devices()
        make_writable()
        index = chosen_index(device, names, "PyTorch")
        self.device = names[index]
        try:
            self.torch_device = torch_device(torch.device(kind, index))
        except torch.OutOfMemoryError as error:
            raise no_memory_to_begin(self.device, error) from error
        self._memory = KeptMemory(self.torch_device, self.result_memory)

    def prepare(self, problem: Problem, max_steps: int) -> Session:
        return session(self._memory, problem, max_steps)

    def release_memory(self) -> None:
        self._memory.release()


def session(memory: KeptMemory, problem: Problem, max_steps: int) -> "TritonSession":
    """The opened session of a problem."""
    assert problem.dtype
    printed = equations(problem.membrane, problem.dtype, problem.method)
    return TritonSession(memory, problem, max_steps, printed).open()


def _devices() -> tuple[str, list[str]]:
    """Return PyTorch's device type, such as "cuda", and the names of its devices.

    Raises BackendUnavailable if there is none.
    """
    if interpreted():
        return "cpu", [f"Triton's interpreter on {platform.machine()}"]
    kind = torch.accelerator.current_accelerator(check_available=True)
    if kind is None:
        raise BackendUnavailable(
            "no_device",
            f"PyTorch {torch.__version__} finds no GPU",
            f"check nvidia-smi and that this PyTorch is built for your GPU; {FOR_TESTS}",
        )
    module = torch.get_device_module(kind)
    return kind.type, [module.get_device_name(index) for index in range(module.device_count())]


class TritonSession(DeviceSession):
    device: TorchDevice

    def __init__(self, memory: KeptMemory, problem: Problem, max_steps: int, printed: Equations):
        scalars = printed.program.scalar_values(problem.dt)
        about = problem.spike_threshold, printed.program.per_step(problem.dt)
        table = [*about, *scalars.values(), *printed.constants]
        if problem.current.noise:
            table.append(float(problem.current.noise.recursion.first))
        table.append(ONSET_SLOPE * problem.dt)  # mV: of V in a step at an onset of a spike
        super().__init__(memory, problem, max_steps, printed.program, table)
        self._printed = printed

    def make_ready(self) -> None:
        problem, program = self.problem, self.program
        n, fast = problem.n_neurons, is_nvidia(self.device.device)
        self._shape = (SHAPE_OF_FEW if n < FEW else SHAPE_OF_MANY)[self.dtype.name]
        shape, block = self._shape, self._shape.block
        if interpreted():
            block = min(triton.next_power_of_2(n), INTERPRETED_BLOCK)
        self._kernel: Any = kernels.hh[(triton.cdiv(n, block),)]
        self._common_arguments = {
            "N": n,
            "per_neuron": int(self.rows_per_neuron),
            "gain_per_neuron": int(self.gain_per_neuron),
            "J": self.J,
            "array_per_neuron": int(self.array_current and self.row_length > 1),
            "some": int(problem.record_neurons is not None),
            "columns": problem.n_recorded,
            "every": self.every,
            "room": self.room,
            "RECORD": bool(problem.record),
            "membrane_step": self._printed.step,
            "STATES": len(program.states),
            "ROWS": len(program.rows),
            "SCALARS": len(program.scalars),
            "CONSTANTS": len(self._printed.constants),
            "FAST": fast,
            "BLOCK": block,
            "num_warps": shape.warps,
            "enable_fp_fusion": False,
            **({"maxnreg": shape.maxnreg} if fast else {}),
            **self._noise_arguments(),
            **self._feature_arguments(fast),
        }
        for held in self.held_values():
            kernel = (program.digest, problem.spikes, self._kind_of_current(held), shape, block)
            kernel += (bool(problem.record), self.noise is not None)
            kernel += (self.features.group_bits() if self.features else 0,)
            if kernel not in self.device.compiled:
                # A launch of no steps compiles the kernel.
                self.launch(self.work(0, self.slots[0], first_sample=0, held=held))
                self.device.compiled.add(kernel)
        if problem.ordered_spikes and problem.spikes == "times" and not interpreted():
            self._prepare_placing()

    def _prepare_placing(self) -> None:
        """Compile the kernel that orders spikes, unless that is done."""
        kernel = "place_spikes", self.dtype
        if kernel in self.device.compiled:
            return
        integers, real = torch.int32, TORCH[self.dtype]
        of_part = integers, integers, real, integers
        of_run = integers, torch.int64, 0, 0, 0, torch.int64, torch.float64, placing.TILE
        warmup: Any = placing.place_spikes.warmup
        warmup(1, *of_part, *of_run, grid=(1,))
        self.device.compiled.add(kernel)

    def _noise_arguments(self) -> dict[str, Any]:
        """The arguments of the kernel that say what the noise is; empty without one."""
        if not self.noise:
            return {}
        return {
            "NOISE": True,
            "process": self.arrays["process"],
            "process_per_neuron": int(self.process_per_neuron),
            "quantiles": self.arrays["quantiles"],
            "neurons": self.arrays["neurons"],
            "some_neurons": int(len(self.arrays["neurons"]) > 0),
            "first_neuron": self.first_neuron,
            "seed": int(np.uint64(self.noise.seed).astype(np.int64)),
            "noise_stream": int(np.uint32(self.noise.stream).astype(np.int32)),
        }

    def _feature_arguments(self, fast: bool) -> dict[str, Any]:
        """The arguments of the kernel that say what features it computes; empty without any."""
        if not self.features:
            return {}
        groups, times = self.features.group_bits(), self.problem.spikes == "times"
        return {
            "FEATURES": groups,
            "NOTE": note_crossings(self.dtype.name, groups, times) if fast else "",
            "in_dtype": self.arrays["sums_in_dtype"],
            "sums": self.arrays["sums"],
        }

    def _sampled_arguments(self, work: Launch) -> dict[str, int]:
        """The arguments that say which steps of a launch are in the features' window."""
        if not self.features:
            return {}
        sampled = self.features.sampled(work.first_step, work.n_steps if work.sums else 0)
        return {
            "sums_step": work.first_step,
            "sums_first": sampled.first,
            "sums_last": sampled.last,
        }

    def _kind_of_current(self, held: bool) -> str:
        """The variant of the kernel that takes the current of a block."""
        if self.array_current:
            return "array"
        if held:
            return "held"
        return "waveform" if self.J == 1 else "waveforms"

    def launch(self, work: Launch) -> None:
        arrays, states = self.arrays, self.program.states
        # Triton compiles anew for pointers in a tuple that are aligned differently, as those of
        # slices are.
        samples = {name: unsliced(array) for name, array in work.samples.items()}
        before = max((array.storage_offset() for array in work.samples.values()), default=0)
        spikes = work.spikes._asdict() if work.spikes else dict.fromkeys(SpikeRoom._fields)
        invalid = work.invalid or InvalidRoom(None, None)
        current = self._kind_of_current(work.held)
        with self.stream.active(), _interpreter():
            self._kernel(
                steps=work.n_steps,
                state=work.state,
                rows=arrays["rows"],
                table=arrays["constants"],
                gain=arrays["gain"],
                current=work.current,
                CURRENT=current,
                UNROLL=self._shape.unroll,
                column=arrays["column"],
                samples=tuple(samples.get(name, work.state) for name in states),
                recorded=sum(1 << states.index(name) for name in samples),
                before=before,
                first=work.first_sample,
                spike_count=work.spike_count,
                any_invalid=invalid.any,
                first_invalid=invalid.first,
                **spikes,
                **({"begins": int(self.noise_begins(work))} if self.noise else {}),
                first_four=int(np.uint32(work.first_step // 4 % 2**32).astype(np.int32)),
                phase=work.first_step % 4,
                **self._sampled_arguments(work),
                **self._common_arguments,
            )

    def place_spikes(
        self, parts: Sequence[PlacedSpikes], arrays: Arrays, first_neuron: int
    ) -> None:
        counts, ends = self.arrays["spike_count"], arrays["places"]
        dt_bits = int(np.float64(self.problem.dt).view(np.int64))
        with self.stream.active(), _interpreter():
            torch.cumsum(counts, 0, dtype=torch.int64, out=ends)
            for part in parts:
                of_part = {name: getattr(part, name) for name in PlacedSpikes.ARRAYS}
                place: Any = placing.place_spikes[(triton.cdiv(part.total, placing.TILE),)]
                place(
                    n_spikes=part.total,
                    **of_part,
                    counts=counts,
                    ends=ends,
                    first_step=part.first_step,
                    dt_bits=dt_bits,
                    first_neuron=first_neuron,
                    neurons=arrays["neuron"],
                    times=arrays["time"],
                    TILE=placing.TILE,
                )

    def widen_counts(self, counts: torch.Tensor) -> None:
        self.stream.copy(counts, self.arrays["spike_count"])
