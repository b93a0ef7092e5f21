"""Tests that the core keeps its promises to users when it runs this backend."""

import numpy as np
import pytest

from hhplug import BackendUnavailable, InvalidInput, Simulator, Stimulus
from hhplug.problem import DTYPES
from hhplug.testing.kit import Kit


class PromiseTests:
    def test_the_result_says_what_ran_and_where(self, kit: Kit):
        result = kit.run(0.02, batch_size=3)
        assert result.backend == kit.name
        assert result.device == kit.chosen.backend.device
        assert result.dtype == kit.dtype

    @pytest.mark.undeclared("dtypes")
    def test_a_precision_that_is_not_declared_is_refused(self, kit: Kit):
        others = set(DTYPES) - set(kit.spec.capabilities.dtypes)
        for dtype in others:
            with pytest.raises(InvalidInput, match=f"got dtype='{dtype}'"):
                Simulator(kit.name, dtype)

    def test_a_device_that_does_not_exist_is_refused(self, kit: Kit):
        if not kit.spec.capabilities.device_index:
            with pytest.raises(InvalidInput, match="has no devices to choose from"):
                Simulator(kit.name, device=0)
            return
        with pytest.raises(BackendUnavailable) as refusal:
            Simulator(kit.name, device=99)
        assert refusal.value.fix.strip()

    @pytest.mark.undeclared("device_arrays")
    def test_device_arrays_that_are_not_declared_are_refused(self, kit: Kit):
        with pytest.raises(InvalidInput, match="keeps nothing on a device"):
            kit.run(0.02, batch_size=3, device_arrays=True)

    def test_a_neuron_that_blows_up_gives_a_warning(self, kit: Kit):
        current = np.zeros(40)
        current[17] = 1e37
        with pytest.warns(RuntimeWarning, match="1 of 40 neurons became invalid"):
            kit.run(0.05, stimulus=Stimulus.constant(current))
