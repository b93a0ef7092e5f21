"""The running sums of features, which take samples of V and spikes in the order of time.

Each sum of a neuron is changed by one step after another, so that it has the same bits however a
run is cut into blocks, and wherever the neuron stands in its population.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.features.definitions import (
    FEATURES,
    ONSET_SLOPE,
    STRETCH,
    Window,
    of_group,
    sums_of,
    with_stretch,
)
from hhplug.threads import of_parts

Array = NDArray[Any]
# Neurons whose sums are computed together for all steps of a block, so that they fit the cache.
# 1024, 4096 and 20,000 take 0.50, 0.21 and 0.14 s for all features of 20,000 neurons over 1200
# steps (Intel Xeon, 2 cores).
PART = 16_384
# Neurons whose features are computed from their sums together. All features of 8 million take 0.58,
# 0.29, 0.23, 0.21 s with 2^14, 2^16, 2^17, 2^18 (8 threads, Intel Xeon, 16 cores).
PART_OF_VALUES = 2**18


class FeatureSums:
    """The running sums of the features of one run.

    features: their names. window: the steps first ≤ k < end. threshold: of spikes, mV. dt: ms.
    rows: the sums of the steps before, (sums, n_neurons) in the order of `sums_of`, which are
        changed; None begins anew.

    Samples and spikes of steps outside the window are left out.
    """

    def __init__(
        self,
        features: tuple[str, ...],
        window: tuple[int, int],
        n_neurons: int,
        threshold: float,
        dt: float,
        rows: NDArray[np.float64] | None = None,
    ):
        self._features, self._first, self._end = features, *window
        self._threshold, self._dt = threshold, dt
        starts = sums_of(features)
        if rows is None:
            rows = np.empty((len(starts), n_neurons))
            for row, start in zip(rows, starts.values(), strict=True):
                row[:] = start
        self.rows = rows
        self._sums = dict(zip(starts, self.rows, strict=True))

    def of(self, neurons: slice) -> "FeatureSums":
        """The sums of some of the neurons, which share the memory of these."""
        some = copy(self)
        some.rows = self.rows[:, neurons]
        some._sums = dict(zip(self._sums, some.rows, strict=True))
        return some

    def samples(self, first: int, V: Array, neurons: slice = slice(None)) -> None:
        """Take the samples of V of the steps from `first` on, mV: (steps, neurons).

        neurons: those of the columns, by default all. Each neuron's steps must come in order.
        """
        skipped = max(0, self._first - first)
        V = V[skipped : max(0, self._end - first)]
        if not len(V):
            return
        start, stop, _ = neurons.indices(self.rows.shape[1])
        for part in range(start, stop, PART):
            end = min(part + PART, stop)
            self._take(first + skipped, V[:, part - start : end - start], slice(part, end))

    def _take(self, first: int, V: Array, neurons: slice) -> None:
        sums = {name: row[neurons] for name, row in self._sums.items()}
        if of_group(self._features, "mean"):
            _add(sums, first, V, self._first)
        if of_group(self._features, "range"):
            np.minimum(sums["V_min"], V.min(axis=0), out=sums["V_min"])
            np.maximum(sums["V_max"], V.max(axis=0), out=sums["V_max"])
        if of_group(self._features, "shape"):
            if first == self._first:
                sums["previous"][:] = V[0]
                first, V = first + 1, V[1:]
            _follow(sums, first, V, V.dtype.type(self._threshold), self._dt)

    def spikes(self, found: Sequence[tuple[Array, Array, Array]]) -> None:
        """Take the spikes of a block. found: arguments of `Recorded.add_spikes`, in any order."""
        if not found or not of_group(self._features, "spikes"):
            return
        neuron, step, fraction = map(np.concatenate, zip(*found, strict=True))
        inside = np.flatnonzero((self._first <= step) & (step < self._end))
        order = inside[np.lexsort((step[inside], neuron[inside]))]
        neuron, time = neuron[order], np.add(step[order], fraction[order], dtype=np.float64)
        # The first spike of every neuron, then the second, and so on.
        begin = np.flatnonzero(np.diff(neuron, prepend=-1))
        count = np.diff(begin, append=len(neuron))
        for rank in range(count.max(initial=0)):
            at = begin[count > rank] + rank
            self._spike(neuron[at], time[at])

    def _spike(self, neuron: Array, time: Array) -> None:
        """Take one spike of some neurons. time: in steps."""
        sums = self._sums
        earlier = sums["spikes"][neuron]
        sums["first"][neuron[earlier == 0]] = time[earlier == 0]
        interval = time - sums["last"][neuron]
        second, later = earlier == 1, earlier > 1
        sums["interval"][neuron[second]] = interval[second]
        longer = interval[later] - sums["interval"][neuron[later]]
        sums["interval_squares"][neuron[later]] += longer**2
        sums["last"][neuron] = time
        sums["spikes"][neuron] += 1.0

    def values(
        self,
        step: int,
        valid: NDArray[np.bool_],
        new: Callable[[tuple[int], type], Array] = np.empty,
    ) -> dict[str, NDArray[np.float64]]:
        """The features before a step, all of whose earlier steps were taken: name → (n_neurons,).

        valid: a neuron's features are NaN unless it is. new: makes the arrays.
        """
        window = Window(self._first, max(0, min(step, self._end) - self._first), self._dt)
        n = self.rows.shape[1]
        values = {name: new((n,), float) for name in self._features}

        def compute(neurons: slice) -> None:
            for first in range(neurons.start, neurons.stop, PART_OF_VALUES):
                part = slice(first, min(first + PART_OF_VALUES, neurons.stop))
                sums = {name: row[part] for name, row in self._sums.items()}
                invalid = ~valid[part]
                with np.errstate(all="ignore"):  # each thread has its own
                    for name, row in values.items():
                        row[part] = FEATURES[name].value(sums, window)
                        row[part][invalid] = np.nan

        of_parts(compute, n, len(values))
        return values


def _add(sums: dict[str, Array], first: int, V: Array, window: int) -> None:
    """Add the samples of the steps from `first` on, one after another.

    sums: of the group "mean", (neurons,) each. window: its first step.
    """
    if first == window:
        sums["V_from"][:] = V[0]
    names = "V_from", "V_part", "V_part_squares"
    origin, part, squares = (sums[name].astype(V.dtype) for name in names)
    d = np.empty_like(part)
    for k, row in enumerate(V, first):
        np.subtract(row, origin, d)
        np.add(part, d, part)
        np.multiply(d, d, d)
        np.add(squares, d, squares)
        if (k + 1) % STRETCH == 0:
            sums["V_part"][:], sums["V_part_squares"][:] = part, squares
            totals = with_stretch(sums, min(STRETCH, k + 1 - window))
            sums["V_sum"][:], sums["V_squares"][:] = totals
            sums["V_from"][:] = origin[:] = row
            part[:] = squares[:] = 0.0
    sums["V_part"][:], sums["V_part_squares"][:] = part, squares


def _follow(sums: dict[str, Array], first: int, V: Array, threshold: Any, dt: float) -> None:
    """Follow each neuron's spikes through the samples of the steps from `first` on.

    sums: of the group "shape", (neurons,) each. All of them but times hold values of V's dtype.
    """
    previous, peak, trough = (sums[name].astype(V.dtype) for name in ("previous", "peak", "trough"))
    was_above, was_steep = previous >= threshold, sums["steep"] != 0.0
    above, steep, changed = np.empty((3, V.shape[1]), bool)
    rise, slope = np.empty_like(previous), V.dtype.type(ONSET_SLOPE * dt)
    for k, now in enumerate(V, first):
        np.subtract(now, previous, rise)
        np.greater_equal(rise, slope, steep)
        np.greater(steep, was_steep, changed)
        if changed.any():
            np.copyto(sums["onset"], previous, where=changed)
        np.maximum(peak, now, out=peak)
        np.minimum(trough, now, out=trough)
        np.greater_equal(now, threshold, above)
        np.not_equal(above, was_above, changed)
        if changed.any():
            crossing = np.flatnonzero(changed)
            time = k - 1 + (threshold - previous[crossing]) / rise[crossing].astype(np.float64)
            upward = above[crossing]
            rising, falling = crossing[upward], crossing[~upward]
            _begin_spikes(sums, rising, time[upward], trough)
            peak[rising] = now[rising]
            _end_spikes(sums, falling, time[~upward], peak)
            trough[falling] = now[falling]
        previous = now
        above, was_above, steep, was_steep = was_above, above, was_steep, steep
    sums["previous"][:], sums["steep"][:] = previous, was_steep
    sums["peak"][:], sums["trough"][:] = peak, trough


def _begin_spikes(sums: dict[str, Array], neuron: Array, time: Array, trough: Array) -> None:
    """The threshold is crossed upward, which ends the trough of the spike before."""
    depth = sums["trough_onset"][neuron] - trough[neuron]
    sums["depth"][neuron] += np.where(np.isnan(depth), 0.0, depth)
    sums["trough_onset"][neuron] = np.nan
    sums["spike_onset"][neuron] = sums["onset"][neuron]
    sums["up"][neuron] = time


def _end_spikes(sums: dict[str, Array], neuron: Array, time: Array, peak: Array) -> None:
    """The threshold is crossed downward. A spike of which no onset was seen isn't complete."""
    complete = neuron[~np.isnan(sums["spike_onset"][neuron])]
    time = time[~np.isnan(sums["spike_onset"][neuron])]
    onset = sums["spike_onset"][complete]
    sums["complete"][complete] += 1.0
    sums["amplitude"][complete] += peak[complete] - onset
    sums["width"][complete] += time - sums["up"][complete]
    sums["trough_onset"][complete] = onset
    sums["spike_onset"][neuron] = np.nan
    sums["onset"][neuron] = np.nan
