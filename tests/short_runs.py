"""Runs by the reference for a few steps, whose results are looked at, saved and drawn."""

import pytest

import hhplug
from hhplug import Stimulus


def run(T=1.0, dt=0.1, parameters=None, **arguments):
    simulator = hhplug.Simulator(backend="reference", parameters=parameters)
    return simulator.run(T, dt, **arguments)


@pytest.fixture(scope="module")
def plain():
    """Three neurons, V alone, 1 ms."""
    return run(stimulus=Stimulus.constant([0.0, 10.0, 20.0]))


@pytest.fixture(scope="module")
def spiking():
    """Four neurons for 20 ms, currents in no order, all but the second well above rheobase."""
    return run(20.0, 0.05, stimulus=Stimulus.step([10.0, 0.0, 40.0, 20.0], 0.0, 20.0))
