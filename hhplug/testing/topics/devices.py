"""Tests of one run on several devices. A device that is named twice stands for two."""

from typing import Any

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.errors import NO_SUCH_DEVICE, BackendUnavailable
from hhplug.plugins import choice
from hhplug.plugins.choice import Devices
from hhplug.results.result import Result
from hhplug.running.simulate import simulate
from hhplug.testing.kit import Kit, assert_equal, assert_same, chosen
from hhplug.testing.problems import DT, Population

N = 67  # so that the parts of two devices differ in size
WHAT = "a run on devices [0, 0] differs from that on device 0"


def _on(kit: Kit, device: Devices, **arguments: Any) -> Result:
    problem = kit.problem(**arguments)
    kit.budget.steps += problem.n_steps
    return simulate(problem, chosen(kit.name, device=device))


class DeviceTests:
    @pytest.mark.kit_level(2)
    def test_a_missing_device_is_refused_by_the_code_that_ends_the_list_of_all(self, kit: Kit):
        kit.needs("device_index", kit.spec.capabilities.device_index)
        with pytest.raises(BackendUnavailable) as refusal:
            choice.choose(kit.name, device=99)
        assert refusal.value.code == NO_SUCH_DEVICE, "device='all' takes it for a failure"

    @pytest.mark.kit_level(2)
    def test_noise_on_two_devices_is_that_on_one_also_where_the_run_goes_on(self, kit: Kit):
        kit.needs("device_index", kit.spec.capabilities.device_index)
        n_steps, cut = kit.steps(60, 8), 5
        stimulus = Stimulus.ornstein_uhlenbeck(np.linspace(0.0, 30.0, N), 9.0, tau=1.0, seed=1952)
        arguments = Population(N, n_steps).arguments(record=("V",), stimulus=stimulus)
        one = _on(kit, 0, **arguments)
        assert_same(_on(kit, (0, 0), **arguments), one, WHAT)
        begun = _on(kit, (0, 0), **arguments | {"T": cut * DT})
        rest = arguments | {"T": (n_steps - cut) * DT, "initial_state": None, "resume": begun}
        resumed = _on(kit, (0, 0), **rest)
        assert_equal(resumed.V, one.V[cut:], f"V from step {cut} on, where the run goes on")
        assert_equal(resumed.final_state, one.final_state, "final state of the run that goes on")

    @pytest.mark.kit_level(2)
    def test_neurons_recorded_in_any_order_are_the_same_on_two_devices(self, kit: Kit):
        kit.needs("device_index", kit.spec.capabilities.device_index)
        population = Population(N, kit.steps(60, 8), "array")
        current = population.arguments()["stimulus"].copy()
        current[1:, N - 2] = 1e37  # which makes one neuron of the second part invalid
        arguments = population.arguments(stimulus=current, record_every=3)
        arguments["record_neurons"] = [60, 3, 40, 2, 5]
        one, two = (_on(kit, device, **arguments) for device in (0, (0, 0)))
        assert one.first_invalid_step[N - 2] > 0
        assert_same(two, one, WHAT)
