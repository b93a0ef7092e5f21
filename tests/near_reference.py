"""A run of any membrane in which a backend's states must be near those of the reference."""

import numpy as np

from hhplug import Simulator, Stimulus
from hhplug.testing.accuracy import BOUNDS

N = 300  # neurons, more than a group of most backends on the CPU


def assert_near_the_reference(backend, dtype, membrane):
    """Run N neurons with different currents and conductances on both, and compare every state."""
    g = next(iter(name for name in membrane.parameters if name.startswith("g_")))
    parameters = {g: membrane.parameters[g].value * np.linspace(0.8, 1.2, N)}
    ours, expected = (
        Simulator(name, precision, membrane=membrane, parameters=parameters).run(
            T=5.0,
            stimulus=Stimulus.constant(np.linspace(0.0, 3.0, N)) + Stimulus.sine(1.0, 200.0),
            record=membrane.states,
            record_every=7,
            record_neurons=[299, 0, 128],
        )
        for name, precision in ((backend, dtype), ("reference", "float64"))
    )
    for state in membrane.states:
        assert np.abs(ours[state] - expected[state]).max() < BOUNDS[dtype].V_5_ms
