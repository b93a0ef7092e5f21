"""What every backend is held to, against the reference; bit for bit: test_properties."""

import numpy as np
import pytest
from under_test import every_backend

from hhplug import HHParameters, Simulator, Stimulus
from hhplug.testing.accuracy import BOUNDS, accuracy

SIZES = (1, 31, 32, 33, 255, 257, 1000, 70_000)


@every_backend
def test_the_accuracy_problem_is_within_bounds(backend, dtype):
    errors, bounds = accuracy(backend, dtype), BOUNDS[dtype]
    assert errors.V_5_ms < bounds.V_5_ms
    assert errors.V_50_ms < bounds.V_50_ms
    assert errors.spike_time < bounds.spike_time


@every_backend
@pytest.mark.parametrize("V", [-40.0, -55.0])
@pytest.mark.parametrize("beside", [-np.inf, None, np.inf])
def test_a_run_may_start_at_a_singular_voltage(backend, dtype, V, beside):
    V = np.array(V, dtype) if beside is None else np.nextafter(np.array(V, dtype), beside)
    state = [float(V), 0.1, 0.6, 0.3]
    ours = Simulator(backend, dtype).run(T=1.0, initial_state=state, record_all=True)
    expected = Simulator("reference").run(T=1.0, initial_state=state, record_all=True)
    for name in "Vmhn":
        assert np.abs(ours[name] - expected[name]).max() < BOUNDS[dtype].V_5_ms


@every_backend
def test_a_neuron_is_the_same_in_any_population(backend, dtype):
    # The first neurons of each population are those of the largest.
    largest = SIZES[-1]
    rng = np.random.default_rng(largest)
    C_m, g_Na = rng.uniform(0.9, 1.1, largest), rng.uniform(110.0, 130.0, largest)
    amplitude = rng.uniform(0.0, 40.0, largest)

    def run(n):
        parameters = HHParameters(C_m=C_m[:n], g_Na=g_Na[:n])
        return Simulator(backend, dtype, parameters).run(
            T=0.5, stimulus=Stimulus.constant(amplitude[:n]), record_all=True, record_every=7
        )

    whole = run(largest)
    for n in SIZES:
        part = run(n)
        for name in "Vmhn":
            np.testing.assert_array_equal(part[name], whole[name][:, :n])
        np.testing.assert_array_equal(part.final_state, whole.final_state[:, :n])
        np.testing.assert_array_equal(part.spike_count, whole.spike_count[:n])


@every_backend
def test_every_form_of_current_agrees_with_the_reference(backend, dtype):
    n, T = 33, 20.0
    amplitude = np.linspace(7.0, 20.0, n)
    currents = [
        Stimulus.constant(amplitude),
        Stimulus.step(amplitude, 1.0, 15.0) + Stimulus.constant(0.5),
        Stimulus.pulse_train(2.0 * amplitude, 1.0, 2.0, 9.0, 2),
        Stimulus.ramp(amplitude, 20.0, 1.0, 18.0) + Stimulus.sine(amplitude, 40.0, 0.2, 0.1),
        (Stimulus.constant(amplitude) + Stimulus.sine(1.0, 100.0)).sample(0.01, 2000),
        Stimulus.step(15.0, 1.0, 18.0).sample(0.01, 2000),
        np.full((2000, n), 12),
    ]
    for current in currents:
        ours, expected = (
            Simulator(*kind).run(T, batch_size=n, stimulus=current)
            for kind in ((backend, dtype), ("reference",))
        )
        assert np.abs(ours.V - expected.V).max() < BOUNDS[dtype].V_50_ms, current
        np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
        assert expected.spike_count.any()


@every_backend
def test_uniform_and_per_neuron_parameters_are_the_same(backend, dtype):
    n = 17
    uniform = HHParameters(C_m=0.9, g_Na=115.0, g_K=35.0, g_L=0.31, E_Na=52.0, E_K=-76.0, E_L=-54.0)
    spread = HHParameters(**{name: np.full(n, value) for name, value in vars(uniform).items()})
    stimulus = Stimulus.sine(10.0, 100.0, offset=5.0)
    one, other = (
        Simulator(backend, dtype, parameters).run(T=5.0, batch_size=n, stimulus=stimulus)
        for parameters in (uniform, spread)
    )
    np.testing.assert_array_equal(one.V, other.V)


@every_backend
def test_a_neuron_that_blows_up_stays_alone(backend, dtype):
    stimulus = Stimulus.constant([10.0, 1e37, 10.0])
    with pytest.warns(RuntimeWarning, match="1 of 3 neurons"):
        result = Simulator(backend, dtype).run(T=1.0, stimulus=stimulus)
    assert not np.isfinite(result.final_state[:, 1]).all()
    np.testing.assert_array_equal(result.V[:, 0], result.V[:, 2])
    assert np.isfinite(result.V[:, 0]).all()
