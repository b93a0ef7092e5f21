"""A backend in C++ that was written by the guide alone is certified, by all tests of the kit."""

import re
import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "cpp_backend"

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def test_a_backend_in_cpp_passes_the_whole_kit_at_both_precisions(plugins, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plugins.install_folder(FOLDER)
    done = plugins.python("-m", "hhplug", "test-backend", "cpp")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d{3} passed, \d+ skipped", done.stdout)
    for dtype in ("float32", "float64"):
        assert re.search(rf"{dtype}  V over 50 ms .* held", done.stdout)
    assert list((tmp_path / "cache").glob("hhplug/cpp-*.so"))
