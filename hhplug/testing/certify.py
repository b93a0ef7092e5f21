"""Run the suite on a backend, as `hhplug test-backend` does."""

import os

import pytest

from hhplug.plugins import choice
from hhplug.testing import plugin

SILENCE = 600  # s; the stacks of all threads are printed if one test takes longer


def certify(name: str, horizon: str = "long", level: int | None = None) -> int:
    """Test a backend and print its error budget; return 0 if all tests pass, else 1.

    Raises BackendUnavailable if it cannot run here, InvalidInput if there is no such backend.
    """
    plugin.require_pytest()
    name = choice.choose(name).entry.name
    arguments = ["--pyargs", "hhplug.testing.suite", f"{plugin.NAME}={name}"]
    arguments += [f"{plugin.HORIZON}={horizon}"]
    if level is not None:
        arguments += [f"{plugin.LEVEL}={level}"]
    # Pytest takes no settings or conftest.py from the current folder.
    arguments += ["-c", os.devnull, "--rootdir=.", "--noconftest", "-p", "no:cacheprovider", "-q"]
    arguments += ["-p", "hhplug"]  # needed if PYTEST_DISABLE_PLUGIN_AUTOLOAD is set
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hhplug is imported already
    arguments += ["-o", f"faulthandler_timeout={SILENCE}"]
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            environment.delenv(variable, raising=False)
        return 0 if pytest.main(arguments) == pytest.ExitCode.OK else 1
