"""Install the core and every plugin of a checkout, from it, for the Python that runs this.

`python benchmarks/install.py CHECKOUT [OPTION OF PIP ...]`. What they depend on is pinned in asv's
configuration and not touched here, so that commits differ in themselves alone.
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
