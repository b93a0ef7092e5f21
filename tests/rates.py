"""The bounds on the errors of the six rates, and the voltages at which they are tested."""

import numpy as np

from hhplug.membranes import squid
from hhplug.testing.accuracy import BOUNDS

RATE_BOUND = {dtype: bounds.rate for dtype, bounds in BOUNDS.items()}

NAMES = ("alpha_m", "beta_m", "alpha_h", "beta_h", "alpha_n", "beta_n")


def squid_rate(name, V):
    """Return a rate of the squid membrane at V (mV), 1/ms; its name is for example alpha_m."""
    kind, gate = name.split("_")
    return getattr(squid.rates(V)[gate], kind)


def awkward_voltages(dtype):
    """Return voltages in mV from −150 to 150, with −40 and −55 and many values near these."""
    around = np.concatenate([sign * 10.0 ** np.linspace(-7.0, 1.0, 40_001) for sign in (-1, 1)])
    V = np.concatenate(
        [np.linspace(-150.0, 150.0, 300_001), -40.0 + around, -55.0 + around, [-40.0, -55.0]]
    ).astype(dtype)
    return np.concatenate([V, np.nextafter(V[-2:], V[-2:] - 1), np.nextafter(V[-2:], V[-2:] + 1)])


def worst_rate_error(V, rates):
    """Return the largest relative error of six rows of rates, or NaN if one is NaN."""
    expected = np.stack([squid_rate(name, V.astype(np.float64)) for name in NAMES])
    return np.abs(rates / expected - 1.0).max()
