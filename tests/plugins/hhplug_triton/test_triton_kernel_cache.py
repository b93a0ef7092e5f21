"""Triton's kernels are compiled although its folder for them can't be written."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

SCRIPT = """
import os
from pathlib import Path
before = dict(os.environ)
from hhplug_triton.kernel_cache import make_writable
make_writable()
from triton.runtime.cache import get_cache_manager
print(get_cache_manager("0" * 64).put("a kernel", "kernel.txt", binary=False))
assert os.environ == before
"""


@pytest.mark.parametrize("writable", [True, False])
def test_kernels_are_kept_in_a_folder_of_the_process_where_tritons_own_cannot_be_written(
    tmp_path, writable
):
    file, temporary = tmp_path / "file", tmp_path / "temporary"
    file.touch()
    temporary.mkdir()
    home = tmp_path / "home" if writable else file / "below"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRITON")}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(home if writable else temporary) in done.stdout
    assert not list(temporary.iterdir())
    assert (tmp_path / "home" / ".triton").exists() == writable
