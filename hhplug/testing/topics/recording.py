"""Tests that the right samples are recorded, and that recording does not change the run."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hhplug.results.result import Result
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.testing.kit import Kit, assert_equal, assert_same
from hhplug.testing.problems import Population

CHOICES = [
    (("V",), 1, None),
    (("n", "V"), 3, [7, 258, 3]),
    ((), 1, None),
    (tuple("Vmhn"), 7, None),
    (("h",), 2, []),
    (("m",), 1000, [0]),
]


def _arrays(result: Result) -> list[NDArray[Any]]:
    spikes = result.spikes
    return [*result.samples.values(), result.final_state, result.spike_count,
            spikes.neuron, spikes.time]  # fmt: skip


class RecordingTests:
    @pytest.mark.parametrize(("record", "every", "neurons"), CHOICES)
    def test_recording_selects_samples_and_does_not_change_the_run(
        self, kit: Kit, record, every, neurons
    ):
        population = Population(259, kit.steps(50, 8))
        everything = kit.run(**population.arguments())
        some = kit.run(
            **population.arguments(record=record, record_every=every, record_neurons=neurons)
        )
        assert set(some.samples) == set(record)
        chosen = slice(None) if neurons is None else neurons
        for name in record:
            assert_equal(some[name], everything[name][::every][:, chosen], name)
        assert_equal(some.final_state, everything.final_state, "final state")
        assert_equal(some.spikes.neuron, everything.spikes.neuron, "spikes' neurons")
        assert_equal(some.spikes.time, everything.spikes.time, "spike times")

    def test_the_first_sample_is_the_initial_state_and_no_sample_is_the_final_state(self, kit: Kit):
        population = Population(33, 3)
        ours = kit.run(**population.arguments())
        given = population.arguments()["initial_state"].astype(kit.dtype)
        for row, name in enumerate("Vmhn"):
            assert_equal(ours[name][0], given[row], name)
            assert (ours[name][-1] != ours.final_state[row]).any()
        assert ours.V.dtype == ours.final_state.dtype == np.dtype(kit.dtype)
        assert ours.final_state.shape == (4, 33)

    def test_repeating_a_run_gives_the_same_result(self, kit: Kit):
        arguments = Population(257, kit.steps(50, 8)).arguments()
        assert_same(kit.run(**arguments), kit.run(**arguments))

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_a_later_run_does_not_change_a_result(self, kit: Kit):
        # The second run has as many spikes in each step, so that a pool would fit it.
        population = Population(257, kit.steps(50, 5))
        right = [array.copy() for array in _arrays(kit.run(**population.arguments()))]
        ours = kit.run(**population.arguments())
        kit.run(**population.arguments(slice(None, None, -1)))
        for array, expected in zip(_arrays(ours), right, strict=True):
            assert_equal(array, expected, "as it was before another run")
        kit.chosen.backend.release_memory()
        again = kit.run(**population.arguments())
        assert_same(again, ours, "after memory was released, a run differs")

    def test_later_blocks_do_not_change_what_was_read(self, kit: Kit):
        problem = kit.problem(**Population(33, 15).arguments())
        recorder = MemoryRecorder(problem)
        kit.budget.steps += problem.n_steps
        with kit.session(problem, 5) as session:
            recorded, copies = [], []
            for first, count in ((0, 5), (5, 4), (9, 5), (14, 1)):
                block, out = session.advance(count), recorder.block(first, count)
                block.read(out)
                state = session.state()
                spikes = [array for added in out.spikes for array in added]
                arrays = [*out.samples.values(), state.variables, *state.carry.values(), *spikes]
                recorded.append(arrays)
                copies.append([array.copy() for array in arrays])
        for arrays, before in zip(recorded, copies, strict=True):
            for array, copy in zip(arrays, before, strict=True):
                assert_equal(array, copy, "as it was when it was read")
        assert len(recorded[0]) > 5, "a spike in the first block"

    def test_device_arrays_equal_the_arrays_of_a_run_on_the_host(self, kit: Kit):
        kit.needs("device_arrays", kit.spec.capabilities.device_arrays)
        population = Population(259, kit.steps(50, 8))
        choice = {"record": ("V", "n"), "record_every": 3, "record_neurons": [7, 258, 3]}
        host = kit.run(**population.arguments(**choice))
        device = kit.run(**population.arguments(**choice, device_arrays=True))
        kit.run(
            **Population(259, population.n_steps, seed=2).arguments(**choice, device_arrays=True)
        )
        for name in ("V", "n"):
            assert not isinstance(device[name], np.ndarray)
            assert tuple(device[name].shape) == host[name].shape
        assert_same(device.on_host(), host)
