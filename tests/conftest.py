"""Fixtures that several test files share."""

import gc
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from command_line import hhplug as hhplug
from device.made_up_driver import driver as driver
from hypothesis import settings
from interrupted_runs import sigint_handler as sigint_handler
from plugin_factory import answers_of_installed_backends as answers_of_installed_backends
from plugin_factory import plugins as plugins
from shared_runs import reference_runs as reference_runs
from short_runs import plain as plain
from short_runs import spiking as spiking

pytest_plugins = ["pytester"]

# Hundreds of tests start Python, which would otherwise compile hhplug each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell makes background jobs ignore Ctrl-C, and the processes that they start. Tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_finish():
    """Exempt what all tests share from garbage collection, which visits a million such objects."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    """Let Python collect everything when it exits, because nanobind reports what is left."""
    gc.unfreeze()


DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def brian2():
    """Brian2's run of eight neurons under constant current; see data/README.md."""
    with np.load(DATA / "brian2_constant_current.npz") as stored:
        return dict(stored)
