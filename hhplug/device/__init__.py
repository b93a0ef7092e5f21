"""Shared code for backends on accelerators; a backend may do without it.

A plugin implements how its library allocates, copies and waits (`Device`, `Stream`, `Event`) and
launches its kernel from a subclass of `DeviceSession`. `DeviceSession` uploads the inputs, keeps
the blocks in order, copies samples to the host while the next block computes, and recomputes a
block whose spikes did not fit into their buffer.
"""

from hhplug.device.interface import (
    Array,
    Arrays,
    Device,
    Event,
    PlacedSpikes,
    Stream,
    chosen_index,
    no_memory_to_begin,
    not_enough_memory,
)
from hhplug.device.kept import KeptMemory
from hhplug.device.launch import InvalidRoom, Launch, SpikeRoom
from hhplug.device.session import DeviceSession
from hhplug.device.transfers import Copy, Transfers

__all__ = [
    "Array",
    "Arrays",
    "Copy",
    "Device",
    "DeviceSession",
    "Event",
    "InvalidRoom",
    "KeptMemory",
    "Launch",
    "PlacedSpikes",
    "SpikeRoom",
    "Stream",
    "Transfers",
    "chosen_index",
    "no_memory_to_begin",
    "not_enough_memory",
]
