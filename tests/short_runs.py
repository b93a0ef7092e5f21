"""Short runs by the reference, whose results are inspected, saved and plotted."""

import pytest

import hhplug
from hhplug import Stimulus


def run(T=1.0, dt=0.1, parameters=None, **arguments):
    simulator = hhplug.Simulator(backend="reference", parameters=parameters)
    return simulator.run(T, dt, **arguments)


@pytest.fixture(scope="module")
def plain():
    """A run of three neurons for 1 ms that records only V."""
    return run(stimulus=Stimulus.constant([0.0, 10.0, 20.0]))


@pytest.fixture(scope="module")
def spiking():
    """A run of four neurons for 20 ms, all but the second with a current well above rheobase."""
    return run(20.0, 0.05, stimulus=Stimulus.step([10.0, 0.0, 40.0, 20.0], 0.0, 20.0))
