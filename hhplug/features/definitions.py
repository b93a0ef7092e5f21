"""What each feature is: its unit, the sums from which it follows, and its formula.

A window is the steps first ≤ k < end. Its samples are V[k] at the start of each step, and its
spikes are those of the run during these steps, at the times that the run gives them.

A complete spike is an upward crossing of the spike threshold, V[k − 1] < θ ≤ V[k], that is followed
by a downward one, both between samples of the window. Its onset is V[k] at the last sample before
it, but after the spike before, at which V begins to rise by ONSET_SLOPE or more, or the window's
first sample if the rise is under way there. Its peak is the highest sample until the downward
crossing, and its trough the lowest sample from there to the next upward crossing or the window's
end.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Sums = Mapping[str, NDArray[np.float64]]

ONSET_SLOPE = 10.0  # mV/ms; dV/dt at a spike's onset, eFEL's default DerivativeThreshold
V_ORIGIN = -65.0  # mV; V is summed from here, so that the sums of squares lose no digits
STRETCH = 128  # samples that are summed in the run's dtype; a power of two

GROUPS: dict[str, dict[str, float]] = {
    "mean": {
        "V_from": np.nan,  # sample before this stretch, or the window's first, mV
        "V_part": 0.0,  # Σ (V − V_from) over this stretch, mV
        "V_part_squares": 0.0,  # Σ (V − V_from)², mV²
        "V_sum": 0.0,  # Σ (V − V_ORIGIN) over the stretches before, mV
        "V_squares": 0.0,  # Σ (V − V_ORIGIN)², mV²
    },
    # mV. Where the group "shape" is computed too, they need not know of the samples since the last
    # upward and downward crossing that its peak and its trough know of.
    "range": {"V_min": np.inf, "V_max": -np.inf},
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

IN_DTYPE = frozenset(
    "V_from V_part V_part_squares V_min V_max previous steep onset peak trough".split()  # noqa: SIM905
)
"""The sums that change with every sample: they are computed in the run's dtype, others in float64.

What is kept of both between blocks and runs is float64.
"""


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


def with_stretch(sums: Sums, samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """V_sum and V_squares, with the samples of the unfinished stretch added.

    samples: how many these are.
    """
    offset, part = sums["V_from"] - V_ORIGIN, sums["V_part"]
    shift = samples * offset
    squares = sums["V_part_squares"] + offset * (part + part + shift)
    return sums["V_sum"] + (part + shift), sums["V_squares"] + squares


def _totals(sums: Sums, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ (V − V_ORIGIN), mV, and Σ (V − V_ORIGIN)², mV², over the samples of the window."""
    return with_stretch(sums, min(window.samples, (window.first + window.samples) % STRETCH))


def _V_mean(sums: Sums, window: Window) -> NDArray[Any]:
    return V_ORIGIN + _totals(sums, window)[0] / window.samples


def _V_std(sums: Sums, window: Window) -> NDArray[Any]:
    total, squares = _totals(sums, window)
    mean = total / window.samples
    # Rounding may leave a tiny negative variance where V is constant.
    return np.sqrt(np.maximum(squares / window.samples - mean**2, 0.0))


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


def _V_min(sums: Sums, window: Window) -> NDArray[Any]:
    lowest = np.minimum(sums["V_min"], sums.get("trough", np.inf))
    return lowest if window.samples else lowest * np.nan


def _V_max(sums: Sums, window: Window) -> NDArray[Any]:
    highest = np.maximum(sums["V_max"], sums.get("peak", -np.inf))
    return highest if window.samples else highest * np.nan


FEATURES = {
    "spike_count": Feature("1", "spikes in the window", "spikes", lambda sums, _: sums["spikes"]),
    "latency": Feature(
        "ms",
        "time from the window's start to the first spike",
        "spikes",
        lambda sums, window: (sums["first"] - window.first) * window.dt,
    ),
    "isi_mean": Feature("ms", "mean interval between spikes", "spikes", _isi_mean),
    "isi_cv": Feature(
        "1", "standard deviation of the intervals (n − 1) over their mean", "spikes", _isi_cv
    ),
    "V_mean": Feature("mV", "mean of V", "mean", _V_mean),
    "V_std": Feature("mV", "standard deviation of V", "mean", _V_std),
    "V_min": Feature("mV", "lowest V", "range", _V_min),
    "V_max": Feature("mV", "highest V", "range", _V_max),
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


def groups_of(features: tuple[str, ...]) -> frozenset[str]:
    """The groups of sums that some features need."""
    return frozenset(FEATURES[name].group for name in features)


def sums_of(features: tuple[str, ...]) -> dict[str, float]:
    """The sums that some features need, in the order of GROUPS, and what they are at first."""
    groups = groups_of(features)
    return {
        name: start for group, sums in GROUPS.items() if group in groups
        for name, start in sums.items()
    }  # fmt: skip


def of_group(features: tuple[str, ...], *groups: str) -> bool:
    """Whether one of the features is computed from a sum of these groups."""
    return not groups_of(features).isdisjoint(groups)
