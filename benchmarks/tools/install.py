"""Install the core and every plugin of a checkout into the Python that runs this script.

Usage: `python benchmarks/tools/install.py CHECKOUT [OPTION OF PIP ...]`. It installs no
dependencies. asv's configuration pins them, so that all commits are measured with the same ones.
What another commit installed from the same folder is uninstalled first.
"""

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

PIP = [sys.executable, "-m", "pip"]


def main(checkout: str, *options: str) -> None:
    if old := installed_from(Path(checkout)):
        subprocess.run([*PIP, "uninstall", "--yes", *old], check=True)
    plugins = sorted(file.parent for file in Path(checkout).glob("plugins/*/pyproject.toml"))
    install = [*PIP, "install", "--no-deps", "--no-build-isolation", *options]
    subprocess.run([*install, checkout, *map(str, plugins)], check=True)


def installed_from(checkout: Path) -> list[str]:
    """Return the names of the distributions that were installed from a folder or its subfolders."""
    found = []
    for one in distributions():
        origin = json.loads(one.read_text("direct_url.json") or "{}").get("url", "")
        if f"{origin}/".startswith(f"{checkout.absolute().as_uri()}/"):
            found.append(one.name)
    return sorted(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
