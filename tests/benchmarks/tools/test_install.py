"""asv's environments contain the plugins of the measured commit and no others."""

import json
import subprocess

import pytest

from benchmarks.tools import install


@pytest.fixture
def commands(monkeypatch):
    """Return the commands that would have run."""
    noted = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: noted.append(command))
    return noted


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution from a folder, as far as its metadata go."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)

    def add(name, folder):
        metadata = site / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "direct_url.json").write_text(json.dumps({"url": folder.as_uri()}))

    return add


def test_what_another_commit_installed_from_the_checkout_is_uninstalled(
    tmp_path, installed, commands
):
    checkout = tmp_path / "project"
    plugin = checkout / "plugins" / "hhplug-new"
    plugin.mkdir(parents=True)
    (plugin / "pyproject.toml").touch()
    installed("hhplug", checkout)
    installed("hhplug-removed", checkout / "plugins" / "hhplug-removed")
    installed("hhplug-mychip", tmp_path / "project-of-a-third-party")
    install.main(str(checkout), "--quiet")
    uninstalled, now = commands
    assert uninstalled[3:] == ["uninstall", "--yes", "hhplug", "hhplug-removed"]
    assert now[-3:] == ["--quiet", str(checkout), str(plugin)]


def test_nothing_is_uninstalled_before_the_first_commit(tmp_path, commands):
    install.main(str(tmp_path))
    assert [command[3] for command in commands] == ["install"]
