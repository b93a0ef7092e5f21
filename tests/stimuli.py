"""A stimulus of many terms, and the tolerance of a current, for several test files."""

from hhplug import Stimulus

ROUNDING = 1e-12  # µA/cm², a few float64 roundings of values near 1
MIXED = (
    Stimulus.constant([0.1, 0.2, 0.3])
    + Stimulus.sine(2.0, 37.0, 0.4, offset=[1, 2, 3])
    + Stimulus.pulse_train(1.0, 0.1, 0.3, 0.7, 9)
    + Stimulus.ramp(-1.0, [1, 2, 3], 0.5, 3.5)
)
