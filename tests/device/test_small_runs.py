"""How many calls of its library a device gets in a short run, in which they take most of the time.

A call takes from 3 to 15 µs with PyCUDA and PyTorch.
"""

from collections import Counter
from functools import wraps

import numpy as np
import pytest
from host_device import HostDevice, HostEvent, HostSession, HostStream, backend_on

from hhplug import Problem, Stimulus, simulate
from hhplug.membranes import squid
from hhplug.membranes.parameters import checked_parameters

N = 7
T, DT = 3.2, 0.05  # ms; 64 steps, which one block has
PARAMETERS = checked_parameters({"g_Na": np.linspace(110.0, 130.0, N)}, squid)
CURRENT = Stimulus.constant(np.linspace(5.0, 40.0, N))

CALLS = [(HostStream, name) for name in ("to_host", "to_device", "copy", "zero", "record", "wait")]
CALLS += [(HostDevice, "arrays"), (HostDevice, "stream"), (HostDevice, "current")]
CALLS += [(HostEvent, "synchronize"), (HostSession, "launch"), (HostSession, "place_spikes")]

# Opening the session, its block, reading that, its state with its spikes, and closing it.
IN_A_RUN = Counter({
    "current": 5,
    "zero": 2,  # what counts spikes and notes invalid neurons; the flags of the block
    "to_device": 1,  # the initial state
    "copy": 2,  # the state and the counts, from which the block could be repeated
    "launch": 1,
    "to_host": 6,  # the flags; the state, the counts, and three arrays of spikes
    "record": 5,  # after each of: upload, block and its flags, the end, its copies, closing
    "wait": 2,  # of one stream for the other: upload, the end
    "synchronize": 5,
})  # fmt: skip
OF_AN_UPLOAD = Counter({"to_device": 1, "record": 1, "wait": 1, "synchronize": 1})


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """As few spikes are sorted on the host as users have it."""
    monkeypatch.setattr("hhplug.device.spike_store.FEW", 2**7)


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of the device from now on, by their names."""
    seen = Counter()

    def counted(function):
        @wraps(function)
        def call(*args, **kwargs):
            seen[function.__name__] += 1
            return function(*args, **kwargs)

        return call

    for owner, name in CALLS:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return seen


def run(backend, parameters=PARAMETERS, stimulus=CURRENT):
    result = simulate(Problem(T, DT, record=(), parameters=parameters, stimulus=stimulus), backend)
    assert len(result.spikes)


def test_a_run_like_the_one_before_makes_few_calls_and_allocates_nothing(calls):
    backend = backend_on(HostDevice())
    run(backend)
    calls.clear()
    run(backend)
    assert calls == IN_A_RUN


def test_other_parameters_and_another_current_are_all_that_a_run_uploads_besides(calls):
    backend = backend_on(HostDevice())
    run(backend)
    calls.clear()
    others = checked_parameters({"g_Na": np.linspace(130.0, 110.0, N)}, squid)
    run(backend, others, Stimulus.constant(np.linspace(40.0, 5.0, N)))
    uploads = 3  # rows, gain, and the waveform
    assert calls == sum([OF_AN_UPLOAD] * uploads, IN_A_RUN)
