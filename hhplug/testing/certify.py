"""Run the suite on a backend, as `hhplug test-backend` does."""

import os

import pytest

from hhplug import registry
from hhplug.testing import plugin

SILENCE = 600  # s of one test, after which every thread's place is printed: something may hang


def certify(name: str, horizon: str = "long", level: int | None = None) -> int:
    """Test a backend and print its error budget; 0 if it holds, else 1.

    Raises BackendUnavailable if it cannot run here, InvalidInput for a name nobody knows.
    """
    name = registry.choose(name).entry.name
    arguments = ["--pyargs", "hhplug.testing.suite", f"{plugin.NAME}={name}"]
    arguments += [f"{plugin.HORIZON}={horizon}"]
    if level is not None:
        arguments += [f"{plugin.LEVEL}={level}"]
    # Nothing of the folder that it happens to be called in.
    arguments += ["-c", os.devnull, "--rootdir=.", "--noconftest", "-p", "no:cacheprovider", "-q"]
    arguments += ["-p", "hhplug"]  # also where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hhplug is imported already
    arguments += ["-o", f"faulthandler_timeout={SILENCE}"]
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PYTEST_ADDOPTS", raising=False)
        return 0 if pytest.main(arguments) == pytest.ExitCode.OK else 1
