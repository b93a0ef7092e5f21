"""Tests of the method "stiff", for backends that declare it."""

from typing import Any

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.kit import Kit, assert_equal, assert_near, assert_same, reference
from hhplug.testing.topics.currents import SPIKING

ORDER = (3.7, 4.2)  # least and greatest measured order of convergence
STRONG = 5.0  # times the usual conductances, with which RK4 is unstable at DT
DT = 0.05  # ms
N = 33


def _strong(steps: int, **changes: Any) -> dict[str, Any]:
    """Arguments of a run with strong conductances and a current that changes in every step."""
    usual = {"g_Na": 120.0, "g_K": 36.0, "g_L": 0.3}
    current = 100.0 + 90.0 * np.sin(np.arange(steps))[:, np.newaxis] * np.linspace(-1.0, 1.0, N)
    return {
        "T": steps * DT,
        "dt": DT,
        "stimulus": current,
        "parameters": {name: STRONG * value for name, value in usual.items()},
        "initial_state": SPIKING,
        "record": ("V", "m"),
        "method": "stiff",
    } | changes


class MethodTests:
    @pytest.mark.kit_level(2)
    def test_the_stiff_method_is_that_of_the_reference(self, kit: Kit):
        kit.needs("methods", "stiff" in kit.spec.capabilities.methods)
        arguments = _strong(kit.steps(100, 5))
        ours, expected = kit.run(**arguments), reference(**arguments)
        assert expected.spikes.time.size >= N
        bound = BOUNDS[kit.dtype].V_5_ms
        for name in ours.samples:
            assert_near(ours[name], expected[name], bound, name)
        assert_equal(ours.spikes.neuron, expected.spikes.neuron, "spikes' neurons")
        late = np.abs(ours.spikes.time - expected.spikes.time).max()
        assert late < BOUNDS[kit.dtype].spike_time, f"a spike is {late:.2g} ms off"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_a_stiff_run_does_not_depend_on_how_it_is_cut(self, kit: Kit):
        kit.needs("methods", "stiff" in kit.spec.capabilities.methods)
        steps = kit.steps(40, 2)
        problem = kit.problem(**_strong(steps))
        whole = kit.run_in_blocks(problem, [steps])
        assert_same(kit.run_in_blocks(problem, [1]), whole, "a run in blocks of 1 step differs")

    @pytest.mark.kit_level(2)
    @pytest.mark.precision("float64")
    def test_the_stiff_method_is_of_fourth_order(self, kit: Kit):
        kit.needs("methods", "stiff" in kit.spec.capabilities.methods)
        kit.needs("float64", "float64" in kit.spec.capabilities.dtypes)
        T, state = (0.16, None) if kit.short else (2.0, SPIKING)
        dts = (0.04, 0.02) if kit.short else (0.04, 0.02, 0.01)
        current = Stimulus.constant([7.0, 15.0, 30.0])
        arguments: dict[str, Any] = {
            "stimulus": current, "initial_state": state, "record": ()
        }  # fmt: skip
        exact = reference(T, dt=0.0025, **arguments).final_state[0]
        errors = [
            np.abs(kit.run(T, dt=dt, method="stiff", **arguments).final_state[0] - exact).max()
            for dt in dts
        ]
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        assert ORDER[0] < orders.min(), f"errors {errors}"
        assert orders.max() < ORDER[1], f"errors {errors}"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_of_the_stiff_method_only_states_that_are_not_finite_are_invalid(self, kit: Kit):
        kit.needs("methods", "stiff" in kit.spec.capabilities.methods)
        state = np.tile(np.array(SPIKING)[:, np.newaxis], N)
        state[0, 3], state[2, 4], state[3, 5] = np.inf, np.nan, -np.inf
        arguments = _strong(kit.steps(40, 4), initial_state=state, record=())
        first = kit.run(**arguments).first_invalid_step
        expected = np.full(N, -1)
        expected[3:6] = 0
        assert_equal(first, expected, "first invalid steps")
