"""Plugins that a test writes and installs, so that importlib.metadata finds them."""

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hhplug import BackendUnavailable, Simulator, backends
from hhplug.backend import API
from hhplug.plugins import discovery, probes, trial
from hhplug.plugins.entry import Entry

IMPORTS = """\
import os, signal, sys, time
from pathlib import Path
from hhplug import BackendUnavailable, hookimpl
from hhplug.backend import BackendSpec, Capabilities
"""


class Plugins:
    """Distributions in a folder of sys.path."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths = [folder]  # entries of sys.path, to pass to another process

    def install(
        self, distribution: str, source: str, entry_point: str = "", version: str = "1.0"
    ) -> None:
        """Install a distribution of one module of the same name, which is the plugin."""
        (self.folder / f"{distribution}.py").write_text(IMPORTS + source)
        self.describe(
            f"{distribution}-{version}",
            f"Name: {distribution}\nVersion: {version}",
            f"[hhplug]\n{entry_point or distribution} = {distribution}",
        )

    def describe(
        self, stem: str, metadata: str | bytes | None, entry_points: str | bytes, **files: str
    ) -> Path:
        """Write the metadata of a distribution into the folder STEM.dist-info, and return that."""
        folder = self.folder / f"{stem}.dist-info"
        folder.mkdir()
        if isinstance(metadata, str):
            metadata = f"Metadata-Version: 2.1\n{metadata}\n".encode()
        if metadata is not None:
            (folder / "METADATA").write_bytes(metadata)
        if isinstance(entry_points, str):
            entry_points = f"{entry_points}\n".encode()
        (folder / "entry_points.txt").write_bytes(entry_points)
        for name, text in files.items():
            (folder / f"{name}.json").write_text(text)
        importlib.invalidate_caches()
        discovery.forget()
        return folder

    @property
    def environment(self) -> dict[str, str]:
        """The environment of another process that finds the plugins too."""
        paths = [*map(str, self.paths), os.environ.get("PYTHONPATH", "")]
        return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in another process, which finds the plugins too."""
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def offer(
        self,
        distribution: str,
        source: str = "",
        version: str = "1.0",
        dtypes: tuple[str, ...] = ("float64",),
        device_index: bool = False,
        **spec: Any,
    ) -> None:
        """Install a plugin that offers one backend: the reference under another name."""
        fields = {
            "name": distribution,
            "factory": "hhplug.reference:ReferenceBackend",
            "api": API,
            "summary": "a toy",
        } | spec
        hook = f"""
@hookimpl
def hhplug_backends():
    capabilities = Capabilities(dtypes={dtypes!r}, device_index={device_index!r})
    return [BackendSpec(**{fields!r}, capabilities=capabilities)]
"""
        self.install(distribution, f"{hook}\n{source}\n", version=version)

    def install_folder(self, folder: Path) -> None:
        """Install a plugin from its folder, as `pip install -e` would, without its dependencies."""
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        (point,) = project["entry-points"]["hhplug"].items()
        self.describe(
            f"{project['name']}-{project['version']}",
            f"Name: {project['name']}\nVersion: {project['version']}",
            "[hhplug]\n{} = {}".format(*point),
        )
        self.paths.append(folder / "src")
        sys.path.append(str(folder / "src"))
        importlib.invalidate_caches()
        discovery.forget()


@pytest.fixture(scope="session")
def answers_of_installed_backends() -> dict[str, probes.Answer]:
    """What the probes of the really installed backends answer; each takes a child process."""
    discovery.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "_answers", {})
        backends()
        return probes._answers


@pytest.fixture
def plugins(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers_of_installed_backends: dict[str, probes.Answer],
) -> Iterator[Plugins]:
    """Install plugins for one test; discovery and probes are reset before and after it.

    The probes of other backends are not asked again, since a test's plugins don't change them. Nor
    are plugins tried in child processes, but where `tests/test_trial.py` does.
    """
    monkeypatch.setattr(trial, "harmful", lambda _: {})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(discovery.DISABLE, raising=False)
    monkeypatch.setattr(probes, "_answers", answers_of_installed_backends.copy())
    discovery.forget()
    yield Plugins(tmp_path)
    discovery.forget()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def listed(name: str) -> Entry:
    """Return the only entry of this name in a listing, after all probes."""
    (entry,) = (entry for entry in backends() if entry.name == name)
    return entry


def problem_of(name: str) -> BackendUnavailable:
    """Return the reason why the backend cannot run, from a listing."""
    problem = listed(name).unavailable
    assert problem is not None
    assert problem.backend == name
    return problem


def check_that_the_others_run(*names: str) -> None:
    """Check that the reference and these backends are still available and simulate."""
    for name in ("reference", *names):
        assert listed(name).unavailable is None
        result = Simulator(backend=name).run(T=0.05)
        assert result.backend == name
        assert result.V.shape == (5, 1)
