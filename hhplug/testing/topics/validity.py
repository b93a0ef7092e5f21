"""Tests that a run says which neurons are invalid, and from which step on."""

from typing import Any

import numpy as np
import pytest

from hhplug.problem import SPIKE_MODES
from hhplug.testing.kit import Kit, assert_equal, assert_same, reference

DT = 0.02  # ms
SHORT = 8  # steps, in which some neurons pass the limit
# Steps by which rounding in float32 may move the step at which V swings beyond the limit.
LATE = {"float32": 2, "float64": 0}


def _unstable(steps: int) -> dict[str, Any]:
    """Arguments of a run in which some neurons pass the stability limit, and two aren't finite.

    Neurons 3 and 4 begin as NaN and infinite. The others begin on the way to a spike.
    """
    n = 33
    state = np.tile([[-20.0], [0.4], [0.5], [0.35]], n)
    state[0, 3], state[2, 4] = np.inf, np.nan
    return {
        "T": steps * DT,
        "dt": DT,
        "stimulus": np.full((steps, 1), 20.0),
        "initial_state": state,
        "parameters": {"g_Na": np.geomspace(100.0, 6000.0, n), "C_m": np.linspace(0.8, 2.5, n)},
        "start_step": 7,
        "record": (),
    }


@pytest.mark.filterwarnings("ignore:.* neurons (start with a state|became invalid):RuntimeWarning")
class ValidityTests:
    @pytest.mark.kit_level(2)
    @pytest.mark.parametrize("spikes", SPIKE_MODES)
    def test_invalid_neurons_are_told_with_their_first_invalid_step(self, kit: Kit, spikes: Any):
        arguments = _unstable(kit.steps(200, SHORT)) | {"spikes": spikes}
        ours = kit.run(**arguments).first_invalid_step
        expected = reference(**arguments).first_invalid_step
        assert_equal(expected[3:5], [7, 7], "neurons that begin as NaN or infinite")
        assert 5 < (expected < 0).sum() < 28
        assert len(set(expected.tolist())) > 5
        assert_equal(ours < 0, expected < 0, "which neurons are valid")
        late = np.abs(ours - expected)
        assert late.max() <= LATE[kit.dtype], (
            f"neuron {late.argmax()} is told to be invalid from step {ours[late.argmax()]} on, "
            f"but is from step {expected[late.argmax()]} on"
        )

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_a_neuron_that_isnt_finite_after_the_last_step_is_told(self, kit: Kit):
        steps = 4
        current = np.zeros((steps, 33))
        current[-1, 20] = 1e37
        first = kit.run(steps * DT, dt=DT, stimulus=current, record=()).first_invalid_step
        expected = np.full(33, -1)
        expected[20] = steps
        assert_equal(first, expected, "first invalid steps")

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_invalid_neurons_do_not_depend_on_how_a_run_is_cut(self, kit: Kit):
        steps = kit.steps(200, SHORT)
        problem = kit.problem(**_unstable(steps))
        whole = kit.run_in_blocks(problem, [steps])
        assert_same(kit.run_in_blocks(problem, [2]), whole, "a run in blocks of 2 steps differs")
        first = kit.run_in_blocks(problem.shortened(4), [4])
        arguments = _unstable(steps - 4) | {"start_step": 7 + 4}
        rest = kit.problem(**arguments).continuing(first.final, first.invalid)
        second = kit.run_in_blocks(rest, [steps])
        assert_equal(second.invalid.neuron, whole.invalid.neuron, "invalid neurons of two runs")
        assert_equal(second.invalid.step, whole.invalid.step, "their first invalid steps")
