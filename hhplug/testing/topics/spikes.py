"""Tests that every upward crossing of the stored V is found exactly once as a spike."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hhplug.crossings import crossing
from hhplug.problem import Problem
from hhplug.reference import rk4_step
from hhplug.results.result import Result
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.preparing import BLOCK_STEPS
from hhplug.testing.kit import Kit, Run, assert_equal, assert_near
from hhplug.testing.problems import DT, Population

LONGEST_BLOCK = BLOCK_STEPS  # the core makes no longer ones
# Errors of spike times in steps, from rounding, and where V changes little in the step.
FRACTION = {"float32": 1e-5, "float64": 1e-9}
LATE_FRACTION = {"float32": 1e-3, "float64": 1e-7}


def crossings(ours: Result | Run, problem: Problem) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return neuron and time, in steps, of each V[k] < θ ≤ V[k+1] in a run that records all states.

    Within the step V is the cubic of `hhplug.crossings`, whose slopes are the reference's.
    """
    membrane, dt = problem.membrane, problem.dt
    threshold = float(np.dtype(problem.dtype).type(problem.spike_threshold))
    V = np.concatenate([ours.samples["V"], ours.final_state[:1]]).astype(np.float64)
    neuron, step = np.nonzero(((V[:-1] < threshold) & (threshold <= V[1:])).T)
    state = np.stack([ours.samples[name][step, neuron] for name in membrane.states])
    rows = np.stack(list(problem.current.rows(problem.start_step, problem.n_steps)))
    I_ext = np.broadcast_to(rows, (len(rows), problem.n_neurons))[step, neuron]
    parameters = dict(problem.parameters.take(neuron))
    _, slopes = rk4_step(membrane.equations, state.astype(np.float64), I_ext, dt, parameters)
    before, after = V[step, neuron], V[step + 1, neuron]
    begin, end = slopes[0] * dt, slopes[-1] * dt
    return neuron, step + crossing(threshold - before, after - before, begin, end)


def assert_times(ours: Result | Run, dt: float, time: NDArray[Any], bounds: Any) -> None:
    """Assert that spikes are at these times, in steps. bounds: FRACTION or LATE_FRACTION."""
    bound = bounds[ours.samples["V"].dtype.name]
    assert_near(ours.spikes.time / dt, time, bound, "a spike time, in steps,")


