"""Runs with noise that a backend computes, and what it must be: that of `hhplug.currents.noise`."""

import numpy as np
from numpy.testing import assert_array_equal

from hhplug import Problem, Stimulus
from hhplug.running.loop import final_state, step_through
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.simulate import simulate
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.kit import Repeated, Run, assert_same

N, STEPS, START, DT = 37, 23, 5, 0.05  # blocks and counters, which are of four steps, don't agree
LENGTHS = ([1], [2, 7, 3])
CUT = 6
# Numbers of 33 bits and more, in no order.
NUMBERS = np.random.default_rng(1).permutation(N).astype(np.int64) * (2**32 + 3) + 1
STIMULI = {
    # With τ ≪ dt, x is the deviate itself.
    "per neuron": Stimulus.ornstein_uhlenbeck(
        np.linspace(0.0, 9.0, N), np.linspace(0.0, 5.0, N), tau=np.geomspace(1e-4, 9.0, N), seed=7
    )
    + Stimulus.sine(3.0, 200.0),
    "alike": Stimulus.ornstein_uhlenbeck(8.0, 20.0, tau=2.0, seed=2**64 - 5),
    "white": Stimulus.white_noise(np.linspace(0.0, 20.0, N), seed=2**33) + Stimulus.constant(4.0),
}
LOUD = Stimulus.ornstein_uhlenbeck(0.0, 250.0, tau=0.03, seed=1)  # V crosses −60 mV often
DTYPES = ("float32", "float64")


def problem_of(stimulus, dtype):
    """A problem of neurons whose V rises by itself, and whose numbers are NUMBERS."""
    V = np.linspace(-75.0, -61.0, N)
    state = np.stack([V, *(np.full(N, x) for x in (0.1, 0.5, 0.2))])  # which rises by itself
    whole = Problem(
        STEPS * DT, DT, stimulus=stimulus, dtype=dtype, start_step=START,
        parameters={"C_m": np.linspace(0.9, 1.1, N)}, initial_state=state, spike_threshold=-60.0,
    )  # fmt: skip
    return whole.as_part(NUMBERS, None)


def run(opened, problem, lengths=(STEPS,)):
    """The run of a problem in blocks of these lengths, repeated."""
    given = opened.given(problem)
    recorder = MemoryRecorder(given)
    with np.errstate(all="ignore"), opened.backend.prepare(given, max(lengths)) as session:
        step_through(given, session, recorder, Repeated(lengths))
        final = final_state(given, session, given.end_step)
    return Run(*recorder.finish(given.n_steps, final), final)


def assert_process_of_the_core(ours, problem):
    """At the end the process is the core's, bit for bit."""
    expected = problem.current.carry(problem.end_step)
    assert ours.final.carry.keys() == expected.keys()
    for name, x in expected.items():
        assert x.dtype == ours.final.carry[name].dtype == problem.dtype
        assert_array_equal(ours.final.carry[name], x)


def assert_noise_is_right(opened, stimulus, dtype):
    """A backend's noise is the core's, in blocks of any length, in parts, and in a resumed run."""
    problem = problem_of(stimulus, dtype)
    whole = run(opened, problem)
    assert_process_of_the_core(whole, problem)
    right = simulate(problem, "reference")
    assert np.abs(whole.samples["V"] - right.V).max() < BOUNDS[dtype].V_5_ms
    assert_array_equal(whole.spike_count, right.spike_count)
    assert right.spike_count.sum() > N / 2
    for lengths in LENGTHS:
        assert_same(run(opened, problem, lengths), whole)
    first = run(opened, problem.shortened(CUT))
    rest = problem.with_steps(STEPS - CUT, problem.given_stimulus)
    object.__setattr__(rest, "start_step", START + CUT)
    last = run(opened, rest.continuing(first.final, first.invalid))
    assert_array_equal(last.samples["V"], whole.samples["V"][CUT:])
    assert_array_equal(last.final_state, whole.final_state)
    assert_process_of_the_core(last, problem)
    order = np.random.default_rng(2).permutation(N)
    some = run(opened, problem.take(order[:11]))
    assert_array_equal(some.samples["V"], whole.samples["V"][:, order[:11]])
