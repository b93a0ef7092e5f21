"""Tests of features to which a backend contributes more than a record of V."""

import pytest

from hhplug.testing.features import assert_features_are_the_core_s
from hhplug.testing.kit import Kit


class FeatureTests:
    @pytest.mark.kit_level(2)
    def test_features_that_a_backend_computes_are_the_core_s_bit_for_bit(self, kit: Kit):
        kit.needs("features", kit.spec.capabilities.features is not None)
        n_steps = kit.steps(60, 22)
        kit.budget.steps += assert_features_are_the_core_s(kit.chosen, kit.dtype, n_steps)
