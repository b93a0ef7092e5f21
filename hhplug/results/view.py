"""The part of a result that a plot shows: which neurons, which time, and the values to draw."""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug import checks
from hhplug.errors import InvalidInput, NotRecorded
from hhplug.results import analysis
from hhplug.results.spikes import Spikes

if TYPE_CHECKING:
    from hhplug.results.result import Result

Neurons = NDArray[np.int64]
Interval = tuple[float, float]
Line = tuple[NDArray[Any], NDArray[Any]]  # x and y

TRACES = 5  # most traces of V in a plot, since more can't be told apart
RASTER_NEURONS = 2000  # most neurons drawn in a raster
COLUMNS = 2000  # columns of pixels in a wide plot
MOST_CYCLES = 100  # most spikes of a neuron on one axis, since more can't be told apart
CYCLES_SHOWN = 25  # spikes shown of a neuron that has more than that
USUAL_V = (-80.0, 40.0)  # mV; limits of the axis if no neuron is valid
DECIMALS = 9  # of a mean current in µA/cm²; later digits are rounding errors
LEAST_V_RANGE = 10.0  # mV; smallest range of the axis, so that rest is drawn as a straight line


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` indices below count, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def outline(values: NDArray[Any]) -> NDArray[np.int64]:
    """Indices of those values that give the same plot as all values.

    These are the lowest and the highest in each of at most COLUMNS intervals of equal length, so
    that no spike is lost, and the first and the last value.
    """
    count = len(values)
    width = -(-count // COLUMNS)
    if width <= 2:
        return np.arange(count)
    rows = np.pad(values, (0, -count % width), mode="edge").reshape(-1, width)
    finite = np.isfinite(rows)
    begin = np.arange(0, count, width)
    lowest = begin + np.where(finite, rows, np.inf).argmin(axis=1)
    highest = begin + np.where(finite, rows, -np.inf).argmax(axis=1)
    return np.unique(np.minimum([*lowest, *highest, 0, count - 1], count - 1))


@dataclass(frozen=True)
class View:
    """The neurons and the time that a plot shows of a result."""

    result: "Result"
    neurons: Neurons
    traced: Neurons  # those of the neurons whose V and current are drawn

    @property
    def has_V(self) -> bool:
        """Whether samples of V were recorded."""
        return "V" in self.result and math.prod(self.result.V.shape) > 0

    @cached_property
    def time(self) -> Interval:
        """Start and end of the time shown, ms. It is the whole run unless that has too many spikes.

        If a neuron has more than MOST_CYCLES spikes, it is the last part of the stimulus, with
        CYCLES_SHOWN spikes of the neuron that has the most, and a tenth more time.
        """
        begin, end = run_of(self.result)
        cycles = self._spikes_of_the_busiest()
        if not len(cycles) and len(self.traced) and self.has_V:
            cycles = self._swings_of_V()
        if len(cycles) <= MOST_CYCLES:
            return begin, end
        _, off = analysis.window(self.result.problem)
        during = cycles[cycles <= off]
        if len(during) < CYCLES_SHOWN:
            during, off = cycles, end
        span = _rounded_up(off - during[-CYCLES_SHOWN])
        return max(begin, off - span), min(end, off + span / 10.0)

    def _spikes_of_the_busiest(self) -> NDArray[np.float64]:
        result = self.result
        if result.outcome.spikes is None:
            return np.empty(0)
        busiest = self.neurons[result.spike_count[self.neurons].argmax()]
        return result.spikes.time[_slices(result.spikes, [busiest])[0]]

    def _swings_of_V(self) -> NDArray[np.float64]:
        """Times (ms) at which V rises through the middle of its range.

        They are those of the neuron that has the most.
        """
        most = np.empty(0, np.int64)
        for neuron in self.traced:
            V = self.result.V[:, self._column(neuron)]
            finite = V[np.isfinite(V)]
            if finite.size:
                high = finite.min() / 2.0 + finite.max() / 2.0 < V
                most = max(most, np.flatnonzero(~high[:-1] & high[1:]), key=len)
        return self.result.time[most]

    def _column(self, neuron: int) -> int:
        return int(np.flatnonzero(self.result.neurons == neuron)[0])

    @cached_property
    def _samples(self) -> slice:
        """The slice of the samples in the time shown."""
        first = np.searchsorted(self.result.time, self.time[0])
        end = np.searchsorted(self.result.time, self.time[1], side="right")
        return slice(int(first), int(end))

    def trace(self, neuron: int) -> Line:
        """Time (ms) and V (mV) of a neuron."""
        V = self.result.V[self._samples, self._column(neuron)]
        drawn = outline(V)
        return self.result.time[self._samples][drawn], V[drawn]

    def current(self, neuron: int) -> Line:
        """Start of each step (ms) and current (µA/cm²) of a neuron, with the last step's end."""
        problem = self.result.problem
        first = max(problem.start_step, int(self.time[0] / problem.dt))
        end = max(first + 1, min(problem.end_step, int(self.time[1] / problem.dt) + 1))
        I_ext = problem.current.at(np.arange(first, end), np.array([neuron]))[:, 0]
        drawn = outline(I_ext)
        return np.append(first + drawn, end) * problem.dt, np.append(I_ext[drawn], I_ext[-1])

    @property
    def current_changes(self) -> bool:
        """Whether a current that is drawn changes in the time shown."""
        return any(np.ptp(self.current(neuron)[1]) > 0.0 for neuron in self.traced)

    @property
    def limits_of_V(self) -> Interval:
        """Limits of the axis of V, mV, for the valid neurons."""
        valid = [self.trace(neuron)[1] for neuron in self.traced if self.result.valid[neuron]]
        V = np.concatenate([*valid, ()])
        V = V[np.isfinite(V)]
        low, high = (V.min(), V.max()) if V.size else USUAL_V
        margin = max(0.05 * (high - low), (LEAST_V_RANGE - (high - low)) / 2.0)
        return float(low - margin), float(high + margin)

    @cached_property
    def labels(self) -> dict[int, tuple[str, str]]:
        """Index and mean current (µA/cm²), as texts, of each neuron whose V is drawn."""
        drive = self.result.drive()[self.traced].round(DECIMALS) + 0.0  # never -0
        return {
            int(neuron): (
                f"{neuron}" + ("" if self.result.valid[neuron] else " (invalid)"),
                f"{current:.3g}",
            )
            for neuron, current in zip(self.traced, drive, strict=True)
        }

    @property
    def rows(self) -> Neurons:
        """Row of each neuron in a raster: its index, or its position if the indices have gaps."""
        count = len(self.neurons)
        numbered = np.arange(self.neurons[0], self.neurons[0] + count)
        return numbered if np.array_equal(self.neurons, numbered) else np.arange(count)

    def raster(self) -> Line:
        """Time (ms) and row of the spikes of at most RASTER_NEURONS neurons."""
        spikes = self.result.spikes
        drawn = spread(len(self.neurons), RASTER_NEURONS)
        found = _slices(spikes, self.neurons[drawn])
        time = np.concatenate([spikes.time[piece] for piece in found])
        row = np.repeat(self.rows[drawn], [piece.stop - piece.start for piece in found])
        inside = (self.time[0] <= time) & (time <= self.time[1])
        return time[inside], row[inside]

    @property
    def title(self) -> str:
        """The number of neurons, the time shown, dt, the backend and the precision, as a title."""
        problem, shown = self.result.problem, len(self.neurons)
        if problem.n_neurons == 1:
            who = "1 neuron"
        elif shown == problem.n_neurons:
            who = f"{shown:,} neurons"
        elif shown == 1:
            who = f"neuron {self.neurons[0]} of {problem.n_neurons:,}"
        else:
            who = f"{shown:,} of {problem.n_neurons:,} neurons"
        run = run_of(self.result)
        when = _written(run) if run[0] else f"{_number(run[1])} ms"
        if self.time != run:
            when = f"{_written(self.time)} of {when}"
        return f"{who}, {when}, dt {problem.dt:g} ms, {self.result.backend} {self.result.dtype}"


def shown(result: "Result", neurons: ArrayLike | None) -> Neurons:
    """Indices of the neurons to show, by default all. Raises InvalidInput for anything else."""
    count = result.problem.n_neurons
    if neurons is None:
        return np.arange(count)
    chosen = checks.neuron_indices("neurons", neurons, count)
    if not chosen.size:
        raise InvalidInput("neurons must name at least one neuron, got none")
    return chosen


def traced(result: "Result", neurons: Neurons | None, most: int) -> Neurons:
    """At most `most` neurons whose V was recorded, of those given or of all for None.

    Raises NotRecorded if none of them has V, or if they are `most` or fewer and one has no V.
    """
    recorded = result.neurons
    if neurons is not None:
        known = np.isin(neurons, recorded)
        if not known.all() and (len(neurons) <= most or not known.any()):
            raise NotRecorded(
                f"V of neuron {neurons[~known][0]} was not recorded; run with it in "
                "record_neurons, or plot one that was recorded, for example "
                f"neurons={recorded[:1].tolist()}"
            )
        recorded = neurons[known]
    return recorded[spread(len(recorded), most)]


@dataclass(frozen=True)
class Rates:
    """Mean current and firing rate of neurons in one window of time."""

    neurons: Neurons
    current: NDArray[np.float64]  # µA/cm²
    rate: NDArray[np.float64]  # Hz; NaN where a neuron has none
    title: str


def rates(
    result: "Result",
    neurons: Neurons,
    start: float | None = None,
    stop: float | None = None,
    method: str | None = None,
) -> Rates:
    """Current and rate of the neurons. The other arguments are those of `Result.plot_fi`."""
    counted = result.problem.spikes == "counts"
    method = method or ("count" if counted else "isi")
    window = analysis.rate_window(result, start, stop, method)
    with warnings.catch_warnings():  # the title says how many neurons have no rate
        warnings.simplefilter("ignore", RuntimeWarning)
        rate = result.firing_rate(start, stop, method)[neurons]
    current = analysis.mean_current(result.problem, *window)[neurons]
    kind = "" if (start, stop) != (None, None) else "whole run: " if counted else "settled: "
    title = kind + _written(window)
    if unknown := int(np.isnan(rate).sum()):
        title += f"\n{unknown:,} of {len(neurons):,} without a rate"
    return Rates(neurons, current, rate, title)


def run_of(result: "Result") -> Interval:
    """Start and end of the run, ms."""
    problem = result.problem
    return problem.start_step * problem.dt, problem.end_step * problem.dt


def _slices(spikes: Spikes, neurons: ArrayLike) -> list[slice]:
    """The slice of each neuron's spikes in the arrays of all spikes."""
    begin = np.searchsorted(spikes.neuron, neurons, side="left")
    end = np.searchsorted(spikes.neuron, neurons, side="right")
    return [slice(*ends) for ends in zip(begin, end, strict=True)]


def _rounded_up(span: float) -> float:
    """The span, rounded up to a number with one significant digit."""
    digit = 10.0 ** math.floor(math.log10(span))
    return math.ceil(span / digit) * digit


def _written(time: Interval) -> str:
    return f"{_number(time[0])}–{_number(time[1])} ms"


def _number(value: float) -> str:
    return f"{value:,.10g}"
