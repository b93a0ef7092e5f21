"""What the runs of one Simulator share."""

from dataclasses import dataclass

from hhplug.buffer_pool import BufferPool
from hhplug.running.block_length import BlockLength


@dataclass
class Workspace:
    """The memory of deleted results, which the backend keeps, and its measured speed."""

    result_memory: BufferPool
    block_length: BlockLength | None = None  # of the last run; None before the first
