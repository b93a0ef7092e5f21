"""Tests that a run may be cut into blocks, continued, interleaved with another and closed."""

import gc

import numpy as np
import psutil
import pytest

from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.preparing import BLOCK_STEPS
from hhplug.testing.kit import Kit, Run, assert_same
from hhplug.testing.memory import resident_memory
from hhplug.testing.problems import CURRENTS, DT, Population


class SessionTests:
    @pytest.mark.parametrize("current", CURRENTS)
    def test_blocks_of_any_length_give_the_same_run(self, kit: Kit, current):
        population = Population(257, kit.steps(50, 11), current)
        problem = kit.problem(**population.arguments(record_every=3))
        assert_same(
            kit.run_in_blocks(problem, [1, 4, 2, 7]), kit.run_in_blocks(problem, [problem.n_steps])
        )

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.long_horizon("hundreds of blocks")
    def test_hundreds_of_blocks_give_the_run_of_one(self, kit: Kit):
        steps = 300
        problem = kit.problem(**Population(33, steps).arguments(record=("V",)))
        assert_same(kit.run_in_blocks(problem, [1]), kit.run_in_blocks(problem, [steps]))

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_a_session_for_the_longest_blocks_has_more_neuron_steps_than_32_bits_count(
        self, kit: Kit
    ):
        population = Population(70_000, 5)  # only these steps are done
        recorded = {"record": ("V",), "record_neurons": [69_999, 0, 33_000]}
        problem = kit.problem(**population.arguments(**recorded, T=DT * BLOCK_STEPS))
        done, lengths = problem.shortened(population.n_steps), (3, 2)
        assert problem.n_neurons * BLOCK_STEPS > 2**32
        recorder = MemoryRecorder(done)
        kit.budget.steps += done.n_steps
        with kit.session(problem, BLOCK_STEPS) as session:
            for first, count in zip((0, 3), lengths, strict=True):
                out = recorder.block(first, count)
                session.advance(count).read(out)
                recorder.collect(out)
            final = session.state()
        ours = Run(*recorder.finish(done.n_steps, final), final)
        assert_same(
            ours,
            kit.run_in_blocks(done, lengths),
            f"a session of {population.n:,} neurons and blocks of at most {BLOCK_STEPS:,} steps "
            "differs from one for short blocks; neurons × steps must not be counted in 32 bits",
        )

    @pytest.mark.parametrize("current", CURRENTS)
    def test_two_consecutive_runs_equal_one_long_run(self, kit: Kit, current):
        steps = kit.steps(50, 10)
        population, cut = Population(257, steps, current), steps * 2 // 5
        whole = kit.run(**population.arguments(record_every=3))
        first = kit.run(**population.arguments(steps=slice(cut), record_every=3))
        going_on = {"initial_state": first.final_state, "start_step": first.next_step}
        second = kit.run(**population.arguments(steps=slice(cut, None), record_every=3, **going_on))
        for name in ("time", *"Vmhn"):
            joined = np.concatenate([first[name], second[name]])
            np.testing.assert_array_equal(joined, whole[name], err_msg=name)
        np.testing.assert_array_equal(second.final_state, whole.final_state)
        np.testing.assert_array_equal(first.spike_count + second.spike_count, whole.spike_count)
        times = np.concatenate([first.spikes.time, second.spikes.time])
        neurons = np.concatenate([first.spikes.neuron, second.spikes.neuron])
        order = np.lexsort([times, neurons])
        np.testing.assert_array_equal(neurons[order], whole.spikes.neuron)
        np.testing.assert_array_equal(times[order], whole.spikes.time)

    def test_two_concurrent_sessions_do_not_affect_each_other(self, kit: Kit):
        populations = [Population(n, 12, seed=n) for n in (257, 1025)]
        problems = [kit.problem(**population.arguments()) for population in populations]
        recorders = [MemoryRecorder(problem) for problem in problems]
        kit.budget.steps += 24
        with kit.session(problems[0], 4) as one, kit.session(problems[1], 4) as other:
            for first in range(0, 12, 4):
                blocks = [session.advance(4) for session in (one, other)]
                for block, recorder in zip(blocks, recorders, strict=True):
                    block.read(recorder.block(first, 4))
            states = one.state(), other.state()
        for problem, state, recorder in zip(problems, states, recorders, strict=True):
            alone = kit.run_in_blocks(problem, [4])
            np.testing.assert_array_equal(state.variables, alone.final_state)
            np.testing.assert_array_equal(recorder.samples["V"], alone.samples["V"])
            np.testing.assert_array_equal(recorder.spike_count, alone.spike_count)

    def test_a_session_may_be_closed_twice_and_unfinished(self, kit: Kit):
        problem = kit.problem(**Population(33, 12).arguments())
        session = kit.session(problem, 4)
        session.advance(4)
        kit.budget.steps += 4
        session.close()
        session.close()

    def test_closing_a_session_frees_its_memory_and_threads_on_the_host(self, kit: Kit):
        n, cycles, before = kit.steps(500_000, 200_000), 12, 3
        problem = kit.problem(0.02, batch_size=n, dt=0.02, record=())
        size = 4 * n * np.dtype(kit.dtype).itemsize  # bytes of one state
        kit.budget.steps += before + cycles

        def cycle(number: int):
            with kit.session(problem, 1) as session:
                block = session.advance(1)
                if number % 2:  # else the session is closed with a block unread
                    block.read(MemoryRecorder(problem).block(0, 1))
                    session.state()
            return resident_memory(), psutil.Process().num_threads()

        # Frozen objects are skipped by gc.collect(), which otherwise takes 0.2 s to visit those of
        # PyTorch.
        frozen_before = gc.get_freeze_count()
        gc.freeze()
        try:
            _, _, first, *_, last = map(cycle, range(before + cycles))
        finally:
            if not frozen_before:
                gc.unfreeze()
        assert last[0] - first[0] < cycles * size / 4, "a state is kept of every session or block"
        assert last[1] - first[1] < cycles / 4, "a thread is kept of every session or block"
