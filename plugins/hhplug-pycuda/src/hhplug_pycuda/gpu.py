"""A GPU through PyCUDA: its context, memory, streams and compiled kernels."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from weakref import WeakSet

import numpy as np
import pycuda.driver as cuda  # pyright: ignore[reportMissingImports]
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from hhplug.device import Arrays, Copy, Device, Stream, Transfers, cuda_driver, not_enough_memory
from hhplug_pycuda import probe

ALIGNMENT = 256  # bytes; each array on the device begins at a multiple of it


class Elements:
    """Elements of one type on the device, as `hhplug.device.Array` describes them."""

    def __init__(self, address: int, size: int, itemsize: int):
        self.address, self.size, self.itemsize = address, size, itemsize

    def __getitem__(self, part: slice) -> "Elements":
        start, stop, _ = part.indices(self.size)
        return Elements(self.address + start * self.itemsize, stop - start, self.itemsize)

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize


class GpuArrays(Arrays):
    """Arrays in one allocation, by their keys."""

    def __init__(self, shapes: Mapping[Hashable, tuple[int, np.dtype]]):
        offsets, end = {}, 0
        for key, (size, dtype) in shapes.items():
            offsets[key] = end
            end += -(-size * dtype.itemsize // ALIGNMENT) * ALIGNMENT
        self._memory = _allocate(end)
        self._arrays = {
            key: Elements(int(self._memory) + offsets[key], size, dtype.itemsize)
            for key, (size, dtype) in shapes.items()
        }

    def __getitem__(self, key: Hashable) -> Elements:
        return self._arrays[key]

    def free(self) -> None:
        self._memory.free()


class DeviceArray:
    """A recorded variable on the GPU; `asarray` of CuPy or PyTorch shares it without a copy."""

    def __init__(self, gpu: "Gpu", shape: tuple[int, int], dtype: np.dtype):
        self.shape, self.dtype = shape, dtype
        self._gpu = gpu
        size = shape[0] * shape[1]
        self._memory = _allocate(size * dtype.itemsize)
        self.elements = Elements(int(self._memory), size, dtype.itemsize)

    def __del__(self) -> None:
        if hasattr(self, "_memory"):
            with self._gpu.current():  # this may run in any thread
                self._memory.free()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.elements.address, False),
            "version": 3,
        }

    def get(self) -> NDArray[Any]:
        """Return a copy on the host."""
        host = np.empty(self.shape, self.dtype)
        with self._gpu.current():
            ready = cuda.Event(cuda.event_flags.DISABLE_TIMING).record()
            self._gpu.transfers.to_host(ready, [Copy(host, self.elements)])
        return host


def _allocate(size: int) -> Any:
    try:
        return cuda.mem_alloc(max(size, 1))
    except cuda.MemoryError as error:
        free, _ = cuda.mem_get_info()
        raise not_enough_memory(free, size) from error


class GpuStream(Stream):
    """A CUDA stream of the GPU of an index."""

    def __init__(self, index: int) -> None:
        self.handle, self._index = cuda.Stream(), index

    @property
    def pointer(self) -> int:
        """Address of the CUDA stream, for other libraries."""
        return self.handle.handle

    def to_host(self, target: NDArray[Any], source: Elements) -> None:
        cuda.memcpy_dtoh_async(target, source.address, self.handle)

    def rows_to_host(self, target: NDArray[Any], source: Elements) -> None:
        if not cuda_driver.rows_to_host(target, source.address, self.pointer, self._index):
            super().rows_to_host(target, source)

    def to_device(self, target: Elements, source: NDArray[Any]) -> None:
        cuda.memcpy_htod_async(target.address, source, self.handle)

    def copy(self, target: Elements, source: Elements) -> None:
        cuda.memcpy_dtod_async(target.address, source.address, source.nbytes, self.handle)

    def zero(self, array: Elements) -> None:
        cuda.memset_d8_async(array.address, 0, array.nbytes, self.handle)

    def fill(self, array: Elements, value: np.floating) -> bool:
        if value.itemsize != np.uint32().itemsize:  # CUDA writes patterns of up to 32 bits
            return False
        cuda.memset_d32_async(array.address, int(value.view(np.uint32)), array.size, self.handle)
        return True

    def record(self) -> cuda.Event:
        return cuda.Event(cuda.event_flags.DISABLE_TIMING).record(self.handle)

    def wait(self, event: cuda.Event) -> None:
        self.handle.wait_for_event(event)

    def synchronize(self) -> None:
        self.handle.synchronize()


class Current:
    """A context manager that makes a GPU's context current."""

    def __init__(self, context: Any):
        self._context = context

    def __enter__(self) -> None:
        self._context.push()

    def __exit__(self, *exception: object) -> None:
        cuda.Context.pop()


