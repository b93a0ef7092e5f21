"""Tests of accuracy against the float64 reference."""

from time import perf_counter

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.squid import squid
from hhplug.running.simulate import simulate
from hhplug.testing import runs
from hhplug.testing.accuracy import BOUNDS, accuracy_problem
from hhplug.testing.kit import Kit, assert_near, reference
from hhplug.testing.membranes import MEMBRANES
from hhplug.testing.problems import Population
from hhplug.testing.rates import worst_rate
from hhplug.testing.topics.currents import SPIKING

ORDER = (3.8, 4.2)  # least and greatest measured order of convergence
# Distances from a singular voltage, mV.
DISTANCES = (0.0, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)


class NumericsTests:
    def test_the_rates_are_within_bounds(self, kit: Kit):
        bound = BOUNDS[kit.dtype].rate
        worst = worst_rate(kit.run, kit.dtype, squid)
        kit.budget.note(kit.dtype, "rate", worst.error, bound)
        assert worst.error < bound, str(worst)

    @pytest.mark.kit_level(2)
    @pytest.mark.long_horizon("rates of other membranes")
    @pytest.mark.parametrize("name", sorted(set(MEMBRANES) - {"squid"}))
    def test_the_rates_of_other_membranes_are_within_bounds(self, kit: Kit, name: str):
        kit.needs("membranes", kit.spec.capabilities.membranes == "any")
        worst = worst_rate(kit.run, kit.dtype, MEMBRANES[name])
        bound = BOUNDS[kit.dtype].rate
        kit.budget.note(kit.dtype, f"rate of {name}", worst.error, bound)
        assert worst.error < bound, str(worst)

    def test_runs_from_the_singular_voltages_are_accurate(self, kit: Kit):
        distances = [sign * d for d in DISTANCES for sign in (-1, 1)]
        V = np.array([s + d for s in (-40.0, -55.0) for d in distances])
        state = np.stack([V, *(np.full(V.size, x) for x in (0.1, 0.6, 0.3))])
        T = 0.01 * kit.steps(100, 10)
        arguments = {"initial_state": state.astype(kit.dtype), "record": tuple("Vmhn")}
        ours, expected = kit.run(T, **arguments), reference(T, **arguments)
        for name in "Vmhn":
            assert_near(ours[name], expected[name], BOUNDS[kit.dtype].V_5_ms, name)

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_voltages_far_beyond_those_of_a_spike_are_computed_too(self, kit: Kit):
        gates = [[0.9] * 2 + [0.01] * 2, [0.1] * 2 + [0.99] * 2, [0.7] * 2 + [0.1] * 2]
        problem = kit.problem(
            0.001 * kit.steps(20, 5),
            dt=0.001,  # with a longer one, β_m at −180 mV is beyond what RK4 follows
            stimulus=Stimulus.constant([15_000.0, 5_000.0, -100.0, -100.0]),  # µA/cm²
            initial_state=[[250.0, 180.0, -180.0, -165.0], *gates],
        )
        ours, expected = kit.run_in_blocks(problem, [1]), simulate(problem, "reference")
        assert expected.valid.all()
        assert (np.abs(expected.V) > 150.0).all()
        bound = BOUNDS[kit.dtype].V_50_ms
        assert_near(ours.samples["V"], expected.V, bound, "V")

    def test_a_trace_of_5_ms_is_within_bounds(self, kit: Kit):
        problem = accuracy_problem(5.0, kit.dtype)
        ours = kit.run_in_blocks(problem, [500]).samples["V"]
        expected = runs.trace(5.0).V
        bound = BOUNDS[kit.dtype].V_5_ms
        kit.budget.note(kit.dtype, "V over 5 ms", np.abs(ours - expected).max(), bound)
        assert_near(ours, expected, bound, "V")

    @pytest.mark.long_horizon("V over 50 ms")
    def test_a_trace_of_50_ms_is_within_bounds(self, kit: Kit):
        ours = kit.run_in_blocks(accuracy_problem(50.0, kit.dtype), [5000]).samples["V"]
        expected = runs.trace(50.0).V
        bound = BOUNDS[kit.dtype].V_50_ms
        kit.budget.note(kit.dtype, "V over 50 ms", np.abs(ours - expected).max(), bound)
        assert_near(ours, expected, bound, "V")

    @pytest.mark.long_horizon("spike time over 200 ms")
    def test_spike_times_and_counts_over_200_ms_are_those_of_the_reference(self, kit: Kit):
        ours = kit.run_in_blocks(accuracy_problem(200.0, kit.dtype, record=()), [20_000])
        expected = runs.trains()
        bound = BOUNDS[kit.dtype].spike_time
        equal = np.array_equal(ours.spikes.neuron, expected.spikes.neuron)
        error = np.abs(ours.spikes.time - expected.spikes.time).max() if equal else np.inf
        kit.budget.note(kit.dtype, "spike time over 200 ms", error, bound)
        np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
        assert error < bound

    @pytest.mark.precision("float64")
    def test_float64_is_float64_throughout(self, kit: Kit):
        kit.needs("float64", "float64" in kit.spec.capabilities.dtypes)
        arguments = Population(257, kit.steps(60, 20)).arguments()
        ours, expected = kit.run(**arguments), reference(**arguments)
        for name in "Vmhn":  # one float32 operation causes an error of 1e-8 or more
            assert_near(ours[name], expected[name], 1e-10, name)
        assert ours.V.dtype == np.float64

    @pytest.mark.precision("float64")
    def test_the_order_of_convergence_is_four(self, kit: Kit):
        # Rounding hides the order in float32. The ratio of errors at dt and dt / 2 shows it.
        kit.needs("float64", "float64" in kit.spec.capabilities.dtypes)
        # From rest or during a spike these dt are small enough for the order to show.
        T, state = (0.32, None) if kit.short else (2.0, SPIKING)
        current = Stimulus.constant([7.0, 15.0, 30.0])
        arguments = {"stimulus": current, "initial_state": state, "record": ()}
        exact = reference(T, dt=0.0025, **arguments).final_state[0]
        errors = [
            np.abs(kit.run(T, dt=dt, **arguments).final_state[0] - exact).max()
            for dt in (0.04, 0.02, 0.01)
        ]
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        assert ORDER[0] < orders.min()
        assert orders.max() < ORDER[1]

    def test_a_long_run_stays_finite(self, kit: Kit):
        T = 0.02 * kit.steps(10_000, 30)
        current = Stimulus.constant(np.linspace(-10.0, 100.0, 33))
        ours = kit.run(T, dt=0.02, stimulus=current, record=())
        V, *gates = ours.final_state
        assert (V > -150.0).all()
        assert (V < 60.0).all()
        assert all(((gate >= 0.0) & (gate <= 1.0)).all() for gate in gates)

    def test_the_speed_is_reported(self, kit: Kit):
        steps = kit.steps(500, 2)
        arguments = {
            "batch_size": 10_000,
            "stimulus": Stimulus.constant(10.0),
            "record": (),
            "spikes": "counts",
        }
        kit.run(0.01 * steps, **arguments)
        began = perf_counter()
        kit.run(0.01 * steps, **arguments)
        kit.budget.speeds[kit.dtype] = 10_000 * steps / (perf_counter() - began)
        kit.budget.device = kit.chosen.backend.device
