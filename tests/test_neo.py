"""A result as a Block of Neo."""

import sys

import numpy as np
import pytest
import quantities as pq
from made_up_membranes import CALCIUM
from short_runs import run

from hhplug import MissingExtra, Simulator, Stimulus


@pytest.fixture(scope="module")
def resumed():
    stimulus = Stimulus.constant([40.0, 0.0, 20.0])
    arguments = {"record": ("V", "h"), "record_every": 4, "record_neurons": [2, 0]}
    first = run(3.0, 0.05, stimulus=stimulus, **arguments)
    return run(12.0, 0.05, stimulus=stimulus, resume=first, **arguments)


def test_signals_have_the_samples_their_units_and_their_neurons(resumed):
    (segment,) = resumed.to_neo().segments
    V, h = segment.analogsignals
    np.testing.assert_array_equal(V.magnitude, resumed.V)
    assert (V.units, h.units) == (1 * pq.mV, 1 * pq.dimensionless)
    np.testing.assert_allclose(V.times.rescale("ms").magnitude, resumed.time, rtol=1e-12)
    assert V.array_annotations["neuron"].tolist() == [2, 0]
    assert V.name == "V"


def test_every_neuron_has_a_train_of_its_spikes_in_ms(resumed):
    block = resumed.to_neo()
    trains = block.segments[0].spiketrains
    assert [train.annotations["neuron"] for train in trains] == [0, 1, 2]
    assert all(train.segment is block.segments[0] for train in trains)
    assert [len(train) for train in trains] == resumed.spike_count.tolist()
    times = np.concatenate([train.rescale("ms").magnitude for train in trains])
    np.testing.assert_array_equal(times, resumed.spikes.time)
    assert (trains[0].t_start, trains[0].t_stop) == (3.0 * pq.ms, 15.0 * pq.ms)
    assert block.annotations["backend"] == "reference"


def test_a_pool_is_in_mM():
    result = Simulator("reference", membrane=CALCIUM).run(1.0, 0.05, record_all=True)
    pool = result.to_neo().segments[0].analogsignals[CALCIUM.states.index("Ca_i")]
    assert pool.units == 1 * pq.Quantity(1.0, "mM")


def test_a_run_that_kept_no_times_has_no_trains():
    assert not run(spikes="counts").to_neo().segments[0].spiketrains


def test_without_neo_the_error_says_how_to_install_it(resumed, monkeypatch):
    monkeypatch.setitem(sys.modules, "neo", None)
    monkeypatch.delitem(sys.modules, "hhplug.results.neo_block", raising=False)
    monkeypatch.delattr("hhplug.results.neo_block", raising=False)
    with pytest.raises(MissingExtra, match=r": pip install neo"):
        resumed.to_neo()
