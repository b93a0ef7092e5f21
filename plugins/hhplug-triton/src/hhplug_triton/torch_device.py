"""`hhplug.device` implemented with PyTorch, on a GPU, or on the CPU for the interpreter."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray

from hhplug.device import Arrays, Device, Event, Stream, Transfers, cuda_driver, not_enough_memory

TORCH = {
    np.dtype(np.float32): torch.float32,
    np.dtype(np.float64): torch.float64,
    np.dtype(np.int32): torch.int32,
    np.dtype(np.int64): torch.int64,
}


class TorchArrays(Arrays):
    def __init__(self, tensors: dict[Hashable, torch.Tensor]):
        self._tensors = tensors

    def __getitem__(self, key: Hashable) -> torch.Tensor:
        return self._tensors[key]

    def free(self) -> None:
        self._tensors.clear()


class TorchStream(Stream):
    """A stream of PyTorch's current device. module: of its kind, such as torch.cuda."""

    def __init__(self, module: Any, device: torch.device):
        self._module, self._device = module, device
        self._handle = module.Stream()
        self._handle.wait_stream(module.current_stream())
        self._copy_to_host = cuda_driver.copy_to_host() if is_nvidia(device) else None

    @property
    def pointer(self) -> int:
        """Address of the CUDA stream, for other libraries."""
        return self._handle.cuda_stream

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which PyTorch and Triton enqueue on this stream."""
        # torch.cuda.stream() would take 30 µs each time.
        return self._handle if isinstance(self._handle, torch.Stream) else nullcontext()

    def to_host(self, target: NDArray[Any], source: torch.Tensor) -> None:
        # PyTorch's copy keeps other threads from using Python for longer: V in pieces of 4 MB came
        # home at 6 to 14 GB/s, and at 16 by the driver's (H100, 12 threads).
        if self._copy_to_host and self._copy_to_host(target, source.data_ptr(), self.pointer):
            return
        with self.active():
            torch.from_numpy(target).copy_(_first(source, target.size), non_blocking=True)

    def rows_to_host(self, target: NDArray[Any], source: torch.Tensor) -> None:
        # PyTorch would copy to an array of its own first, and from there on the CPU.
        address, index = source.data_ptr(), self._device.index
        if not cuda_driver.rows_to_host(target, address, self.pointer, index):
            super().rows_to_host(target, source)

    def to_device(self, target: torch.Tensor, source: NDArray[Any]) -> None:
        with self.active():
            _first(target, source.size).copy_(torch.from_numpy(source), non_blocking=True)

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        with self.active():
            target.copy_(source)

    def zero(self, array: torch.Tensor) -> None:
        with self.active():
            array.zero_()

    def fill(self, array: torch.Tensor, value: np.floating) -> bool:
        with self.active():
            array.fill_(float(value))
        return True

    def record(self) -> Event:
        event = self._module.Event()
        event.record(self._handle)
        return event

    def wait(self, event: Event) -> None:
        self._handle.wait_event(event)

    def synchronize(self) -> None:
        self.record().synchronize()


class TorchDevice(Device):
    """A device of PyTorch; memory that a session frees returns to PyTorch's cache."""

    def __init__(self, device: torch.device):
        self.device = device
        self._module = torch.get_device_module(device)  # torch.cuda, torch.xpu, torch.cpu
        self.keepers: WeakSet[Any] = WeakSet()
        self.compiled: set[tuple[Any, ...]] = set()  # keys of the kernel variants that are compiled
        with self.current():
            self.transfers = Transfers(self.stream(), self.pinned, self.current, self.is_pinned)

    def current(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.device.type == "cpu" else self._module.device(self.device)

    def arrays(self, shapes: Mapping[Hashable, tuple[int, np.dtype]]) -> TorchArrays:
        return TorchArrays({key: self._empty(*shape) for key, shape in shapes.items()})

    def kept(self, shape: tuple[int, int], dtype: np.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        tensor = self._empty(shape, dtype)
        return tensor, tensor.view(-1)

    def _empty(self, shape: int | tuple[int, int], dtype: np.dtype) -> torch.Tensor:
        try:
            return torch.empty(shape, dtype=TORCH[dtype], device=self.device)
        except torch.OutOfMemoryError as error:
            free, _ = self._module.mem_get_info()
            raise not_enough_memory(free, float(np.prod(shape)) * dtype.itemsize) from error

    def pinned(self, size: int) -> NDArray[np.uint8]:
        pinned = self.device.type != "cpu"
        return torch.empty(size, dtype=torch.uint8, pin_memory=pinned).numpy()

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None] | None:
        if not is_nvidia(self.device):
            return None
        return cuda_driver.pin(memory, self.device.index)

    def is_pinned(self, array: NDArray[Any]) -> bool:
        return is_nvidia(self.device) and cuda_driver.is_pinned(array)

    def stream(self) -> TorchStream:
        return TorchStream(self._module, self.device)


def is_nvidia(device: torch.device) -> bool:
    """Return whether this is an NVIDIA GPU, whose instructions and driver may be used."""
    return device.type == "cuda" and torch.version.hip is None


def unsliced(array: torch.Tensor) -> torch.Tensor:
    """The array of which this is a slice."""
    return array if array._base is None else array._base


def _first(array: torch.Tensor, size: int) -> torch.Tensor:
    """The first elements of an array, which are a slice of it unless they are all."""
    return array if array.numel() == size else array[:size]


torch_device = cache(TorchDevice)
"""Return the TorchDevice of a device; there is one object per device and process."""
