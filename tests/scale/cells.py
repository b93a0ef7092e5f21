"""Small runs in many cells, and what their results must be equal in."""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from numpy.testing import assert_array_equal

from hhplug import Simulator, Stimulus

N, T, DT = 7, 2.0, 0.05  # neurons, ms, ms: 40 steps
SEGMENT = 14  # steps; of three segments the last is shorter
STATE = np.array([[-40.0], [0.3], [0.4], [0.4]])  # from which every neuron soon spikes
NOISE = Stimulus.ornstein_uhlenbeck(np.linspace(0.0, 40.0, N), 9.0, tau=1.0, seed=20)
RUN = {
    "stimulus": NOISE, "record_every": 2, "record_neurons": [5, 0, 2], "initial_state": STATE,
}  # fmt: skip


@contextmanager
def segments_of(n_steps, commit=0.0):
    """Cut runs of N neurons into segments this long, and commit every `commit` seconds."""
    with (
        patch.multiple("hhplug.stores.grid", SEGMENT_WORK=n_steps * N, LEAST_SEGMENT=1),
        patch.multiple(
            "hhplug.running.store_recorder", COMMIT_SECONDS=commit, LEAST_SECONDS=commit
        ),
    ):
        yield


def run(store=None, backend="reference", T=T, dtype=None, **arguments):
    """The result of a run of N neurons, in segments of SEGMENT steps if it has a store."""
    with segments_of(SEGMENT):
        return Simulator(backend, dtype).run(T, DT, store=store, **RUN | arguments)


def assert_same(result, expected):
    """Assert that two results hold the same, bit for bit."""
    assert list(result) == list(expected)
    for name in ("time", *expected):
        assert result[name].dtype == expected[name].dtype
        assert_array_equal(np.asarray(result[name]), np.asarray(expected[name]))
    for name in ("neurons", "final_state", "first_invalid_step"):
        assert_array_equal(getattr(result, name), getattr(expected, name))
    assert result.final.carry.keys() == expected.final.carry.keys()
    for name, values in expected.final.carry.items():
        assert_array_equal(result.final.carry[name], values)
    assert (result.outcome.spikes is None) == (expected.outcome.spikes is None)
    if expected.problem.spikes != "off":
        assert_array_equal(result.spike_count, expected.spike_count)
    if expected.outcome.spikes is not None:
        assert_array_equal(result.spikes.neuron, expected.spikes.neuron)
        assert_array_equal(result.spikes.time, expected.spikes.time)
    assert result.next_step == expected.next_step