class SpikeTests:
    @pytest.mark.parametrize(
        "threshold",
        [
            0.0,
            -55.3,
            12.5,
            "stored",
            pytest.param("rounded", marks=pytest.mark.kit_level(2)),
            pytest.param("reached", marks=pytest.mark.kit_level(2)),
        ],
    )
    def test_spikes_are_the_upward_crossings_of_the_stored_voltage(self, kit: Kit, threshold):
        population = Population(259, kit.steps(100, 13))
        if isinstance(threshold, str):  # V[k] = θ is no crossing; θ is the V[0] of a rising neuron
            V = kit.run(**population.arguments()).V
            rising = np.argmax(V[1] - V[0])
            start = V[1 if threshold == "reached" else 0, rising]  # θ = V[k+1] is a crossing
            beyond = np.spacing(np.abs(start)) / 4 if threshold == "rounded" else 0.0
            threshold = float(start) + float(beyond)  # rounds to V[0], and is above it in float64
        ours = kit.run(**population.arguments(spike_threshold=threshold))
        neuron, time = crossings(ours, ours.problem)
        assert len(neuron) > 10
        assert_equal(ours.spikes.neuron, neuron, "spikes' neurons")
        assert_times(ours, DT, time, FRACTION)
        np.testing.assert_array_equal(ours.spike_count, np.bincount(neuron, minlength=259))

    @pytest.mark.parametrize(
        "n",
        [
            2000,
            pytest.param(250_000, marks=pytest.mark.long_horizon("a million spikes in a block")),
        ],
    )
    def test_spikes_in_quick_succession_and_in_the_last_step_are_found(self, kit: Kit, n: int):
        # V rises by 60 mV in two steps and falls in the next two, so that each neuron spikes four
        # times, at last in the last step.
        steps = 13
        current = np.where(np.arange(steps) % 4 < 2, 3000.0, -3000.0)
        ours = kit.run(
            steps * 0.01,
            stimulus=np.tile(current[:, np.newaxis], n),
            initial_state=[-20.0, 0.05, 0.05, 0.3],
            record_all=True,
        )
        neuron, time = crossings(ours, ours.problem)
        each = np.bincount(neuron, minlength=n)
        assert (each == 4).all()
        assert (np.floor(time[3::4]) == steps - 1).all()
        assert_equal(ours.spike_count, each, "spike count")
        assert_equal(ours.spikes.neuron, neuron, "spikes' neurons")
        assert_times(ours, 0.01, time, FRACTION)

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_many_spikes_of_a_neuron_in_one_block_are_counted_without_times(self, kit: Kit):
        # V goes from −90 to −30 mV and back in every four steps: in all, more than 256 times.
        n, steps = 33, kit.steps(1100, 13)
        current = np.where(np.arange(steps) % 4 < 2, 3000.0, -3000.0)
        counted, timed = (
            kit.run_in_blocks(
                kit.problem(
                    steps * 0.01,
                    stimulus=np.tile(current[:, np.newaxis], n),
                    initial_state=[-90.0, 0.05, 0.05, 0.3],
                    spike_threshold=-60.0,
                    record=(),
                    spikes=mode,
                ),
                [steps],
            ).spike_count
            for mode in ("counts", "times")
        )
        assert timed.min() >= steps // 4
        assert_equal(counted, timed, "spike count without times")

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.long_horizon("a thousand spikes of a neuron in one block")
    def test_the_longest_block_has_a_thousand_spikes_of_each_neuron(self, kit: Kit):
        # Every 64 steps the current lifts V by 100 mV in two steps, and takes it back in two.
        n, steps = 33, LONGEST_BLOCK + 64  # another block follows
        current = np.zeros((steps, 1))
        current[0::64] = current[1::64] = 5000.0
        current[2::64] = current[3::64] = -5000.0
        problem = kit.problem(steps * 0.01, batch_size=n, stimulus=current, record_all=True)
        ours = kit.run_in_blocks(problem, [LONGEST_BLOCK])
        neuron, time = crossings(ours, problem)
        each = np.bincount(neuron, minlength=n)
        assert (each >= steps // 64).all()
        assert_equal(ours.spike_count, each, "spike count")
        assert_equal(ours.spikes.neuron, neuron, "spikes' neurons")
        assert_times(ours, 0.01, time, LATE_FRACTION)

    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_a_spike_on_a_block_boundary_is_found_once(self, kit: Kit, length):
        population = Population(259, kit.steps(48, 12))
        problem = kit.problem(**population.arguments())
        ours = kit.run_in_blocks(problem, [length])
        neuron, time = crossings(ours, problem)
        assert {int(t) % length for t in time} == set(range(length)), "crossings in every place"
        np.testing.assert_array_equal(ours.spikes.neuron, neuron)
        assert_times(ours, DT, time, FRACTION)
        np.testing.assert_array_equal(ours.spike_count, np.bincount(neuron, minlength=259))

    def test_counts_do_not_depend_on_whether_times_are_kept(self, kit: Kit):
        population = Population(259, kit.steps(100, 13))
        counted, timed = (
            kit.run(**population.arguments(spikes=mode, record=())) for mode in ("counts", "times")
        )
        np.testing.assert_array_equal(counted.spike_count, timed.spike_count)
        assert counted.spike_count.any()

    @pytest.mark.parametrize("mode", ["counts", "off"])
    def test_spike_times_are_given_only_if_they_were_requested(self, kit: Kit, mode):
        problem = kit.problem(**Population(259, 8).arguments(spikes=mode, record=()))
        recorder = MemoryRecorder(problem)
        kit.budget.steps += problem.n_steps
        with kit.session(problem, problem.n_steps) as session:
            recorded = recorder.block(0, problem.n_steps)
            session.advance(problem.n_steps).read(recorded)
        assert not recorded.spikes
        assert recorded.spike_count.any() == (mode == "counts")

    def test_the_trajectory_is_the_same_if_spikes_are_off(self, kit: Kit):
        population = Population(259, kit.steps(100, 8))
        off, timed = (
            kit.run(**population.arguments(spikes=mode, record=())) for mode in ("off", "times")
        )
        np.testing.assert_array_equal(off.final_state, timed.final_state)
