"""mypy --strict accepts what users write, the documents' code and a generated plugin."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import WITH_PYTHON, blocks_of

import hhplug
from hhplug.plugins.scaffold import new_backend
from hhplug.results.spikes import Spikes

ROOT = Path(__file__).parent.parent
SCRIPT = Path(__file__).with_name("typed_script.py")
CORE = Path(hhplug.__file__).parent


def test_mypy_accepts_them_all(tmp_path, request):
    pytest.importorskip("mypy", reason="mypy is not installed; requirements-dev.txt has it")
    plugin = new_backend("two-words", tmp_path)
    documents = (*WITH_PYTHON, "plugins/README.md")
    for document in documents:
        file = tmp_path / f"{document.replace('/', '_').removesuffix('.md')}.py"
        file.write_text("\n".join(blocks_of(document, "python")), encoding="utf-8")
    checked = [SCRIPT, *tmp_path.glob("*.py"), plugin / "src", plugin / "tests"]
    done = subprocess.run(
        # mypy's cache of NumPy's types and of others saves six seconds.
        [sys.executable, "-m", "mypy", "--strict", "--config-file=",
         "--cache-dir", request.config.cache.mkdir("mypy"), *checked],
        # As for a user: mypy reads what sys.path has only if it has a py.typed, and reports no
        # errors in it.
        env=os.environ | {"PYTHONPATH": str(CORE.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Success: no issues found in {len(documents) + 4} source files" in done.stdout


def test_the_script_runs(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("xarray")
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT],
        env=os.environ | {"PYTHONPATH": str(CORE.parent), "MPLBACKEND": "agg"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def public_names():
    yield from hhplug.__all__
    for kind in (hhplug.Result, hhplug.Simulator, hhplug.Stimulus, Spikes):
        yield from (name for name in vars(kind) if not name.startswith("_"))


def test_the_script_has_every_public_name():
    used = set(re.findall(r"\w+", SCRIPT.read_text(encoding="utf-8")))
    internal = {"current", "gains", "problem", "sort", "terms", "together", "unsorted", "vanishing"}
    internal |= {"as_argument", "as_given", "between", "with_seeds"}  # of a GivenStimulus
    assert set(public_names()) - internal - used == set()


@pytest.mark.parametrize("package", [CORE, *sorted(ROOT.glob("plugins/*/src/*"))], ids=str)
def test_every_package_says_that_it_is_typed(package):
    assert (package / "py.typed").is_file()
