"""Populations that a function makes for a slice of their neurons."""

import time

import numpy as np
from scale.cells import DT, STATE, T

from hhplug import Problem, Stimulus, membranes

N = 23  # neurons; of shards of 6 the last has 5


def noisy(neurons):
    """Neurons with noise, all of which are recorded."""
    which = np.arange(neurons.start, neurons.stop)
    stimulus = Stimulus.ornstein_uhlenbeck(0.0 + which, 9.0, tau=1.0, seed=20)
    parameters = {"g_Na": 110.0 + which}
    return Problem(T, DT, stimulus=stimulus, parameters=parameters, initial_state=STATE)


def few_recorded(neurons):
    """The first two neurons of each shard are recorded, in float64."""
    which = np.arange(neurons.start, neurons.stop)
    return Problem(
        T, DT, stimulus=Stimulus.constant(1.0 * which), initial_state=STATE, dtype="float64",
        record=("V", "h"), record_every=3, record_neurons=[1, 0],
    )  # fmt: skip


def counted(neurons):
    """Another membrane, of which spikes are counted alone."""
    which = np.arange(neurons.start, neurons.stop)
    stimulus = Stimulus.sine(1.0 * which, 100.0)
    return Problem(T, DT, stimulus=stimulus, membrane=membranes.RS, record=(), spikes="counts")


def slow(neurons):
    """A long run, which reports and may be stopped."""
    return Problem(500.0, 0.01, batch_size=neurons.stop - neurons.start, record=(), spikes="counts")


def failing(neurons):
    """A population that can be laid out, and not computed."""
    if neurons.start:
        raise ArithmeticError("no such neurons")
    time.sleep(0.0)
    return noisy(neurons)
