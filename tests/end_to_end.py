"""Comparison of consecutive runs with one uninterrupted run."""

import numpy as np
from numpy.testing import assert_array_equal


def assert_end_to_end(parts, whole):
    """Assert that the joined records of the parts equal the record of the whole."""
    for name in ("time", *whole):
        assert_array_equal(np.concatenate([part[name] for part in parts]), whole[name])
    assert_array_equal(parts[-1].final_state, whole.final_state)
    assert parts[-1].next_step == whole.next_step
    assert_array_equal(sum(part.spike_count for part in parts), whole.spike_count)
    neuron, time = (
        np.concatenate([getattr(part.spikes, name) for part in parts])
        for name in ("neuron", "time")
    )
    order = np.lexsort([time, neuron])
    assert_array_equal(neuron[order], whole.spikes.neuron)
    assert_array_equal(time[order], whole.spikes.time)
