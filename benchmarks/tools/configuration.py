"""Copies of asv's configuration that use other folders."""

import json
from pathlib import Path

from benchmarks.tools.checkout import TOP

FOLDERS = ("repo", "benchmark_dir", "results_dir", "env_dir", "html_dir")


def configuration(folder: Path, **changes: Path) -> Path:
    """Write asv.conf.json into a folder, with some of its folders changed, and return its path."""
    text = (TOP / "asv.conf.json").read_text(encoding="utf-8").replace("{conf_dir}", str(TOP))
    ours = json.loads(text)
    folders = {name: str(changes.get(name, TOP / ours[name])) for name in FOLDERS}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "asv.conf.json"
    file.write_text(json.dumps(ours | folders), encoding="utf-8")
    return file
