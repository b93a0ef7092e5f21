"""Fixtures that the tests of sessions share."""

import pytest
from host_device import HostDevice, HostSession
from host_problems import BLOCK, blocks_of


@pytest.fixture(params=["nothing", "copies", "kernels"])
def device(request):
    return HostDevice(prompt=request.param)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few spikes are put in order on the device too, as many are."""
    monkeypatch.setattr("hhplug.device.spike_store.FEW", 0)


@pytest.fixture
def several_blocks():
    with blocks_of(BLOCK):
        yield


@pytest.fixture
def launches(monkeypatch):
    """The list of all launches from now on."""
    seen = []
    launch = HostSession.launch
    monkeypatch.setattr(
        HostSession, "launch", lambda self, work: (seen.append(work), launch(self, work))
    )
    return seen
