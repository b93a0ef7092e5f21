"""Results to plot, and access to the panels of a plot."""

from dataclasses import replace

import numpy as np
from short_runs import run

from hhplug import Problem, Stimulus
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Spikes
from hhplug.validity import NONE_INVALID

# The labels of the panels.
CURRENT = "I_ext\n(µA/cm²)"
V = "V (mV)"
NEURON = "neuron"
RATE = "firing rate (Hz)"
HISTOGRAM = "neurons"

SWEEP = Stimulus.constant([1.0, 2.0, 3.0])


def made_up(spike_times, *, stimulus=SWEEP, V=None, T=1000.0, **arguments):
    """Return a result of three neurons with made-up spikes (ms) and V (at every ms)."""
    problem = Problem(T, dt=1.0, stimulus=stimulus, batch_size=3, dtype="float64", **arguments)
    neuron = np.repeat(np.arange(3), [len(times) for times in spike_times])
    return replace(
        run(batch_size=3),
        problem=problem,
        outcome=Outcome(
            samples={} if V is None else {"V": V},
            spikes=Spikes(neuron, np.concatenate([np.empty(0), *spike_times]), np.ones(3, bool)),
            spike_count=np.bincount(neuron, minlength=3),
            invalid=NONE_INVALID,
        ),
    )


def with_outcome(result, **changes):
    """Return the result with some fields of its outcome replaced."""
    return replace(result, outcome=result.outcome._replace(**changes))


def ylabels(figure):
    return [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]


def panel(figure, ylabel):
    (found,) = [ax for ax in figure.axes if ax.get_ylabel() == ylabel]
    return found


def traces(figure):
    """Return the axes of the traces in the order of the neurons; the first is at the bottom."""
    return [ax for ax in figure.axes if ax.texts][::-1]


def time_axes(figure):
    return [ax for ax in figure.axes if ax.get_ylabel() not in (RATE, HISTOGRAM)]
