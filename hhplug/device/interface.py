"""A device as a session needs it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hhplug.device.transfers import Transfers
from hhplug.errors import BackendUnavailable, NotEnoughMemory

Array = Any
"""Elements of one type on the device, in one dimension; a slice shares their memory."""


class Arrays(ABC):
    """Arrays by name, allocated together."""

    @abstractmethod
    def __getitem__(self, name: str) -> Array: ...

    @abstractmethod
    def free(self) -> None:
        """Called once, when nothing uses them any more."""


class Event(Protocol):
    """A point in a stream."""

    def synchronize(self) -> Any:
        """Wait until the work before it is done."""
        ...


class Stream(ABC):
    """Work that a device does in order. Its methods enqueue; one waits."""

    @abstractmethod
    def to_host(self, target: NDArray[Any], source: Array) -> None:
        """Copy as many elements as target has; target is pinned, contiguous, of the same type."""

    @abstractmethod
    def to_device(self, target: Array, source: NDArray[Any]) -> None:
        """Copy as many elements as source has; source is pinned, contiguous, of the same type."""

    @abstractmethod
    def copy(self, target: Array, source: Array) -> None:
        """Copy an array to another of the same size."""

    @abstractmethod
    def zero(self, array: Array) -> None:
        """Set every element to 0."""

    @abstractmethod
    def record(self) -> Event:
        """An event behind what has been enqueued."""

    @abstractmethod
    def wait(self, event: Event) -> None:
        """Let what is enqueued from now on wait for an event of any stream of the device."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything is done."""


class Device(ABC):
    """One device, for every session on it. All calls but `current` are made within `current()`."""

    transfers: Transfers
    """Its copies; a device makes them when it is made: Transfers(self.stream(), self.pinned)."""

    @abstractmethod
    def current(self) -> AbstractContextManager[None]:
        """Make it the one that the library's calls mean, and give back whichever was."""

    @abstractmethod
    def arrays(self, shapes: Mapping[str, tuple[int, np.dtype]]) -> Arrays:
        """Uninitialized arrays of these numbers of elements and types.

        Raises NotEnoughMemory, as `not_enough_memory` words it.
        """

    @abstractmethod
    def kept(self, shape: tuple[int, int], dtype: np.dtype) -> tuple[Any, Array]:
        """An array for the user, as `Session.device_samples` gives it, and its elements.

        Raises NotEnoughMemory.
        """

    @abstractmethod
    def pinned(self, size: int) -> NDArray[np.uint8]:
        """Host memory of this many bytes that the device copies from and to by itself."""

    @abstractmethod
    def stream(self) -> Stream:
        """A new one; it begins after what the user's own work on the device has enqueued."""


def not_enough_memory(free: float, size: float) -> NotEnoughMemory:
    """The error of an allocation that failed: bytes that are free, bytes that are needed."""
    return NotEnoughMemory(
        f"the GPU has {free / 1e9:.2f} GB free, and {size / 1e9:.2f} GB are needed",
        "a smaller batch_size, record less, or spikes='counts'",
    )


def no_memory_to_begin(device: str, error: Exception) -> BackendUnavailable:
    """The error of a device on which not even a context fits."""
    return BackendUnavailable(
        "out_of_memory",
        f"{device} has no memory left for a context",
        "end other programs on it; nvidia-smi lists them",
        detail=str(error),
    )


def chosen_index(device: int | None, names: Sequence[str], library: str) -> int:
    """The device asked for, the first by default, among those whose names a library shows.

    Raises BackendUnavailable where there is none of that index.
    """
    index = device or 0
    if index < len(names):
        return index
    raise BackendUnavailable(
        "no_such_device",
        f"device {index} was asked for, but {library} shows {len(names)}: {', '.join(names)}",
        f"use a device from 0 to {len(names) - 1}; variables such as CUDA_VISIBLE_DEVICES may "
        "hide others",
    )
