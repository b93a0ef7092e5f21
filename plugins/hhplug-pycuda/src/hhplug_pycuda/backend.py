"""The PyCUDA backend, which launches the kernel of hh.cu in the sessions of `hhplug.device`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycuda.driver as cuda  # pyright: ignore[reportMissingImports]

from hhplug.backend import Backend, Session
from hhplug.currents.noise import round_keys
from hhplug.device import (
    Arrays,
    DeviceSession,
    KeptMemory,
    Launch,
    PlacedSpikes,
    chosen_index,
    no_memory_to_begin,
)
from hhplug.device.cuda_driver import devices
from hhplug.problem import Problem
from hhplug_pycuda import probe
from hhplug_pycuda.gpu import Elements, Gpu, gpu
from hhplug_pycuda.layout import ARRAY, HELD, WAVEFORM, WAVEFORMS, block_type
from hhplug_pycuda.shape import FEW, Shape, shape
from hhplug_pycuda.source import equations, source
from hhplug_pycuda.spikes import SpikeKernels


class PyCudaBackend(Backend):
    def __init__(self, device: int | None = None):
        names = devices()
        probe.compiler()
        index = chosen_index(device, names, "CUDA")
        self.device = names[index]
        try:
            self.gpu = gpu(index)
        except cuda.MemoryError as error:
            raise no_memory_to_begin(self.device, error) from error
        self._memory = KeptMemory(self.gpu, self.result_memory)

    def prepare(self, problem: Problem, max_steps: int) -> Session:
        assert problem.dtype
        step = equations(problem.membrane, problem.dtype, problem.method)
        return PyCudaSession(self._memory, problem, max_steps, step.program, step.constants).open()

    def release_memory(self) -> None:
        self._memory.release()


class PyCudaSession(DeviceSession):
    device: Gpu

    def make_ready(self) -> None:
        n = self.problem.n_neurons
        launched = shape(self.dtype.name, n, sums=self.features is not None)
        self._kernels = {held: self._kernel(held, launched) for held in self.held_values()}
        threads = launched.threads
        self._launch_shape = {"block": (threads, 1, 1), "grid": (-(-n // threads), 1)}
        self._common_arguments = self._make_common_arguments()

    def _kernel(self, held: bool, launched: Shape) -> Any:
        """The kernel for blocks whose current is held, or for the others."""
        module = self.device.module(
            source(self.problem.membrane, self.dtype.name, self.problem.method),
            REAL64=self.dtype == np.float64,
            RECORD=bool(self.problem.record),
            CURRENT=HELD if held else self._changing_current(),
            NOISE=self.noise is not None,
            FEATURES=self.features.group_bits() if self.features else 0,
            LATENCY=self.problem.n_neurons < FEW,
            UNROLL=launched.unroll,
            THREADS=launched.threads,
            BLOCKS=launched.blocks,
        )
        return module.get_function("hh")

    def _changing_current(self) -> int:
        if self.array_current:
            return ARRAY
        return WAVEFORM if self.J == 1 else WAVEFORMS

    def _make_common_arguments(self) -> np.ndarray:
        """Return the kernel's argument with the fields that are the same for every launch."""
        problem, arrays = self.problem, self.arrays
        scalars = self.program.scalar_values(problem.dt)
        b = np.zeros((), self._block_type(len(scalars)))
        b["N"], b["scalars"] = problem.n_neurons, list(scalars.values())
        b["rows"], b["rows_per_neuron"] = arrays["rows"].address, self.rows_per_neuron
        b["constants"] = arrays["constants"].address
        current = b["current"]
        current["gain"], current["J"] = arrays["gain"].address, self.J
        current["gain_per_neuron"] = self.gain_per_neuron
        current["array_per_neuron"] = self.array_current and self.row_length > 1
        b["samples"]["columns"] = problem.n_recorded
        b["samples"]["every"] = self.every
        if problem.record_neurons is not None:
            b["samples"]["column"] = arrays["column"].address
        b["spikes"]["threshold"], b["spikes"]["room"] = problem.spike_threshold, self.room
        b["spikes"]["per_step"] = self.program.per_step(problem.dt)
        if self.noise:
            noise = b["noise"]
            noise["quantiles"] = arrays["quantiles"].address
            noise["process"] = arrays["process"].address
            noise["per_neuron"] = self.process_per_neuron
            noise["neurons"] = arrays["neurons"].address if arrays["neurons"].size else 0
            noise["first_neuron"] = self.first_neuron
            noise["first"], noise["stream"] = self.noise.recursion.first, self.noise.stream
            noise["keys"] = round_keys(self.noise.seed)
        if self.features:
            of_features = b["features"]
            of_features["in_dtype"] = arrays["sums_in_dtype"].address
            of_features["sums"] = arrays["sums"].address
            of_features["onset_rise"] = self.features.onset_rise
        return b

    def _block_type(self, n_scalars: int) -> np.dtype:
        optional = self.noise is not None, self.features is not None
        return block_type(self.dtype, len(self.program.states), n_scalars, *optional)

    def launch(self, work: Launch) -> None:
        b = self._common_arguments.copy()
        b["steps"], b["state"] = work.n_steps, work.state.address
        b["current"]["array" if self.array_current else "waveform"] = work.current.address
        b["samples"]["first"] = work.first_sample
        for name, array in work.samples.items():
            b["samples"]["state"][self.program.states.index(name)] = array.address
        if work.spike_count is not None:
            b["spikes"]["count"] = work.spike_count.address
        if work.spikes:
            for name, array in work.spikes._asdict().items():
                b["spikes"][name] = array.address
        if work.invalid:
            b["validity"]["any"] = work.invalid.any.address
            b["validity"]["first"] = work.invalid.first.address
        if self.noise:
            b["noise"]["step"], b["noise"]["begins"] = work.first_step, self.noise_begins(work)
        if self.features:
            sampled = self.features.sampled(work.first_step, work.n_steps if work.sums else 0)
            of_features = b["features"]
            of_features["step"] = work.first_step
            of_features["first"], of_features["last"] = sampled
        self._kernels[work.held](b[()], stream=self.stream.handle, **self._launch_shape)

    def place_spikes(
        self, parts: Sequence[PlacedSpikes], arrays: Arrays, first_neuron: int
    ) -> None:
        self._spike_kernels.place(parts, arrays, first_neuron)

    def widen_counts(self, counts: Elements) -> None:
        self._spike_kernels.widen_counts(counts)

    @property
    def _spike_kernels(self) -> SpikeKernels:
        count, dt = self.arrays["spike_count"], self.problem.dt
        return SpikeKernels(self.device, self.stream, self.dtype, count, dt)
