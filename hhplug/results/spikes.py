"""Spikes, the upward crossings of the threshold, and the firing rates computed from them."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.errors import warn
from hhplug.extras import needs_xarray
from hhplug.spike_order import Ordered

if TYPE_CHECKING:
    import xarray

RATE_METHODS = ("isi", "count")


class Spikes:
    """Upward crossings of the threshold, sorted by neuron, then time.

    neuron: index of the neuron, (spikes,).
    time: ms, (spikes,).
    valid: whether each neuron of the population is valid to the end, (n,).
    """

    def __init__(
        self, neuron: NDArray[np.int64], time: NDArray[np.float64], valid: NDArray[np.bool_]
    ):
        self.valid = valid
        self._arrays: Ordered | Callable[[], Ordered] = neuron, time
        self._sorting = Lock()

    @classmethod
    def unsorted(cls, in_order: Callable[[], Ordered], valid: NDArray[np.bool_]) -> "Spikes":
        """Spikes that are sorted when they are first read. in_order returns them sorted."""
        spikes = cls(np.empty(0, np.int64), np.empty(0), valid)
        spikes._arrays = in_order
        return spikes

    def sort(self) -> None:
        """Sort the spikes now. A hundred million take seconds."""
        with self._sorting:
            if callable(self._arrays):
                self._arrays = self._arrays()

    @property
    def neuron(self) -> NDArray[np.int64]:
        """Index of the neuron of each spike: (spikes,)."""
        return self._sorted()[0]

    @property
    def time(self) -> NDArray[np.float64]:
        """Time of each spike, ms: (spikes,)."""
        return self._sorted()[1]

    def _sorted(self) -> Ordered:
        self.sort()
        return cast(Ordered, self._arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.neuron, self.time, self.valid)

    def __len__(self) -> int:
        return len(self.neuron)

    def __repr__(self) -> str:
        return f"Spikes({len(self):,} of {len(np.unique(self.neuron)):,} neurons)"

    @checks.known_arguments
    def firing_rate(self, start: float, stop: float, method: str = "isi") -> NDArray[np.float64]:
        """Firing rate of each neuron from start to stop (ms), Hz: (n,).

        Method "isi" is (k − 1) / (last − first) for the k spikes in the window, the inverse of the
        mean interval between spikes. It is 0 without a spike. It is NaN for a single spike, and a
        RuntimeWarning says how many neurons have one. Method "count" is the number of spikes
        divided by the window's length. An invalid neuron has the rate NaN.

        Raises InvalidInput for an unknown method or an empty window.

        >>> from hhplug import Simulator, Stimulus
        >>> current = Stimulus.constant([0.0, 8.0, 16.0])  # µA/cm²
        >>> result = Simulator("numpy").run(T=60.0, dt=0.05, stimulus=current)
        >>> result.spikes.firing_rate(0.0, 60.0, method="count").round(1)  # Hz
        array([ 0. , 66.7, 83.3])
        """
        checks.choice("method", method, RATE_METHODS)
        start, stop = checks.interval(start, stop)
        inside = (start <= self.time) & (self.time <= stop)
        neuron, time, n = self.neuron[inside], self.time[inside], len(self.valid)
        count = np.bincount(neuron, minlength=n)
        if method == "count":
            rate = count / ((stop - start) * 1e-3)
        else:
            spiking = np.flatnonzero(count)
            end = np.cumsum(count)[spiking]  # a neuron's spikes are contiguous
            duration = np.zeros(n)
            duration[spiking] = time[end - 1] - time[end - count[spiking]]
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = np.where(count == 0, 0.0, (count - 1) / (duration * 1e-3))
            self._warn_of_single_spikes((count == 1) & self.valid, start, stop)
        rate[~self.valid] = np.nan
        return rate

    def _warn_of_single_spikes(self, single: NDArray[np.bool_], start: float, stop: float) -> None:
        if single.any():
            warn(
                f"{single.sum()} of {len(single)} neurons have a single spike between {start:g} "
                f"and {stop:g} ms, so no interval, and their firing rate is NaN; use a longer "
                "run, a wider window (start=, stop=), or method='count'"
            )

    @checks.known_arguments
    def refractory(self, ms: float) -> "Spikes":
        """The spikes without those that follow another of the same neuron within `ms`.

        A noisy V crosses the threshold several times in one action potential. The interval is
        measured from the last spike that was kept.

        >>> import numpy as np
        >>> from hhplug.results.spikes import Spikes
        >>> spikes = Spikes(np.array([0, 0, 0]), np.array([3.0, 3.4, 20.0]), valid=np.array([True]))
        >>> spikes.refractory(2.0).time
        array([ 3., 20.])
        """
        ms = checks.positive("ms", ms, "ms")
        kept = np.zeros(len(self), bool)
        # The next spike of each neuron. A neuron's spikes are contiguous and sorted by time.
        position = np.flatnonzero(np.diff(self.neuron, prepend=-1))
        end = np.append(position[1:], len(self))
        last = np.full(len(position), -np.inf)  # ms, of each neuron's last spike that was kept
        while position.size:
            time = self.time[position]
            late = time - last >= ms
            kept[position] = late
            last = np.where(late, time, last)
            position = position + 1
            more = position < end
            position, end, last = position[more], end[more], last[more]
        return Spikes(self.neuron[kept], self.time[kept], self.valid)

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset with the dimension spike: neuron, time (ms), and whether the neuron is valid.

        Raises MissingExtra if xarray isn't installed.
        """
        with needs_xarray():
            from hhplug.results import dataset
        return dataset.of_spikes(self)
