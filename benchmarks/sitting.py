"""Measure commits in turn with this Python, where asv can make no environments.

`python -m benchmarks.sitting [--bench REGEX] COMMIT ...` is for a GPU machine whose Python has all
that the backends need, but not hhplug itself: each commit is installed from an export of its own
into a folder that comes first on the path. A process starts slowly there, so each benchmark gets
one, with all its samples in it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine

TOP = Path(__file__).parents[1]
IN_ONE_PROCESS = ("rounds=1", "repeat=12")


def measure(commit: str, name: str, bench: list[str]) -> int:
    """asv's exit status."""
    with TemporaryDirectory() as folder:
        tree, site = Path(folder, "tree"), Path(folder, "site")
        tree.mkdir()
        archive = subprocess.run(
            ["git", "archive", commit], cwd=TOP, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
        install = [sys.executable, TOP / "benchmarks" / "install.py", tree]
        subprocess.run([*install, "--target", site, "--quiet"], check=True)
        run = [sys.executable, "-m", "asv", "run", "-E", f"existing:{sys.executable}"]
        run += ["--set-commit-hash", commit, "--machine", name, "--record-samples", "--show-stderr"]
        for attribute in IN_ONE_PROCESS:
            run += ["-a", attribute]
        for pattern in bench:
            run += ["--bench", pattern]
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        paths = {"PYTHONPATH": path, "ASV_PYTHONPATH": path}  # asv hands on only the latter
        return subprocess.run(run, cwd=TOP, env=os.environ | paths).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure commits in turn with this Python.")
    parser.add_argument("commits", nargs="+", metavar="COMMIT")
    parser.add_argument("--bench", action="append", default=[], help="a pattern, as asv takes it")
    arguments = parser.parse_args()
    record = machine.save()
    parse = ["git", "rev-parse", "--verify"]
    hashes = [
        subprocess.run(
            [*parse, f"{c}^{{commit}}"], cwd=TOP, capture_output=True, text=True, check=True
        )
        for c in arguments.commits
    ]
    return max(measure(h.stdout.strip(), record["machine"], arguments.bench) for h in hashes)


if __name__ == "__main__":
    sys.exit(main())
