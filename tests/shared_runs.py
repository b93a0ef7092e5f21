"""The reference's longest runs in the kit, each computed once for all processes of a test run."""

import os
import pickle
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path

import pytest

from hhplug.results.result import Result


def shared(run: Callable[..., Result], folder: Path) -> Callable[..., Result]:
    """The same function, whose results are also kept in a folder."""

    @cache
    @wraps(run)
    def once(*arguments: object) -> Result:
        name = "-".join(map(str, (run.__name__, *arguments)))
        file, partial = folder / name, folder / f"{name}.{os.getpid()}"
        if not file.exists():
            partial.write_bytes(pickle.dumps(run(*arguments)))
            partial.replace(file)
        return pickle.loads(file.read_bytes())

    return once


@pytest.fixture(scope="session")
def reference_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The kit takes the reference's longest runs from the process that was first to need them."""
    from hhplug.testing import runs
    from hhplug.testing.topics import currents

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "reference_runs"
    folder.mkdir(exist_ok=True)
    for module, name in ((runs, "trace"), (runs, "trains"), (currents, "reference_run")):
        setattr(module, name, shared(getattr(module, name), folder))
