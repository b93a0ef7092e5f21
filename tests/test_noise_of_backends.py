"""Noise that backends compute: the core's, bit for bit; and when they do."""

import numpy as np
import pytest
from noise_cases import DTYPES, STIMULI, assert_noise_is_right, problem_of
from numpy.testing import assert_array_equal
from under_test import NAMES

from hhplug import Problem, Simulator, Stimulus, concat, load_result, simulate
from hhplug.errors import ContractViolation
from hhplug.plugins import choice, discovery
from hhplug.state import State

CASES = [
    (name, dtype) for name in NAMES for dtype in DTYPES if (name, dtype) != ("reference", "float32")
]
ONE = Stimulus.ornstein_uhlenbeck(6.0, 3.0, tau=2.0, seed=1)
BY_THE_CORE = {
    "two noises": ONE + Stimulus.white_noise(1.0, seed=2),
    "times per neuron": ONE + Stimulus.step(1.0, 0.0, [0.5, 0.7]),
}


@pytest.mark.parametrize("stimulus", STIMULI.values(), ids=STIMULI)
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_noise_of_every_backend_is_the_same_bit_for_bit(name, dtype, stimulus):
    assert_noise_is_right(choice.choose(name), stimulus, dtype)


@pytest.mark.parametrize("name", NAMES)
def test_a_result_says_who_computed_its_noise(name, tmp_path):
    simulator = Simulator(name, "float64")
    result = simulator.run(T=1.0, batch_size=2, stimulus=ONE)
    computes = discovery.entry(name).spec.capabilities.noise
    assert computes is (name != "reference")
    who = "backend" if computes else "core"
    assert result.noise_from == who
    assert f", noise by the {who}>" in repr(result)
    result.save(tmp_path / "noisy.npz")
    assert load_result(tmp_path / "noisy.npz").noise_from == who
    later = simulate(Problem(1.0, stimulus=ONE, dtype=result.dtype, resume=result), "reference")
    assert set(concat([result, later]).noise_from.split(", ")) == {who, "core"}
    quiet = simulator.run(T=1.0, batch_size=2, stimulus=Stimulus.constant(1.0))
    assert quiet.noise_from == ""
    assert "noise" not in repr(quiet)


@pytest.mark.parametrize("stimulus", BY_THE_CORE.values(), ids=BY_THE_CORE)
def test_what_no_backend_computes_comes_from_the_core_as_rows(stimulus):
    problem = Problem(1.0, batch_size=2, stimulus=stimulus)
    given = choice.choose("numpy").given(problem)
    assert given.current.noise is None
    assert given.current.array
    result = Simulator("numpy", "float64").run(T=1.0, batch_size=2, stimulus=stimulus)
    assert result.noise_from == "core"
    assert np.abs(result.V - simulate(problem, "reference").V).max() < 1e-8  # mV


def test_a_backend_that_does_not_declare_noise_is_given_rows():
    problem = problem_of(ONE, "float64")
    rows = choice.choose("reference").given(problem).current
    assert (rows.noise, rows.separable) == (None, None)
    assert rows.array is rows


def test_a_noise_is_given_with_its_numbers_and_the_rest_of_the_current():
    # x[k+1] = a x[k] + b ξ[k+1] with a = e^(−dt/τ) and b = √(1 − a²); dt is 0.05 ms.
    stimulus = ONE * 2.0 + Stimulus.constant(np.linspace(0.0, 1.0, 37))
    current = choice.choose("numpy").given(problem_of(stimulus, "float32")).current
    assert (current.separable, current.array) == (None, None)
    noise = current.noise
    assert (noise.sigma, noise.seed, noise.stream, noise.carried) == (6.0, 1, 0, None)
    assert_array_equal(noise.neurons, problem_of(stimulus, "float32").neuron_ids)
    a, b = np.exp(-0.05 / 2.0), np.sqrt(1.0 - np.exp(-0.1 / 2.0))
    assert noise.recursion.decay.dtype == noise.recursion.kick.dtype == np.float32
    assert noise.recursion.decay == np.float32(a)
    assert noise.recursion.kick == pytest.approx([b], rel=1e-7)
    (row,) = noise.separable.rows(5, 1)
    assert_array_equal(row, 12.0 + np.linspace(0.0, 1.0, 37))
    assert_array_equal(current.gain_over(2.0), noise.separable.gain / 2.0)


def test_a_recorded_waveform_with_a_gain_per_neuron_is_one_waveform():
    recorded = Stimulus.recorded(np.sin(np.arange(90.0)), dt=0.17, gain=np.linspace(0, 9, 4))
    separable = Problem(1.0, stimulus=recorded).current.separable
    assert separable
    assert separable.gain.shape == (1, 4)
    assert separable.waveform(3, 7).shape == (7, 1)


def test_a_state_without_the_process_breaks_the_contract(monkeypatch):
    opened = choice.choose("numpy")
    session = type(opened.backend.prepare(problem_of(ONE, "float64"), 1))
    right = session.state
    monkeypatch.setattr(session, "state", lambda self: State(right(self).variables))
    with pytest.raises(
        ContractViolation, match=r"carry of state\(\) must have 'noise_0', .*\(2,\)"
    ):
        Simulator("numpy").run(T=1.0, batch_size=2, stimulus=ONE)
