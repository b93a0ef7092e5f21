"""The mean current into each neuron of a result, and its firing rate.

Both are computed for one window of time. By default it is the second half of the time from the
first to the last step in which the stimulus isn't zero, so that the neurons have settled. If a run
has no stimulus, it is the second half of the run.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.clock import nearest_step
from hhplug.errors import InvalidInput, NotRecorded
from hhplug.problem import Problem
from hhplug.results.spikes import RATE_METHODS

if TYPE_CHECKING:
    from hhplug.results.result import Result


def window(
    problem: Problem, start: float | None = None, stop: float | None = None
) -> tuple[float, float]:
    """Start and end (ms) of the window that is analysed.

    If neither end is given and only spike counts were kept, it is the whole run. If one end is
    given, the other is at the stimulus's first or last nonzero step, or at the start or end of the
    run if the window would be empty. Raises InvalidInput for a window outside the run.
    """
    begin, end = problem.start_step * problem.dt, problem.end_step * problem.dt
    active = problem.current.active_steps(problem.start_step, problem.n_steps)
    on, off = (active.start * problem.dt, active.stop * problem.dt) if active else (begin, end)
    if start is None and stop is None:
        return (begin, end) if problem.spikes == "counts" else ((on + off) / 2.0, off)
    if stop is None:
        start = checks.number("start", start, "ms")
        stop = off if start < off else end
    elif start is None:
        stop = checks.number("stop", stop, "ms")
        start = on if on < stop else begin
    start, stop = checks.interval(start, stop)
    margin = problem.dt / 2.0
    if start < begin - margin or stop > end + margin:
        raise InvalidInput(
            f"the window must lie within the run, {begin:g} to {end:g} ms, "
            f"got start={start:g} and stop={stop:g} ms"
        )
    return start, stop


def mean_current(problem: Problem, start: float, stop: float) -> NDArray[np.float64]:
    """Mean current into each neuron, all terms, over the steps of a window, µA/cm²: (n,)."""
    first = min(int(nearest_step(start, problem.dt)), problem.end_step - 1)
    end = max(first + 1, int(nearest_step(stop, problem.dt)))
    mean = problem.current.mean(first, end - first)
    return np.broadcast_to(mean, (problem.n_neurons,))


def rate_window(
    result: "Result", start: float | None, stop: float | None, method: str
) -> tuple[float, float]:
    """Start and end (ms) of the window of `firing_rate`.

    If only spike counts were kept, it is the whole run, and another window or method raises
    NotRecorded.
    """
    problem = result.problem
    checks.choice("method", method, RATE_METHODS)
    if problem.spikes != "counts":
        return window(problem, start, stop)
    if method != "count":
        raise NotRecorded(
            "spike times were not kept (the run had spikes='counts'), so there are no intervals "
            "between spikes; use method='count' for spikes over the whole run"
        )
    if start is not None or stop is not None:
        raise NotRecorded(
            "spike times were not kept (the run had spikes='counts'), so spikes are known for the "
            "whole run alone; leave start and stop out, or run with spikes='times'"
        )
    return window(problem)


def firing_rate(
    result: "Result", start: float | None, stop: float | None, method: str
) -> NDArray[np.float64]:
    """The rates (Hz) that `Result.firing_rate` returns: (n,)."""
    start, stop = rate_window(result, start, stop, method)
    if result.problem.spikes != "counts":
        return result.spikes.firing_rate(start, stop, method)
    return np.where(result.valid, result.spike_count / ((stop - start) * 1e-3), np.nan)


def fi_curve(
    result: "Result", start: float | None, stop: float | None, method: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The currents (µA/cm²) and rates (Hz) that `Result.fi_curve` returns."""
    rate = firing_rate(result, start, stop, method)
    current = mean_current(result.problem, *rate_window(result, start, stop, method))
    order = np.argsort(current, kind="stable")
    return current[order], rate[order]
