"""The running sums of features, which take samples of V and spikes in the order of time.

Each sum of a neuron is changed by one step after another, so that it has the same bits however a
run is cut into blocks, and wherever the neuron stands in its population.
"""

from collections.abc import Callable, Iterator, Sequence
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
# Samples that are taken together, so that they fit the cache. All features of 20,000 neurons over
# 1200 steps take 0.32, 0.23 and 0.32 s with 2**17, 2**18 and 2**19 (AMD EPYC, 2 cores).
SAMPLES = 2**18
# Neurons whose features are computed from their sums together. All features of 8 million take 0.58,
# 0.29, 0.23, 0.21 s with 2**14, 2**16, 2**17, 2**18 (8 threads, Intel Xeon, 16 cores).
NEURONS = 2**18


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
        first += skipped
        together = SAMPLES // min(len(V), STRETCH)  # neurons
        for part in range(start, stop, together):
            columns = V[:, part - start : min(part + together, stop) - start]
            width = columns.shape[1]
            sums = {name: row[part : part + width] for name, row in self._sums.items()}
            steps = max(1, SAMPLES // width // STRETCH) * STRETCH
            for begin, end in _cut(first, first + len(V), steps):
                self._take(sums, begin, columns[begin - first : end - first])

    def _take(self, sums: dict[str, Array], first: int, V: Array) -> None:
        if of_group(self._features, "mean"):
            for begin, end in _cut(first, first + len(V), STRETCH):
                _add(sums, begin, V[begin - first : end - first], self._first)
        if of_group(self._features, "range"):
            np.minimum(sums["V_min"], V.min(axis=0), out=sums["V_min"])
            np.maximum(sums["V_max"], V.max(axis=0), out=sums["V_max"])
        if of_group(self._features, "shape"):
            if first == self._first:
                sums["previous"][:] = V[0]
                first, V = first + 1, V[1:]
            if len(V):
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
            for first in range(neurons.start, neurons.stop, NEURONS):
                part = slice(first, min(first + NEURONS, neurons.stop))
                sums = {name: row[part] for name, row in self._sums.items()}
                invalid = ~valid[part]
                with np.errstate(all="ignore"):  # each thread has its own
                    for name, row in values.items():
                        row[part] = FEATURES[name].value(sums, window)
                        row[part][invalid] = np.nan

        of_parts(compute, n, len(values))
        return values


def _cut(first: int, end: int, length: int) -> Iterator[tuple[int, int]]:
    """The steps first ≤ k < end as (first, end) of pieces, which end at multiples of a length."""
    while first < end:
        stop = min(end, (first // length + 1) * length)
        yield first, stop
        first = stop


def _add(sums: dict[str, Array], first: int, V: Array, window: int) -> None:
    """Add the samples of a stretch from the step `first` on, one after another.

    sums: of the group "mean", (neurons,) each. window: its first step.
    """
    if first == window:
        sums["V_from"][:] = V[0]
    terms = np.empty((len(V) + 1, V.shape[1]), V.dtype)  # the sum so far, then what is added to it
    d = np.subtract(V, sums["V_from"].astype(V.dtype), out=terms[1:])
    terms[0] = sums["V_part"]
    sums["V_part"][:] = _in_order(terms)
    np.multiply(d, d, out=d)
    terms[0] = sums["V_part_squares"]
    sums["V_part_squares"][:] = _in_order(terms)
    end = first + len(V)
    if end % STRETCH == 0:
        totals = with_stretch(sums, min(STRETCH, end - window))
        sums["V_sum"][:], sums["V_squares"][:] = totals
        sums["V_from"][:] = V[-1]
        sums["V_part"][:] = sums["V_part_squares"][:] = 0.0


def _in_order(terms: Array) -> Array:
    """The sum of each column, whose terms are added one after another."""
    if terms.shape[1] == 1:  # NumPy would add a single column in pairs
        return np.add.accumulate(terms)[-1]
    return np.add.reduce(terms, axis=0)


def _follow(sums: dict[str, Array], first: int, V: Array, threshold: Any, dt: float) -> None:
    """Follow each neuron's spikes through the samples of the steps from `first` on.

    sums: of the group "shape", (neurons,) each. All of them but times hold values of V's dtype.

    Only the crossings of the threshold are taken one after another. What lies between them follows
    from all samples at once, so that no step of a single neuron is a step of Python.
    """
    V = np.concatenate([sums["previous"][np.newaxis].astype(V.dtype), V])
    sums["previous"][:] = V[-1]
    rise = _rises(sums["steep"], V, V.dtype.type(ONSET_SLOPE * dt))
    above = V >= threshold
    crosses = above[1:] != above[:-1]
    pieces = V.max(axis=0), V.min(axis=0), rise.max(axis=0)
    if crosses.any():
        spiking, *last = _cross(sums, first, V, rise, crosses, threshold)
        for of_all, of_spiking in zip(pieces, last, strict=True):
            of_all[spiking] = of_spiking
    _end_pieces(sums, V, np.arange(V.shape[1]), *pieces)


def _rises(was_steep: Array, V: Array, slope: Any) -> Array:
    """The number of each row of V, from 1 on, for neurons that begin to rise from it; else 0.

    was_steep: whether each neuron rose before these rows, 0 or 1; changed to whether it does at
    their end. slope: the least rise, mV per step.
    """
    steep = np.zeros((len(V) + 1, V.shape[1]), bool)
    steep[0] = was_steep
    np.greater_equal(V[1:] - V[:-1], slope, out=steep[1:-1])
    was_steep[:] = steep[-2]
    number = np.arange(1, len(V) + 1, dtype=np.min_scalar_type(len(V)))
    return (steep[1:] > steep[:-1]) * number[:, np.newaxis]


def _cross(
    sums: dict[str, Array],
    first: int,
    V: Array,
    rise: Array,
    crosses: Array,
    threshold: Any,
) -> tuple[Array, ...]:
    """Take the crossings of the neurons that have any.

    V: the samples before the step `first` and from it on. rise: of `_rises`. crosses: whether V
    crosses the threshold from one row to the next.

    Crossings cut the samples of a neuron into pieces. Returns these neurons, and the last piece of
    each as `_end_pieces` takes it.
    """
    rows, spiking = len(V), np.flatnonzero(crosses.any(axis=0))
    which, row = np.nonzero(crosses[:, spiking].T)  # of each crossing, by neuron, then by time
    neuron = spiking[which]
    begins = np.arange(len(spiking)) * rows, which * rows + row + 1
    begins = np.sort(np.concatenate(begins))  # of the pieces
    samples, rises = (each[:, spiking].T.ravel() for each in (V, rise))
    pieces = [np.maximum.reduceat(samples, begins), np.minimum.reduceat(samples, begins),
              np.maximum.reduceat(rises, begins)]  # fmt: skip
    piece = np.arange(len(which)) + which  # that ends with each crossing
    before, after = V[row, neuron], V[row + 1, neuron]
    time = first + row - 1 + (threshold - before) / (after - before).astype(np.float64)
    upward = after >= threshold
    begin = np.flatnonzero(np.diff(which, prepend=-1))
    count = np.diff(begin, append=len(which))
    # The first crossing of every neuron, then the second, and so on.
    for rank in range(count.max()):
        at = begin[count > rank] + rank
        _end_pieces(sums, V, neuron[at], *(each[piece[at]] for each in pieces))
        up, down = at[upward[at]], at[~upward[at]]
        _begin_spikes(sums, neuron[up], time[up])
        _end_spikes(sums, neuron[down], time[down])
    last = piece[begin + count - 1] + 1
    return spiking, *(each[last] for each in pieces)


def _end_pieces(
    sums: dict[str, Array], V: Array, neuron: Array, high: Array, low: Array, rise: Array
) -> None:
    """Take the samples of some neurons between two crossings.

    high, low: the highest and the lowest of them. rise: of `_rises`, the last, or 0.
    """
    sums["peak"][neuron] = np.maximum(sums["peak"][neuron], high)
    sums["trough"][neuron] = np.minimum(sums["trough"][neuron], low)
    rising = np.flatnonzero(rise)
    sums["onset"][neuron[rising]] = V[rise[rising] - 1, neuron[rising]]


def _begin_spikes(sums: dict[str, Array], neuron: Array, time: Array) -> None:
    """The threshold is crossed upward, which ends the trough of the spike before."""
    depth = sums["trough_onset"][neuron] - sums["trough"][neuron]
    sums["depth"][neuron] += np.where(np.isnan(depth), 0.0, depth)
    sums["trough_onset"][neuron] = np.nan
    sums["spike_onset"][neuron] = sums["onset"][neuron]
    sums["up"][neuron] = time
    sums["peak"][neuron] = -np.inf


def _end_spikes(sums: dict[str, Array], neuron: Array, time: Array) -> None:
    """The threshold is crossed downward. A spike of which no onset was seen isn't complete."""
    complete = neuron[~np.isnan(sums["spike_onset"][neuron])]
    time = time[~np.isnan(sums["spike_onset"][neuron])]
    onset = sums["spike_onset"][complete]
    sums["complete"][complete] += 1.0
    sums["amplitude"][complete] += sums["peak"][complete] - onset
    sums["width"][complete] += time - sums["up"][complete]
    sums["trough_onset"][complete] = onset
    sums["spike_onset"][neuron] = np.nan
    sums["onset"][neuron] = np.nan
    sums["trough"][neuron] = np.inf
