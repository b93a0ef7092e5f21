"""A backend in C++ that was written by the guide alone is certified, by all tests of the kit."""

import re
import shutil
from pathlib import Path

import pytest

from hhplug import cli
from hhplug.testing import kit

FOLDER = Path(__file__).parent / "cpp_backend"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.usefixtures("reference_runs")
def test_a_backend_in_cpp_passes_the_whole_kit_at_both_precisions(
    plugins, tmp_path, monkeypatch, capsys
):
    # More than a call of the library computes; the kit's 4,300,003 are meant for GPUs.
    monkeypatch.setattr("hhplug.testing.topics.populations.MILLIONS", 1_100_003)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", plugins.environment["PYTHONPATH"])
    plugins.install_folder(FOLDER)
    kit.chosen.cache_clear()
    # In this process the reference's runs are shared with other tests.
    code = cli.main(["test-backend", "cpp"])
    kit.chosen.cache_clear()
    output, errors = capsys.readouterr()
    assert code == 0, output + errors
    assert re.search(r"\d{3} passed, \d+ skipped", output)
    for dtype in ("float32", "float64"):
        assert re.search(rf"{dtype}  V over 50 ms .* held", output)
    assert list((tmp_path / "cache").glob("hhplug/cpp-*.so"))
