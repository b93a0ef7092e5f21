"""Run the suite on a backend, as `hhplug test-backend` does."""

import os
from importlib.util import find_spec

import pytest

from hhplug.backend import Capabilities
from hhplug.errors import MissingExtra
from hhplug.plugins import choice
from hhplug.testing import plugin

SILENCE = 600  # s; the stacks of all threads are printed if one test takes longer
PROCESSES = 2  # by default


def certify(
    name: str,
    horizon: str = "long",
    level: int | None = None,
    processes: int | None = None,
    exit_first: bool = False,
) -> int:
    """Test a backend and print its error budget; return 0 if all tests pass, else 1.

    processes: among which the tests are shared, by default as many as `default_processes` says.
    exit_first: stop at the first test that fails; the tests go from simple to hard.

    Raises BackendUnavailable if it cannot run here, InvalidInput if there is no such backend,
    MissingExtra for several processes without pytest-xdist.
    """
    plugin.require_pytest()
    opened = choice.choose(name)
    processes = processes or default_processes(opened.spec.capabilities, horizon)
    name = opened.entry.name
    del opened
    arguments = ["--pyargs", "hhplug.testing.suite", f"{plugin.NAME}={name}"]
    arguments += [f"{plugin.HORIZON}={horizon}"]
    if level is not None:
        arguments += [f"{plugin.LEVEL}={level}"]
    if exit_first:
        arguments += ["-x"]
    if processes > 1:
        if not find_spec("xdist"):
            raise MissingExtra(
                f"--processes {processes} needs pytest-xdist: pip install 'pytest-xdist>=3.5'"
            )
        # One test at a time, so that the simple ones come first.
        arguments += ["-p", "xdist", "-n", str(processes), "--maxschedchunk=1"]
    # Pytest takes no settings or conftest.py from the current folder.
    arguments += ["-c", os.devnull, "--rootdir=.", "--noconftest", "-p", "no:cacheprovider", "-q"]
    arguments += ["-p", "hhplug"]  # needed if PYTEST_DISABLE_PLUGIN_AUTOLOAD is set
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hhplug is imported already
    arguments += ["-o", f"faulthandler_timeout={SILENCE}"]
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            environment.delenv(variable, raising=False)
        return 0 if pytest.main(arguments) == pytest.ExitCode.OK else 1


def default_processes(capabilities: Capabilities, horizon: str = "long") -> int:
    """Among how many processes the tests of a backend are shared if the caller doesn't say it.

    Two over the long horizon for a backend on the CPU, if pytest-xdist is installed and two
    processors may be used. One over the short horizon, which is over before a second process would
    help, and one for a backend that has device indices or keeps arrays on a device: its processes
    would share the device and its memory.
    """
    on_device = capabilities.device_index or capabilities.device_arrays
    if horizon == "short" or on_device or not find_spec("xdist"):
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(PROCESSES, usable or 1)