class Gpu(Device):
    """A GPU, used through its primary context, which PyTorch, CuPy and JAX share."""

    def __init__(self, index: int):
        cuda.init()
        device, self._index = cuda.Device(index), index
        self._arch = "sm_{}{}".format(*device.compute_capability())
        self._context = device.retain_primary_context()
        self.keepers: WeakSet[Any] = WeakSet()
        with self.current():
            self.transfers = Transfers(self.stream(), self.pinned, self.current, self.is_pinned)

    def current(self) -> "Current":
        return Current(self._context)

    def arrays(self, shapes: Mapping[Hashable, tuple[int, np.dtype]]) -> GpuArrays:
        return GpuArrays(shapes)

    def kept(self, shape: tuple[int, int], dtype: np.dtype) -> tuple[DeviceArray, Elements]:
        array = DeviceArray(self, shape, dtype)
        return array, array.elements

    def pinned(self, size: int) -> NDArray[np.uint8]:
        return cuda.pagelocked_empty(size, np.uint8)

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None] | None:
        return cuda_driver.pin(memory, self._index)

    def is_pinned(self, array: NDArray[Any]) -> bool:
        return cuda_driver.is_pinned(array)

    def stream(self) -> GpuStream:
        return GpuStream(self._index)

    @cache  # noqa: B019 (a Gpu lives as long as the process)
    def module(self, source: str, **choices: int) -> Any:
        """Return a text compiled with these macros, or read from the cache if it is there."""
        options = [
            "-fmad=false",
            "-O3",
            *(f"-D{name}={value:d}" for name, value in choices.items()),
        ]
        nvcc = Path(probe.compiler()).resolve()
        key_parts = [source, *options, self._arch, str(nvcc), str(nvcc.stat().st_mtime_ns)]
        key = sha256("\0".join(key_parts).encode()).hexdigest()
        cubin = Path(user_cache_dir("hhplug")) / f"hh-{key[:32]}.cubin"
        try:
            code = cubin.read_bytes()
        except OSError:  # it isn't there, or may not be read
            code = self._compile(source, options, str(nvcc))
            with suppress(OSError):  # nothing can be written: each process compiles it
                _keep(code, cubin)
        return cuda.module_from_buffer(code)

    @cache  # noqa: B019
    def function(
        self, name: str, arguments: str | tuple[str, ...], source: str, **choices: int
    ) -> Any:
        """A kernel of a module, for `prepared_async_call`.

        arguments: the types of its arguments, as the module struct writes them.
        """
        return self.module(source, **choices).get_function(name).prepare(arguments)

    def _compile(self, source: str, options: list[str], nvcc: str) -> bytes:
        from pycuda import compiler  # pyright: ignore[reportMissingImports]  # takes 70 ms

        return compiler.compile(
            source, nvcc, options, arch=self._arch, no_extern_c=True, cache_dir=False
        )


def _keep(code: bytes, cubin: Path) -> None:
    cubin.parent.mkdir(parents=True, exist_ok=True)
    # Each process or thread that compiles writes its own file; the contents are equal.
    with NamedTemporaryFile(dir=cubin.parent, delete=False) as partial:
        partial.write(code)
    Path(partial.name).replace(cubin)


gpu = cache(Gpu)
"""Return the GPU of an index; there is one object per GPU and process."""
