"""Runs that Ctrl-C interrupts after a fraction of their steps."""

import signal

import numpy as np
import pytest
from device.host_problems import blocks_of

from hhplug import Interrupted, Simulator, Stimulus

N, STEPS, DT, BLOCK = 5, 301, 0.01, 16  # ms
ARRAY = np.random.default_rng(15).uniform(0.0, 40.0, (STEPS, N))
WAVES = Stimulus.sine(np.linspace(0.0, 20.0, N), 400.0, offset=15.0)
NOISE = Stimulus.ornstein_uhlenbeck(np.linspace(0.0, 20.0, N), 9.0, tau=1.0, seed=15)


@pytest.fixture
def sigint_handler():
    """Python's own handler, even if the test runner has replaced it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    restored = signal.signal(signal.SIGINT, before)
    assert restored is signal.default_int_handler


def ctrl_c(times=1):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def run(backend="reference", first=0, last=STEPS, stimulus=ARRAY, **arguments):
    """Run the steps first ≤ k < last, in blocks of 16."""
    rows = stimulus[first:last] if isinstance(stimulus, np.ndarray) else stimulus
    given = {"record_all": True, "record_every": 7} | arguments
    with blocks_of(BLOCK):
        return Simulator(backend).run((last - first) * DT, DT, stimulus=rows, **given)


def at(fraction, do=ctrl_c):
    """Return a progress function that calls `do` once, when the fraction is reached."""
    waiting = [do]

    def report(done):
        if done >= fraction and waiting:
            waiting.pop()()

    return report


def interrupted(*arguments, progress, **others):
    with pytest.raises(KeyboardInterrupt) as stop:
        run(*arguments, progress=progress, **others)
    assert type(stop.value) is Interrupted
    return stop.value
