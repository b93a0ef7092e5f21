"""Tests of features whose samples of V a backend gives to the core's sums itself."""

import numpy as np
import pytest

from hhplug.features.definitions import FEATURES
from hhplug.features.sums import FeatureSums
from hhplug.results.result import Result
from hhplug.testing.kit import Kit, assert_equal
from hhplug.testing.problems import DT, Population

WINDOW = (4 * DT, 40 * DT)  # ms
OF_SPIKES = {name for name, feature in FEATURES.items() if feature.group == "spikes"}


class FeatureTests:
    @pytest.mark.kit_level(2)
    def test_features_that_a_backend_computes_are_those_of_its_trace(self, kit: Kit):
        kit.needs("features", kit.spec.capabilities.features)
        n_steps = kit.steps(60, 24)
        population = Population(37, n_steps)
        asked = {"features": tuple(FEATURES), "window": WINDOW}
        whole = kit.run(**population.arguments(record=(), **asked))
        trace = kit.run(**population.arguments(record=("V",)))
        sums = FeatureSums(
            whole.problem.features,
            whole.problem.window_steps,
            population.n,
            whole.problem.spike_threshold,
            DT,
        )
        sums.samples(0, trace.V)
        expected = sums.values(n_steps, np.ones(population.n, bool))
        for name in FEATURES:
            if name not in OF_SPIKES:
                assert_equal(whole.features[name], expected[name], f"feature {name}")
        first, count = _spikes(trace)
        assert_equal(whole.features["spike_count"], count, "feature spike_count")
        latency = np.nan_to_num(whole.features["latency"], nan=-1.0)
        assert (np.abs(latency - first) <= 1e-9).all(), "latency isn't that of the first spike"
        begun = kit.run(**population.arguments(steps=slice(0, 17), record=("V",), **asked))
        rest = population.arguments(steps=slice(17, None), record=("h",), **asked)
        rest["initial_state"] = None
        rest["T"] = (n_steps - 17) * DT
        resumed = kit.run(**rest, resume=begun)
        for name in FEATURES:
            assert_equal(
                resumed.features[name],
                whole.features[name],
                f"feature {name} of a run that was cut in two and recorded V and h",
            )


def _spikes(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The time from the window's begin to the first spike in it, ms, −1 for none; their number."""
    steps = np.floor(result.spikes.time / DT + 1e-9)
    inside = (round(WINDOW[0] / DT) <= steps) & (steps < round(WINDOW[1] / DT))
    neuron, time = result.spikes.neuron[inside], result.spikes.time[inside]
    first = np.full(result.problem.n_neurons, np.inf)
    np.minimum.at(first, neuron, time - WINDOW[0])
    count = np.bincount(neuron, minlength=len(first))
    return np.where(np.isfinite(first), first, -1.0), count.astype(float)
