"""How long a run took."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Wall-clock times of a run, s."""

    prepare: float  # everything before the first step: compiling, allocating, uploading
    run: float  # stepping, and copying the samples to the host
    total: float


def summed(timings: Sequence[Timing]) -> Timing:
    """The sum of the times of several runs."""
    return Timing(
        sum(timing.prepare for timing in timings),
        sum(timing.run for timing in timings),
        sum(timing.total for timing in timings),
    )
