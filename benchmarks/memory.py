"""Memory that a run takes on the host, with V of every step recorded, and on the device."""

import ctypes
from ctypes import byref, c_int, c_size_t, c_void_p
from typing import Any

from .call import call, ready
from .contestants import BACKENDS, ON_GPU
from .inputs import DTYPES, Population
from .runs import checked_run, population_simulator

FEW, MANY = Population(100), Population(8_000_000)
STEPS = 80
TRACES = "V of every step"


class Host:
    """Peak memory of the process, including Python and its libraries; the result takes 200 MB."""

    params = (BACKENDS, DTYPES)
    param_names = ("backend", "dtype")
    version = "1"
    timeout = 300

    def setup(self, name: str, dtype: str) -> None:
        ready(name, dtype, TRACES)

    def peakmem_V_of_every_step(self, name: str, dtype: str) -> None:
        call(ready(name, dtype, TRACES), TRACES)


class Device:
    """GPU memory that a run takes, in bytes per neuron."""

    params = (ON_GPU, DTYPES)
    param_names = ("backend", "dtype")
    unit = "bytes a neuron"
    version = "1"
    timeout = 300

    def setup(self, name: str, dtype: str) -> None:
        population_simulator(name, dtype, FEW)

    def track_bytes_a_neuron(self, name: str, dtype: str) -> float:
        sim = population_simulator(name, dtype, FEW)
        checked_run(sim, FEW, STEPS)  # allocates the context, the kernel and pinned buffers
        before, during = free_on_device(), []
        sim = population_simulator(name, dtype, MANY)
        checked_run(sim, MANY, STEPS, progress=lambda _: during.append(free_on_device()))
        return (before - min(during)) / MANY.n


def free_on_device() -> int:
    """Return the free memory of the first GPU in bytes."""
    cuda: Any = ctypes.CDLL("libcuda.so.1")
    context, free, total, device = c_void_p(), c_size_t(), c_size_t(), c_int()
    cuda.cuDeviceGet(byref(device), 0)
    cuda.cuDevicePrimaryCtxRetain(byref(context), device)
    cuda.cuCtxPushCurrent_v2(context)
    status = cuda.cuMemGetInfo_v2(byref(free), byref(total))
    cuda.cuCtxPopCurrent_v2(byref(context))
    cuda.cuDevicePrimaryCtxRelease_v2(device)
    if status:
        raise RuntimeError(f"cuMemGetInfo: CUDA's error {status}")
    return free.value
