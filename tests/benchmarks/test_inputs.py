"""The inputs of the benchmarks never change, so that results of different years compare."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from benchmarks import inputs
from benchmarks.inputs import DT, LENGTHS, Population
from hhplug import HHParameters, Simulator, Stimulus

# These were recorded first; later ones are appended after them.
POPULATION = "5405dc4f3f5f6d9c206e37087236f35e961ef57cfaf59643267be254cb820cbc"
SIZES = (1, 100, 10_000, 1_000_000, 8_000_000)


def test_the_inputs_of_earlier_measurements_never_change():
    file = Path(inputs.__file__).with_name("population.json")
    assert sha256(file.read_bytes()).hexdigest() == POPULATION
    assert inputs.SIZES[: len(SIZES)] == SIZES
    assert inputs.LENGTHS == (5, 20, 80, 325, 1256, 5000, 20_008, 100_000)
    assert (inputs.DT, inputs.CALL, inputs.EXACT_DT, inputs.EXACT_T) == (
        0.01,
        (10_000, 5000),
        0.00125,
        10.0,
    )


@pytest.fixture(scope="module")
def spikes():
    """Spikes of 100 neurons of the varied population and, after them, of 100 of the other one.

    They are NumPy's in float64, which takes a quarter of the reference's time. The kit compares the
    two over 200 ms.
    """
    both = [Population(100, varied) for varied in (True, False)]
    g_Na, g_K = (
        np.concatenate([np.broadcast_to(getattr(one.parameters, name), 100) for one in both])
        for name in ("g_Na", "g_K")
    )
    return (
        Simulator("numpy", "float64", parameters=HHParameters(g_Na=g_Na, g_K=g_K))
        .run(
            (LENGTHS[-2] + 3) * DT,
            stimulus=Stimulus.constant(np.concatenate([one.row("I_ext") for one in both])),
            initial_state=np.concatenate([one.row("state") for one in both], axis=1),
            record=(),
        )
        .spikes
    )


@pytest.mark.parametrize("varied", [True, False])
def test_the_spikes_are_those_of_the_reference_and_none_is_near_the_end_of_a_run(spikes, varied):
    population, first = Population(100, varied), 0 if varied else 100
    own = (first <= spikes.neuron) & (spikes.neuron < first + 100)
    neuron, at = spikes.neuron[own] - first, np.floor(spikes.time[own] / DT + 1e-9)
    for length in LENGTHS[:-1]:
        counts = np.bincount(neuron[at < length], minlength=100)
        np.testing.assert_array_equal(counts, population.spike_count(length))
        assert np.abs(at - length).min() > 2


def test_a_population_repeats_the_same_hundred_neurons():
    large, small = Population(257), Population(100)
    for name in ("I_ext", "g_Na", "g_K", "state"):
        np.testing.assert_array_equal(large.row(name)[..., 200:257], small.row(name)[..., :57])
    np.testing.assert_array_equal(large.spike_count(5000)[100:200], small.spike_count(5000))
    assert small.spike_count(5000).min() > 0  # all fire
