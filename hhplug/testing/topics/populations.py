"""Tests that a neuron's trajectory depends on its own inputs only, not on other neurons."""

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.hh_parameters import HHParameters
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.kit import Kit, assert_equal, assert_near, assert_same, reference
from hhplug.testing.problems import CURRENTS, Population

SIZES = (1, 31, 32, 33, 255, 257, 1025, 5003)
LARGE = 20_000
MILLIONS = 4_300_003  # more than 65,535 thread blocks of 64 threads


class PopulationTests:
    def test_a_neuron_is_the_same_in_a_population_of_any_size(self, kit: Kit):
        steps = kit.steps(50, 5)

        def run(n):
            return kit.run(**Population(n, steps).arguments(record_every=3))

        whole = run(LARGE)
        for n in SIZES:
            part = run(n)
            for name in "Vmhn":
                assert_equal(part[name], whole[name][:, :n], f"{name} of {n} neurons")
            assert_equal(part.final_state, whole.final_state[:, :n], f"state of {n} neurons")
            assert_equal(part.spike_count, whole.spike_count[:n], f"spike count of {n} neurons")

    @pytest.mark.long_horizon("millions of neurons")
    def test_millions_of_neurons_are_computed_like_a_few(self, kit: Kit):
        population = Population(1009, 1)
        neurons = np.arange(MILLIONS) % population.n
        ours, expected = (
            kit.run(**population.arguments(some, record=(), spikes="counts"))
            for some in (neurons, slice(None))
        )
        for row, name in enumerate("Vmhn"):
            assert_equal(ours.final_state[row], expected.final_state[row][neurons], name)
        assert_equal(ours.spike_count, expected.spike_count[neurons], "spike count")
        assert expected.spike_count.any()

    @pytest.mark.parametrize("current", CURRENTS)
    def test_a_permutation_of_neurons_permutes_the_result(self, kit: Kit, current):
        population = Population(259, kit.steps(50, 8), current)
        order = np.random.default_rng(7).permutation(population.n)
        straight = kit.run(**population.arguments())
        permuted = kit.run(**population.arguments(order))
        for name in "Vmhn":
            assert_equal(permuted[name], straight[name][:, order], name)
        assert_equal(permuted.spike_count, straight.spike_count[order], "spike count")
        assert_equal(permuted.final_state, straight.final_state[:, order], "final state")

    @pytest.mark.parametrize("name", vars(HHParameters()))
    def test_every_parameter_may_be_per_neuron(self, kit: Kit, name):
        n, T = 33, 0.02 * kit.steps(100, 10)
        value = getattr(HHParameters(), name)
        spread = HHParameters(**{name: np.linspace(0.9 * value, 1.1 * value, n)})
        arguments = {
            "dt": 0.02,
            "parameters": spread,
            "stimulus": Stimulus.constant(np.linspace(7.0, 30.0, n)),
            "initial_state": [-40.0, 0.2, 0.5, 0.4],
        }
        ours, expected = kit.run(T, **arguments), reference(T, **arguments)
        assert_near(ours.V, expected.V, BOUNDS[kit.dtype].V_5_ms, "V")

    def test_uniform_and_per_neuron_parameters_are_the_same(self, kit: Kit):
        n, T = 17, 0.01 * kit.steps(300, 20)
        values = (0.9, 115.0, 35.0, 0.31, 52.0, -76.0, -54.0)
        named = dict(zip(vars(HHParameters()), values, strict=True))
        uniform = HHParameters(**named)
        spread = HHParameters(**{name: np.full(n, value) for name, value in named.items()})
        stimulus = Stimulus.sine(10.0, 100.0, offset=5.0)
        one, other = (
            kit.run(T, batch_size=n, stimulus=stimulus, parameters=parameters)
            for parameters in (uniform, spread)
        )
        assert_same(one, other)

    def test_a_neuron_that_blows_up_affects_no_other_neuron_and_no_later_run(self, kit: Kit):
        T = 0.01 * kit.steps(100, 20)
        healthy = kit.run(T, stimulus=Stimulus.constant([10.0] * 3))
        with pytest.warns(RuntimeWarning, match="1 of 3 neurons"):
            ours = kit.run(T, stimulus=Stimulus.constant([10.0, 1e37, 10.0]))
        assert not np.isfinite(ours.final_state[:, 1]).any(), "all four variables of the neuron"
        for neuron in (0, 2):
            assert_equal(ours.V[:, neuron], healthy.V[:, neuron], f"V of neuron {neuron}")
        assert_same(kit.run(T, stimulus=Stimulus.constant([10.0] * 3)), healthy)

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.filterwarnings("ignore:1 of 3 neurons:RuntimeWarning")
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_run_may_begin_with_a_neuron_that_is_not_finite(self, kit: Kit, value: float):
        T, current = 0.01 * kit.steps(100, 6), Stimulus.constant([10.0] * 3)
        healthy = kit.run(T, stimulus=current)
        state = healthy.problem.initial_state.copy()
        state[:, 1] = value
        ours = kit.run(T, stimulus=current, initial_state=state)
        assert not np.isfinite(ours.final_state[:, 1]).any(), "a neuron that began as NaN is finite"
        for neuron in (0, 2):
            assert_equal(ours.V[:, neuron], healthy.V[:, neuron], f"V of neuron {neuron}")
