"""How large the errors of the suite's accuracy benchmarks may be."""

import math
import sys
from typing import cast

from hhplug.problem import DType
from hhplug.testing.accuracy import BOUNDS

LOSS = 4.0  # times BASE's error, above which accuracy was lost …
ROUNDING = 0.01  # … unless the error is below this share of its bound, where rounding jitters

BOUNDED = {  # by which field of Bounds
    "accuracy.TraceError.track_V_over_50_ms": "V_50_ms",
    "accuracy.SpikeTimeError.track_spike_time_over_200_ms": "spike_time",
    "accuracy.RateError.track_rate": "rate",
}
UNBOUNDED = {"accuracy.WorkPrecision.track_V_over_10_ms": 1e-6}  # mV, below which rounding jitters
NAMES = BOUNDED.keys() | UNBOUNDED.keys()


def greatest(key: tuple[str, ...], base: float) -> float:
    """That a benchmark may show at HEAD where it showed `base` at BASE, NaN for nothing."""
    if key[0] in BOUNDED:
        bound = getattr(BOUNDS[cast(DType, key[2])], BOUNDED[key[0]])
        rounding = ROUNDING * bound
    else:
        bound, rounding = sys.float_info.max, UNBOUNDED[key[0]]  # an infinite error breaks it
    return bound if math.isnan(base) else min(bound, max(LOSS * base, rounding))
