"""Problems for a device of NumPy arrays, and the reference's results for them."""

from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import numpy as np

from hhplug import HHParameters, Problem, Stimulus, simulate

BOUND = 1e-9  # mV, ms and probabilities; 2e-12 is reached
DT = 0.05  # ms
N, N_STEPS = 33, 29  # 1.45 ms: time for a spike from the states below
BLOCK = 8  # steps; of four blocks the last is shorter

rng = np.random.default_rng(33)
AMPLITUDE = rng.uniform(-5.0, 40.0, N)
STATES = np.stack(
    [
        rng.uniform(-70.0, 0.0, N),
        rng.uniform(0.0, 0.5, N),
        rng.uniform(0.2, 0.7, N),
        rng.uniform(0.2, 0.6, N),
    ]
)
SPREAD = HHParameters(
    **{name: value * rng.uniform(0.95, 1.05, N) for name, value in vars(HHParameters()).items()}
)
ARRAY = rng.uniform(-5.0, 40.0, (N_STEPS, N))
CURRENTS = {
    "none": None,
    "held": Stimulus.constant(AMPLITUDE),
    "held for all": Stimulus.constant(17.0),
    "step": Stimulus.step(AMPLITUDE, start=0.5, stop=1.05),  # held in some blocks only
    "waves": Stimulus.ramp(AMPLITUDE, 30.0, 0.1, 1.2) + Stimulus.sine(9.0, 700.0, offset=2.0),
    "array": ARRAY,
    "array of float32": ARRAY.astype(np.float32),
    "array of every other": np.repeat(ARRAY, 2, axis=1)[:, ::2],
    "array for all": ARRAY[:, 7],
    "array of int64": ARRAY.astype(np.int64),
    "array of int32": ARRAY.astype(np.int32),
}
EVERYTHING = {"record_all": True, "initial_state": STATES, "batch_size": N}


@contextmanager
def blocks_of(n_steps):
    """Make all blocks this many steps long, however fast they are."""
    with (
        patch("hhplug.running.preparing.BLOCK_STEPS", n_steps),
        patch.multiple(
            "hhplug.running.block_length", FIRST_STEPS=n_steps, BLOCK_SECONDS=1e9, LEAST_BLOCKS=1
        ),
    ):
        yield


def problem_of(n_steps=N_STEPS, dt=DT, dtype="float64", **arguments):
    return Problem(n_steps * dt, dt, dtype=dtype, **arguments)


def expected_of(problem):
    """Return the reference's result, whose arrays are on the host."""
    return simulate(problem.with_device_arrays(False).with_dtype("float64"), "reference")


@cache
def expected_of_current(kind, spread):
    return expected_of(problem_of_current(kind, spread))


def problem_of_current(kind, spread, **changes):
    parameters = SPREAD if spread else None
    return problem_of(stimulus=CURRENTS[kind], parameters=parameters, **EVERYTHING | changes)


def assert_agrees(ours, expected, bound=BOUND):
    assert set(ours.samples) == set(expected.samples)
    for name, samples in expected.samples.items():
        assert ours[name].shape == samples.shape
        host = ours[name].get() if ours.problem.device_arrays else ours[name]
        np.testing.assert_allclose(host, samples, rtol=0, atol=bound)
    np.testing.assert_allclose(ours.final_state, expected.final_state, rtol=0, atol=bound)
    np.testing.assert_array_equal(ours.first_invalid_step, expected.first_invalid_step)
    if expected.outcome.spike_count is None:
        assert ours.outcome.spike_count is None
    else:
        np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
    if expected.outcome.spikes is None:
        assert ours.outcome.spikes is None
    else:
        np.testing.assert_array_equal(ours.spikes.neuron, expected.spikes.neuron)
        np.testing.assert_allclose(ours.spikes.time, expected.spikes.time, rtol=0, atol=bound)
