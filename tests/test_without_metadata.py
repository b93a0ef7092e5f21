"""hhplug runs without being installed: from a checkout, from a zip file, or as a copy."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hhplug

PACKAGE = Path(hhplug.__file__).parent


def copied(folder):
    shutil.copytree(PACKAGE, folder / "vendor" / "hhplug")
    return folder / "vendor"


def zipped(folder):
    copy = copied(folder)
    return Path(shutil.make_archive(str(folder / "hhplug"), "zip", copy))


@pytest.fixture(params=[copied, zipped])
def python(request, tmp_path):
    """Run Python with hhplug only on its path, and with the metadata of all other packages."""
    others = tmp_path / "others"
    others.mkdir()
    for path in Path(np.__file__).parent.parent.iterdir():
        if not path.name.startswith(("hhplug", "_", "__")):
            (others / path.name).symlink_to(path)
    found = os.pathsep.join(map(str, (request.param(tmp_path), others)))

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-S", *arguments],  # no site-packages, and no .pth files of them
            env=os.environ | {"PYTHONPATH": found},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_copy_without_metadata_runs_from_python(python):
    script = """
import importlib.metadata, hhplug
try:
    importlib.metadata.version("hhplug")
except importlib.metadata.PackageNotFoundError:
    print(hhplug.__version__, hhplug.Simulator("reference").run(1.0).backend_version)
"""
    version = hhplug.__version__
    assert python("-c", script).split() == [version, version]


def test_a_copy_without_metadata_runs_from_the_shell(python):
    assert python("-m", "hhplug", "--version") == f"hhplug {hhplug.__version__}\n"
    output = python("-m", "hhplug", "run", "--neurons", "3", "--duration", "1", "--json")
    assert json.loads(output)["backend"] == "reference"


def test_a_copy_without_metadata_meets_the_requirement_of_a_plugin(python):
    script = """
from dataclasses import replace
from hhplug.plugins import discovery, requirements
entry = discovery.entry("reference")
for wanted in ("hhplug>=0.1", "hhplug>=99"):
    checked = requirements.checked(replace(entry, spec=replace(entry.spec, requires=(wanted,))))
    print(checked.unavailable and checked.unavailable.reason)
"""
    version = hhplug.__version__
    assert python("-c", script).splitlines() == [
        "None",
        f"hhplug>=99 is needed, hhplug {version} is installed",
    ]


def test_a_frozen_copy_runs_the_reference_and_says_what_is_missing_for_the_rest(python):
    script = """
import sys
sys.frozen = True
import hhplug
print(hhplug.Simulator().run(1.0).backend)
for entry in hhplug.backends():
    if entry.unavailable:
        print(entry.name, entry.unavailable.code, entry.unavailable.reason, entry.unavailable.fix)
"""
    first, *rest = python("-c", script).splitlines()
    assert first == "reference"
    assert rest[0] == (
        "numpy not_installed this frozen application has no metadata of hhplug-numpy build it with "
        "PyInstaller's options --copy-metadata hhplug-numpy --collect-all hhplug_numpy, or the like"
    )
    assert [line.split()[0] for line in rest] == ["numpy", "numba", "triton", "pycuda"]
