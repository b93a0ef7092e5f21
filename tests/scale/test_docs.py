"""The examples of docs/scale.md run as they stand there."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from hhplug import cli, open_result

PAGE = (Path(__file__).parent.parent.parent / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*Perhaps you already have a cluster running")
def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "population", raising=False)
    namespace = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        if block.startswith("# population.py\n"):
            (tmp_path / "population.py").write_text(block)
        else:
            exec(compile(block, "docs/scale.md", "exec"), namespace)
    (tmp_path / "run.zarr").rename(tmp_path / "first.zarr")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for command in commands.splitlines():
        assert cli.main(shlex.split(command)[1:]) == 0
    assert "4 of 4 shards are complete" in capsys.readouterr().out
    counts = [open_result(f"{name}.zarr").spike_count for name in ("run", "counts")]
    assert (counts[0] == counts[1]).all()  # in shards of 250 and of 500 neurons
    assert counts[0].sum() > 1000
