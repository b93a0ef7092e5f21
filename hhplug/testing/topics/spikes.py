"""Tests that every upward crossing of the stored V is found exactly once as a spike."""

import numpy as np
import pytest

from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.testing.kit import Kit, assert_equal
from hhplug.testing.problems import DT, Population

LONGEST_BLOCK = 2**16  # steps; the core makes no longer ones
LATE_FRACTION = 1e-4  # the same where V changes little in the step of the crossing
FRACTION = 1e-6  # error of a spike time in steps, from interpolation in float32


def crossings(V, final_V, threshold):
    """Return neuron and time, in steps, of each V[k] < θ ≤ V[k+1] in a recorded trace.

    V is (steps, neurons); final_V, (neurons,), follows its last row.
    """
    V = np.concatenate([V, final_V[np.newaxis]]).astype(np.float64)
    neuron, step = np.nonzero(((V[:-1] < threshold) & (threshold <= V[1:])).T)
    before, after = V[step, neuron], V[step + 1, neuron]
    return neuron, step + (threshold - before) / (after - before)


class SpikeTests:
    @pytest.mark.parametrize("threshold", [0.0, -55.3, 12.5, "stored"])
    def test_spikes_are_the_upward_crossings_of_the_stored_voltage(self, kit: Kit, threshold):
        population = Population(259, kit.steps(100, 16))
        if threshold == "stored":  # V[k] = θ is no crossing; θ is the V[0] of a rising neuron
            V = kit.run(**population.arguments()).V
            threshold = float(V[0, np.argmax(V[1] - V[0])])
        ours = kit.run(**population.arguments(spike_threshold=threshold))
        rounded = np.dtype(kit.dtype).type(threshold)
        neuron, time = crossings(ours.V, ours.final_state[0], rounded)
        assert len(neuron) > 10
        assert_equal(ours.spikes.neuron, neuron, "spikes' neurons")
        np.testing.assert_allclose(ours.spikes.time / DT, time, rtol=0.0, atol=FRACTION)
        np.testing.assert_array_equal(ours.spike_count, np.bincount(neuron, minlength=259))

    @pytest.mark.parametrize(
        "n",
        [
            2000,
            pytest.param(300_000, marks=pytest.mark.long_horizon("a million spikes in a block")),
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
        )
        neuron, time = crossings(ours.V, ours.final_state[0], 0.0)
        each = np.bincount(neuron, minlength=n)
        assert (each == 4).all()
        assert (np.floor(time[3::4]) == steps - 1).all()
        assert_equal(ours.spike_count, each, "spike count")
        assert_equal(ours.spikes.neuron, neuron, "spikes' neurons")
        np.testing.assert_allclose(ours.spikes.time / 0.01, time, rtol=0.0, atol=FRACTION)

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.long_horizon("a thousand spikes of a neuron in one block")
    def test_the_longest_block_has_a_thousand_spikes_of_each_neuron(self, kit: Kit):
        # Every 64 steps the current lifts V by 100 mV in two steps, and takes it back in two.
        n, steps = 97, LONGEST_BLOCK
        current = np.zeros((steps, 1))
        current[0::64] = current[1::64] = 5000.0
        current[2::64] = current[3::64] = -5000.0
        problem = kit.problem(steps * 0.01, batch_size=n, stimulus=current)
        ours = kit.run_in_blocks(problem, [steps])
        neuron, time = crossings(ours.samples["V"], ours.final_state[0], 0.0)
        each = np.bincount(neuron, minlength=n)
        assert (each >= steps // 64).all()
        assert_equal(ours.spike_count, each, "spike count")
        assert_equal(ours.spikes.neuron, neuron, "spikes' neurons")
        np.testing.assert_allclose(ours.spikes.time / 0.01, time, rtol=0.0, atol=LATE_FRACTION)

    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_a_spike_on_a_block_boundary_is_found_once(self, kit: Kit, length):
        population = Population(259, kit.steps(48, 12))
        problem = kit.problem(**population.arguments())
        ours = kit.run_in_blocks(problem, [length])
        neuron, time = crossings(ours.samples["V"], ours.final_state[0], 0.0)
        assert {int(t) % length for t in time} == set(range(length)), "crossings in every place"
        np.testing.assert_array_equal(ours.spikes.neuron, neuron)
        np.testing.assert_allclose(ours.spikes.time / DT, time, rtol=0.0, atol=FRACTION)
        np.testing.assert_array_equal(ours.spike_count, np.bincount(neuron, minlength=259))

    def test_counts_do_not_depend_on_whether_times_are_kept(self, kit: Kit):
        population = Population(259, kit.steps(100, 16))
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
        with kit.chosen.backend.prepare(problem, problem.n_steps) as session:
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
