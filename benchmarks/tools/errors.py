"""The largest errors that the accuracy benchmarks may show."""

import math
import sys
from typing import cast

from hhplug.problem import DType
from hhplug.testing.accuracy import BOUNDS

LOSS = 4.0  # an error above LOSS times BASE's error is a loss of accuracy …
ROUNDING = 0.01  # … unless it is below this share of its bound, where rounding varies

BOUNDED = {  # benchmark: the field of Bounds that limits it
    "accuracy.TraceError.track_V_over_50_ms": "V_50_ms",
    "accuracy.SpikeTimeError.track_spike_time_over_200_ms": "spike_time",
    "accuracy.RateError.track_rate": "rate",
}
UNBOUNDED = {"accuracy.WorkPrecision.track_V_over_10_ms": 1e-6}  # mV; rounding varies below
NAMES = BOUNDED.keys() | UNBOUNDED.keys()


def greatest(key: tuple[str, ...], base: float) -> float:
    """Return the largest error allowed at HEAD if it was `base` at BASE (NaN: unknown)."""
    if key[0] in BOUNDED:
        bound = getattr(BOUNDS[cast(DType, key[2])], BOUNDED[key[0]])
        rounding = ROUNDING * bound
    else:
        bound, rounding = sys.float_info.max, UNBOUNDED[key[0]]  # so that an infinite error fails
    return bound if math.isnan(base) else min(bound, max(LOSS * base, rounding))
