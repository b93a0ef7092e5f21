"""Install the core and every plugin of a checkout into the Python that runs this script.

Usage: `python benchmarks/tools/install.py CHECKOUT [OPTION OF PIP ...]`. It installs no
dependencies. asv's configuration pins them, so that all commits are measured with the same ones.
"""

import subprocess
import sys
from pathlib import Path


def main(checkout: str, *options: str) -> None:
    plugins = sorted(file.parent for file in Path(checkout).glob("plugins/*/pyproject.toml"))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", *options]
    subprocess.run([*pip, checkout, *map(str, plugins)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
