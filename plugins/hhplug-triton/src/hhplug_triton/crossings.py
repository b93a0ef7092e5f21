"""The time of a spike within its step, in Triton."""

import triton
import triton.language as tl

from hhplug.crossings import NEWTON_STEPS

NEWTON = tl.constexpr(NEWTON_STEPS)


@triton.jit
def crossing(rise, change, slope, end_slope):
    """The fraction of a step at which V has risen by `rise`; see `hhplug.crossings`."""
    c = slope + end_slope - change - change
    b = change - slope - c
    low = tl.zeros_like(rise)
    high = low + 1.0
    s = rise / change
    for _ in tl.static_range(NEWTON):
        error = tl.fma(s, tl.fma(s, tl.fma(s, c, b), slope), -rise)
        low = tl.where(error < 0.0, s, low)
        high = tl.where(error < 0.0, high, s)
        s -= error / tl.fma(s, tl.fma(s, c + c + c, b + b), slope)
        s = tl.where((low <= s) & (s <= high), s, 0.5 * (low + high))
    return s
