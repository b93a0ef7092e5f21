"""What the runs of one Simulator share."""

from dataclasses import dataclass, field

from hhplug.running.block_length import BlockLength
from hhplug.running.buffer_pool import BufferPool


@dataclass
class Workspace:
    """The memory of deleted results, and the measured speed of the backend."""

    buffers: BufferPool = field(default_factory=BufferPool)
    block_length: BlockLength | None = None  # of the last run; None before the first
