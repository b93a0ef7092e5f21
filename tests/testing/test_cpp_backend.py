"""A backend in C++ that was written by the guide alone passes the kit's short horizon.

CI certifies it by the whole kit, whose long runs take its scalar loop half a minute.
"""

import re
import shutil
from pathlib import Path

import pytest

from hhplug import cli
from hhplug.testing import kit

FOLDER = Path(__file__).parent / "cpp_backend"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_backend_in_cpp_passes_the_kit_at_both_precisions(plugins, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", plugins.environment["PYTHONPATH"])
    plugins.install_folder(FOLDER)
    kit.chosen.cache_clear()
    code = cli.main(["test-backend", "cpp", "--horizon", "short"])
    kit.chosen.cache_clear()
    output, errors = capsys.readouterr()
    assert code == 0, output + errors
    assert re.search(r"\d{3} passed, \d+ skipped", output)
    for dtype in ("float32", "float64"):
        assert re.search(rf"{dtype}  V over 5 ms .* held", output)
    assert list((tmp_path / "cache").glob("hhplug/cpp-*.so"))
