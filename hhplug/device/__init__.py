"""What backends on an accelerator share; a backend that has its own ways needs none of it.

A plugin says how its library allocates, copies and waits (`Device`, `Stream`, `Event`), and adds a
kernel to `DeviceSession`, which does the rest of a session: uploads, blocks, samples brought home
while the next block computes, spikes beyond the room for them.
"""

from hhplug.device.interface import (
    Array,
    Arrays,
    Device,
    Event,
    Stream,
    chosen_index,
    no_memory_to_begin,
    not_enough_memory,
)
from hhplug.device.session import DeviceSession, Launch, SpikeRoom
from hhplug.device.transfers import Transfers

__all__ = [
    "Array",
    "Arrays",
    "Device",
    "DeviceSession",
    "Event",
    "Launch",
    "SpikeRoom",
    "Stream",
    "Transfers",
    "chosen_index",
    "no_memory_to_begin",
    "not_enough_memory",
]
