"""One GPU: its context, the compiled kernels, memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pycuda.driver as cuda  # pyright: ignore[reportMissingImports]
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from hhplug import NotEnoughMemory
from hhplug_pycuda import probe
from hhplug_pycuda.transfers import Transfers

ALIGNMENT = 256  # bytes, of every array on the device


class Gpu:
    """The primary context of a device, shared with PyTorch, CuPy, JAX, and what we keep in it."""

    def __init__(self, index: int):
        cuda.init()
        device = cuda.Device(index)
        self._arch = "sm_{}{}".format(*device.compute_capability())
        self._context = device.retain_primary_context()
        with self.current():
            self.transfers = Transfers()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current, and give back whichever was."""
        self._context.push()
        try:
            yield
        finally:
            cuda.Context.pop()

    @cache  # noqa: B019 (there is one of each device, for good)
    def module(self, **choices: int) -> Any:
        """hh.cu for these choices: compiled once on a machine, then read from the user's cache."""
        source = files("hhplug_pycuda").joinpath("hh.cu").read_text(encoding="utf-8")
        options = [
            "-fmad=false",
            "-O3",
            *(f"-D{name}={value:d}" for name, value in choices.items()),
        ]
        nvcc = Path(probe.compiler()).resolve()
        made_of = [source, *options, self._arch, str(nvcc), str(nvcc.stat().st_mtime_ns)]
        key = sha256("\0".join(made_of).encode()).hexdigest()
        cubin = Path(user_cache_dir("hhplug")) / f"hh-{key[:32]}.cubin"
        if not cubin.exists():
            self._compile(source, options, cubin)
        return cuda.module_from_buffer(cubin.read_bytes())

    def _compile(self, source: str, options: list[str], cubin: Path) -> None:
        from pycuda import compiler  # pyright: ignore[reportMissingImports]  # 70 ms; seldom needed

        code = compiler.compile(
            source, arch=self._arch, options=options, no_extern_c=True, cache_dir=False
        )
        cubin.parent.mkdir(parents=True, exist_ok=True)
        partial = cubin.with_suffix(f".{os.getpid()}")
        partial.write_bytes(code)
        partial.replace(cubin)


def allocated(size: int) -> Any:
    """Memory on the device; NotEnoughMemory says how much is needed and free."""
    try:
        return cuda.mem_alloc(max(size, 1))
    except cuda.MemoryError as error:
        free, _ = cuda.mem_get_info()
        raise NotEnoughMemory(
            f"the GPU has {free / 1e9:.2f} GB free, and {size / 1e9:.2f} GB are needed; use a "
            "smaller batch_size, record less, or spikes='counts'"
        ) from error


class DeviceArray:
    """A recorded variable on the GPU; CuPy and PyTorch use it without a copy (`asarray`)."""

    def __init__(self, gpu: Gpu, shape: tuple[int, int], dtype: np.dtype):
        self.shape, self.dtype = shape, dtype
        self._gpu = gpu
        self._memory = allocated(shape[0] * shape[1] * dtype.itemsize)

    @property
    def address(self) -> int:
        return int(self._memory)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "version": 3,
        }

    def get(self) -> NDArray[Any]:
        """A copy as a NumPy array."""
        host = np.empty(self.shape, self.dtype)
        with self._gpu.current():
            ready = cuda.Event(cuda.event_flags.DISABLE_TIMING).record()
            self._gpu.transfers.to_host(ready, [(host, self.address)])
        return host


class Arrays:
    """Arrays on the device, in one allocation: name → address."""

    def __init__(self, sizes: dict[str, int]):
        offsets, end = {}, 0
        for name, size in sizes.items():
            offsets[name] = end
            end += -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        self._memory = allocated(end)
        self._offsets = offsets
        self._base = int(self._memory)

    def __getitem__(self, name: str) -> int:
        return self._base + self._offsets[name]

    def free(self) -> None:
        self._memory.free()


gpu = cache(Gpu)
"""The GPU of an index; one object in the life of this process."""
