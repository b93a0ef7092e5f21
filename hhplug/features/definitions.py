"""What each feature is: its unit, the sums from which it follows, and its formula.

A window is the steps first ≤ k < end. Its samples are V[k] at the begin of each step, and its
spikes are those of the run during these steps, at the times that the run gives them.

A complete spike is an upward crossing of the spike threshold, V[k − 1] < θ ≤ V[k], that is followed
by a downward one, both between samples of the window. Its onset is V[k] at the last sample before
it at which V begins to rise by ONSET_SLOPE or more, its peak is the highest sample until the
downward crossing, and its trough the lowest sample from there to the next upward crossing or the
window's end.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Sums = Mapping[str, NDArray[np.float64]]

ONSET_SLOPE = 10.0  # mV/ms; dV/dt at a spike's onset, eFEL's default DerivativeThreshold
V_ORIGIN = -65.0  # mV; V is summed from here, so that the sums of squares lose no digits

GROUPS: dict[str, dict[str, float]] = {
    "mean": {"V_sum": 0.0, "V_squares": 0.0},  # Σ (V − V_ORIGIN), mV, and of the squares
    "range": {"V_min": np.inf, "V_max": -np.inf},  # mV
    "spikes": {
        "spikes": 0.0,
        "first": np.nan,  # time of the first spike, in steps
        "last": np.nan,  # time of the last one, in steps
        "interval": np.nan,  # the first interval, in steps
        "interval_squares": 0.0,  # Σ (interval − the first one)²
    },
    "shape": {
        "previous": np.nan,  # the last sample, mV
        "steep": 0.0,  # 1 if V rose by ONSET_SLOPE or more to the last sample
        "onset": np.nan,  # V where the rise began, mV
        "spike_onset": np.nan,  # the onset of the spike that goes on, mV
        "up": np.nan,  # the time at which that spike crossed the threshold, in steps
        "peak": -np.inf,  # highest sample since then, mV
        "complete": 0.0,  # complete spikes
        "amplitude": 0.0,  # Σ (peak − onset) of the complete spikes, mV
        "width": 0.0,  # Σ of their times above the threshold, in steps
        "trough": np.inf,  # lowest sample since the last downward crossing, mV
        "trough_onset": np.nan,  # the onset of the spike to which this trough belongs, mV
        "depth": 0.0,  # Σ (onset − trough) of the complete spikes before that one, mV
    },
}
"""The sums of each group, and what they are before the window's first step."""


class Window(NamedTuple):
    """The steps of which features are computed, and how many are done."""

    first: int
    samples: int
    dt: float  # ms


class Feature(NamedTuple):
    """A number of each neuron: its unit, its meaning, and its value from the sums of a group."""

    unit: str
    meaning: str
    group: str
    value: Callable[[Sums, Window], NDArray[Any]]


def _V_std(sums: Sums, window: Window) -> NDArray[Any]:
    mean = sums["V_sum"] / window.samples
    # Rounding may leave a tiny negative variance where V is constant.
    return np.sqrt(np.maximum(sums["V_squares"] / window.samples - mean**2, 0.0))


def _isi_mean(sums: Sums, window: Window) -> NDArray[Any]:
    intervals = sums["spikes"] - 1.0
    return np.where(intervals >= 1, (sums["last"] - sums["first"]) / intervals * window.dt, np.nan)


def _isi_cv(sums: Sums, _: Window) -> NDArray[Any]:
    intervals = sums["spikes"] - 1.0
    total = sums["last"] - sums["first"]
    from_first = total - intervals * sums["interval"]  # Σ (interval − the first one)
    variance = (sums["interval_squares"] - from_first**2 / intervals) / (intervals - 1.0)
    cv = np.sqrt(np.maximum(variance, 0.0)) / (total / intervals)
    return np.where(intervals >= 2, cv, np.nan)


def _per_spike(name: str) -> Callable[[Sums, Window], NDArray[Any]]:
    """The mean over the complete spikes; 0/0 is NaN."""
    return lambda sums, _: sums[name] / sums["complete"]


def _ahp_depth(sums: Sums, _: Window) -> NDArray[Any]:
    last = sums["trough_onset"] - sums["trough"]
    return (sums["depth"] + np.where(np.isnan(last), 0.0, last)) / sums["complete"]


def _seen(name: str) -> Callable[[Sums, Window], NDArray[Any]]:
    """A sum that is a number from the first sample on."""
    return lambda sums, window: sums[name] if window.samples else sums[name] * np.nan


FEATURES = {
    "spike_count": Feature("1", "spikes in the window", "spikes", lambda sums, _: sums["spikes"]),
    "latency": Feature(
        "ms",
        "time from the window's begin to the first spike",
        "spikes",
        lambda sums, window: (sums["first"] - window.first) * window.dt,
    ),
    "isi_mean": Feature("ms", "mean interval between spikes", "spikes", _isi_mean),
    "isi_cv": Feature(
        "1", "standard deviation of the intervals (n − 1) over their mean", "spikes", _isi_cv
    ),
    "V_mean": Feature(
        "mV",
        "mean of V",
        "mean",
        lambda sums, window: V_ORIGIN + sums["V_sum"] / window.samples,
    ),
    "V_std": Feature("mV", "standard deviation of V", "mean", _V_std),
    "V_min": Feature("mV", "lowest V", "range", _seen("V_min")),
    "V_max": Feature("mV", "highest V", "range", _seen("V_max")),
    "ap_amplitude": Feature("mV", "mean of peak minus onset", "shape", _per_spike("amplitude")),
    "ap_width": Feature(
        "ms",
        "mean time above the spike threshold",
        "shape",
        lambda sums, window: sums["width"] / sums["complete"] * window.dt,
    ),
    "ahp_depth": Feature("mV", "mean of onset minus trough", "shape", _ahp_depth),
}
"""The features by name."""


def sums_of(features: tuple[str, ...]) -> dict[str, float]:
    """The sums that some features need, in a fixed order, and what they are at first."""
    groups = {FEATURES[name].group for name in features}
    return {
        name: start for group, sums in GROUPS.items() if group in groups
        for name, start in sums.items()
    }  # fmt: skip


def of_group(features: tuple[str, ...], *groups: str) -> bool:
    """Whether one of the features is computed from a sum of these groups."""
    return any(FEATURES[name].group in groups for name in features)
