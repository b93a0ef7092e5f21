"""The interface of a device: what a plugin implements for its library."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from hhplug.device.transfers import Transfers
from hhplug.errors import BackendUnavailable, NotEnoughMemory

Array = Any
"""A one-dimensional array on the device; a slice shares its memory."""

Shapes = dict[Hashable, tuple[int, np.dtype]]
"""Key of an array → its number of elements and its type."""


@dataclass(frozen=True)
class PlacedSpikes:
    """The spikes of one launch, each with its place among those of its neuron."""

    ARRAYS: ClassVar[tuple[str, ...]] = ("neuron", "step", "fraction", "ordinal")

    total: int
    first_step: int  # of the launch, counted from time zero
    neuron: Array  # (total,) int32
    step: Array  # (total,) int32: of the launch, from 0
    fraction: Array  # (total,): of the step
    ordinal: Array  # (total,) int32: spikes of its neuron before it in the run


class Arrays(ABC):
    """Arrays that are allocated and freed together. Each has the key given to `Device.arrays`."""

    @abstractmethod
    def __getitem__(self, key: Hashable) -> Array: ...

    @abstractmethod
    def free(self) -> None:
        """Free the memory. It is called once, when no array is in use any more."""


class Event(Protocol):
    """A point in a stream, as a CUDA event marks it."""

    def synchronize(self) -> Any:
        """Wait until the work enqueued before the event is done."""
        ...


class Stream(ABC):
    """A queue of work that the device does in order. Only `synchronize` waits."""

    @abstractmethod
    def to_host(self, target: NDArray[Any], source: Array) -> None:
        """Copy target.size elements; target is pinned, contiguous and of source's type."""

    def rows_to_host(self, target: NDArray[Any], source: Array) -> None:
        """The same for a target of two dimensions whose rows are contiguous and lie apart.

        By default this is a copy for each row. With a single one for all of them, the CPU does less
        where several devices write to the columns of one array.
        """
        first = 0
        for row in target:
            self.to_host(row, source[first : first + row.size])
            first += row.size

    @abstractmethod
    def to_device(self, target: Array, source: NDArray[Any]) -> None:
        """Copy source.size elements; source is pinned, contiguous and of target's type."""

    @abstractmethod
    def copy(self, target: Array, source: Array) -> None:
        """Copy an array on the device to another of the same size."""

    @abstractmethod
    def zero(self, array: Array) -> None:
        """Set every element to 0."""

    def fill(self, array: Array, value: np.floating) -> bool:  # noqa: ARG002
        """Set every element to a value of the array's type. False: it can't, as by default."""
        return False

    @abstractmethod
    def record(self) -> Event:
        """Return an event that happens once the work enqueued so far is done."""

    @abstractmethod
    def wait(self, event: Event) -> None:
        """Make work enqueued from now on wait for an event of any stream of the device."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all enqueued work is done."""


class Device(ABC):
    """A device that all sessions on it share. Calls other than `current` are made within it."""

    transfers: Transfers
    """Copies to and from the device.

    __init__ sets Transfers(self.stream(), self.pinned, self.current, self.is_pinned).
    """

    keepers: "WeakSet[Any]"
    """The KeptMemory of each backend that is open on the device; __init__ sets WeakSet()."""

    @abstractmethod
    def current(self) -> AbstractContextManager[None]:
        """Make this the library's current device until the context ends."""

    @abstractmethod
    def arrays(self, shapes: Mapping[Hashable, tuple[int, np.dtype]]) -> Arrays:
        """Allocate arrays without initializing them; shapes is key → (number of elements, dtype).

        Raises NotEnoughMemory, made by `not_enough_memory`.
        """

    @abstractmethod
    def kept(self, shape: tuple[int, int], dtype: np.dtype) -> tuple[Any, Array]:
        """Allocate a recorded variable that stays on the device after the session.

        Returns the two-dimensional array that `Session.device_samples` gives to the user, and a
        one-dimensional Array of the same memory. Raises NotEnoughMemory.
        """

    @abstractmethod
    def pinned(self, size: int) -> NDArray[np.uint8]:
        """Allocate size bytes of pinned host memory, which the device copies without the CPU."""

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None] | None:  # noqa: ARG002
        """Pin memory that is allocated already, and return a function that undoes this.

        Any thread calls either, outside `current`. Returns None, as by default, if the memory can't
        be pinned; copies to it then go through buffers.
        """
        return None

    def is_pinned(self, array: NDArray[Any]) -> bool:  # noqa: ARG002
        """Whether an array on the host is in memory that the device copies without the CPU."""
        return False

    @abstractmethod
    def stream(self) -> Stream:
        """Create a stream; its work waits for what the user has enqueued on the device before."""


def not_enough_memory(free: float, size: float) -> NotEnoughMemory:
    """Return the error for a failed allocation; free and size are in bytes."""
    return NotEnoughMemory(
        f"the GPU has {free / 1e9:.2f} GB free, and {size / 1e9:.2f} GB are needed",
        "a smaller batch_size, record less, or spikes='counts'",
    )


def no_memory_to_begin(device: str, error: Exception) -> BackendUnavailable:
    """Return the error for a device without enough free memory for a context."""
    return BackendUnavailable(
        "out_of_memory",
        f"{device} has no memory left for a context",
        "end other programs on it; nvidia-smi lists them",
        detail=str(error),
    )


def chosen_index(device: int | None, names: Sequence[str], library: str) -> int:
    """Return the index of the device asked for, or 0 for None; names are those the library sees.

    Raises BackendUnavailable if no device has that index.
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
