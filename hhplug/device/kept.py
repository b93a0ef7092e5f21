"""Device memory that is kept from one session of a backend to the next.

Allocating takes a large part of a short run, and a run on the parameters of the one before needs
no upload of what follows from them.
"""

import weakref
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.buffer_pool import BufferPool
from hhplug.device.interface import Arrays, Device, Shapes, Stream
from hhplug.device.launch import N_FLAGS, SLOTS
from hhplug.errors import NotEnoughMemory


@dataclass
class Allocation:
    """Arrays that were allocated together, and what was uploaded to some of them."""

    shapes: Shapes
    arrays: Arrays
    contents: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    """Key of an array → what its contents were computed from; objects by weak references."""
    views: Any = None
    """What its user made of the arrays, which the next one need not make again."""
    fresh: bool = True
    """Whether those who used the memory before it was allocated may still use it."""

    def holds(self, key: Any, source: tuple[Any, ...]) -> bool:
        """Whether an array has the contents that are computed from the same objects and values."""
        held = self.contents.get(key, ())
        return bool(source) and len(held) == len(source) and all(map(_is_same, held, source))

    def note_contents(self, sources: Mapping[Any, tuple[Any, ...]]) -> None:
        """Note what was uploaded: key of an array → the objects and values it was computed from."""
        for key, source in sources.items():
            self.contents[key] = tuple(map(_noted, source))

    def free(self) -> None:
        """Free the arrays, which nothing uses any more."""
        self.views = None
        self.arrays.free()


class KeptMemory:
    """The memory of one backend's closed sessions, at most one allocation for each purpose, their
    streams, and where their flags come home.

    It belongs to the backend, and is freed with it. Calls are made within device.current().

    results: where the arrays of results on the host come from.
    """

    def __init__(self, device: Device, results: BufferPool | None = None):
        self.device, self.results = device, results or BufferPool()
        self.results.pin = device.pin
        self._kept: dict[Hashable, Allocation] = {}
        self._streams: list[Stream] = []  # all of whose work is done
        self._flags: list[NDArray[np.int32]] = []
        self._lock = Lock()
        device.keepers.add(self)
        # Without the callback's reference to self, which would keep it alive.
        weakref.finalize(self, _free_all, device, self._kept, self._streams).atexit = False

    def take(self, purpose: Hashable, shapes: Shapes) -> Allocation:
        """Arrays of these shapes: those that are kept for this purpose, or new ones.

        Raises NotEnoughMemory, after all that is kept on the device has been freed.
        """
        with self._lock:
            kept = self._kept.pop(purpose, None)
        if kept and kept.shapes == shapes:
            return kept
        if kept:
            kept.free()
        with suppress(NotEnoughMemory):
            return Allocation(shapes, self.device.arrays(shapes))
        for keeper in list(self.device.keepers):
            keeper.release()
        return Allocation(shapes, self.device.arrays(shapes))

    def put(self, purpose: Hashable, allocation: Allocation) -> None:
        """Keep arrays, which nothing uses any more, in place of those kept for this purpose."""
        allocation.fresh = False
        with self._lock:
            before = self._kept.pop(purpose, None)
            self._kept[purpose] = allocation
        if before:
            before.free()

    def drop(self, purpose: Hashable) -> bool:
        """Free what is kept for a purpose. Returns whether anything was."""
        with self._lock:
            kept = self._kept.pop(purpose, None)
        if kept:
            kept.free()
        return kept is not None

    def take_stream(self) -> Stream:
        """A stream that is kept, or a new one."""
        with self._lock:
            if self._streams:
                return self._streams.pop()
        return self.device.stream()

    def put_stream(self, stream: Stream) -> None:
        """Keep a stream all of whose work is done."""
        with self._lock:
            self._streams.append(stream)

    def take_flags(self) -> NDArray[np.int32]:
        """Pinned memory for the flags of each slot, (SLOTS, N_FLAGS), that is kept or new."""
        with self._lock:
            if self._flags:
                return self._flags.pop()
        size = SLOTS * N_FLAGS
        return self.device.pinned(4 * size).view(np.int32).reshape(SLOTS, N_FLAGS)

    def put_flags(self, flags: NDArray[np.int32]) -> None:
        """Keep memory to which nothing is written any more."""
        with self._lock:
            self._flags.append(flags)

    def release(self) -> None:
        """Free all that is kept on the device."""
        with self._lock:
            kept, streams = dict(self._kept), self._streams.copy()
            self._kept.clear()
            self._streams.clear()
        _free_all(self.device, kept, streams)


def _free_all(device: Device, kept: dict[Hashable, Allocation], streams: list[Stream]) -> None:
    with device.current():
        while kept:
            kept.popitem()[1].free()
        streams.clear()  # some libraries can free one only while the device is current


def _noted(item: Any) -> Any:
    try:
        return weakref.ref(item)
    except TypeError:
        return item


def _is_same(held: Any, item: Any) -> bool:
    return held() is item if isinstance(held, weakref.ref) else held == item
