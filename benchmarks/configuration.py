"""asv's configuration with folders of one's own."""

import json
from pathlib import Path

from benchmarks.checkout import TOP

FOLDERS = ("repo", "benchmark_dir", "results_dir", "env_dir", "html_dir")


def configuration(folder: Path, **changes: Path) -> Path:
    """A copy of asv.conf.json there, which means the same but for the folders that change."""
    text = (TOP / "asv.conf.json").read_text(encoding="utf-8").replace("{conf_dir}", str(TOP))
    ours = json.loads(text)
    folders = {name: str(changes.get(name, TOP / ours[name])) for name in FOLDERS}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "asv.conf.json"
    file.write_text(json.dumps(ours | folders), encoding="utf-8")
    return file
