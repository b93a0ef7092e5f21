"""Measure commits one after another with this Python, where asv cannot make environments.

`python -m benchmarks.tools.measure_in_place [--bench REGEX] COMMIT ...` is for a GPU machine whose
Python has hatchling and all dependencies of the backends, but not hhplug itself. Each commit is
exported and installed into a temporary folder that comes first on the path.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contestants import ENTRIES, ON_GPU, PEERS
from benchmarks.tools import machine
from benchmarks.tools.checkout import TOP, commit_hash
from benchmarks.tools.recorded import RESULTS

# Each benchmark runs in one process, with enough samples for asv's statistics.
IN_ONE_PROCESS = ("rounds=1", "repeat=8")


def any_of(names: Iterable[str]) -> str:
    """Return a pattern for one of these names as asv writes it, with quotes."""
    return f"'({'|'.join(map(re.escape, names))})'"


BACKEND = any_of(ON_GPU)
PEER = any_of(name for name in PEERS if ENTRIES[name].on_gpu)
ON_CPU = any_of(name for name, entry in ENTRIES.items() if not entry.on_gpu and entry.whole_calls)
ON_A_GPU = (  # about forty sets of parameters, besides accuracy's, which are fast
    rf"step.Step.*\({BACKEND}, 'float32'",
    rf"step.Step.*\({BACKEND}, 'float64', (10000|8000000)\)",
    rf"step.Step.*\({PEER}, 'float32', \d\d",
    rf"step.OverPeer.*\({BACKEND}, {PEER}",
    rf"step.Step.*\({ON_CPU}, 'float32', \d\d",  # on the CPU of that machine
    rf"call.Call.*\({BACKEND}, 'float32'",
    rf"memory.*\({BACKEND}, 'float32'",
    rf"accuracy.*{BACKEND}",
    rf"start.FirstResult.*\({BACKEND}",
)


def measure(commit: str, name: str, patterns: Sequence[str]) -> int:
    """Measure a commit and return how many runs of asv failed.

    Each pattern is a run of its own, so that an interruption loses only one run's results.
    """
    with TemporaryDirectory() as folder:
        site = install(commit, Path(folder))
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        run = [sys.executable, "-m", "asv", "run", "-E", f"existing:{sys.executable}"]
        run += ["--set-commit-hash", commit, "--machine", name, "--record-samples", "--show-stderr"]
        run += [word for attribute in IN_ONE_PROCESS for word in ("-a", attribute)]
        environment = os.environ | {
            "PYTHONPATH": path,
            "ASV_PYTHONPATH": path,  # asv passes this to its benchmarks as PYTHONPATH
            "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode"),  # as if installed
            "PYTHONDONTWRITEBYTECODE": "",
        }
        with the_path_of_python_kept_out(RESULTS / name, commit):
            runs = [
                subprocess.run([*run, "--bench", pattern], cwd=TOP, env=environment)
                for pattern in patterns
            ]
    return sum(done.returncode != 0 for done in runs)


@contextmanager
def the_path_of_python_kept_out(folder: Path, commit: str) -> Iterator[None]:
    """Name Python by its version in the results outside of this context, and by its path within.

    asv uses the path. If results had it, asv's pages would draw a curve for each path.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    spoken = {
        f"existing-py{sys.executable.replace(os.sep, '_')}": f"existing-py{version}",
        f'"{sys.executable}"': f'"{version}"',
    }
    _reworded(folder, commit, {new: old for old, new in spoken.items()})
    try:
        yield
    finally:
        _reworded(folder, commit, spoken)


def _reworded(folder: Path, commit: str, words: dict[str, str]) -> None:
    """Replace strings in the result files of a commit, and in the names of these files."""

    def replaced(text: str) -> str:
        for old, new in words.items():
            text = text.replace(old, new)
        return text

    for file in folder.glob(f"{commit[:8]}-existing-*.json"):
        text = replaced(file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        file.rename(file.with_name(replaced(file.name)))


def install(commit: str, folder: Path) -> Path:
    """Install the core and the plugins of a commit, and return the folder that has them."""
    tree, site = folder / "tree", folder / "site"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=TOP, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
    command = [sys.executable, TOP / "benchmarks" / "tools" / "install.py"]
    command += [tree, "--target", site, "--quiet"]
    subprocess.run(command, check=True)
    return site


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure commits in turn with this Python.")
    parser.add_argument("commits", nargs="+", metavar="COMMIT")
    parser.add_argument(
        "--bench", action="append", help="a pattern, as asv takes it; by default those for a GPU"
    )
    arguments = parser.parse_args()
    try:
        commits = [commit_hash(revision) for revision in arguments.commits]
    except LookupError as error:
        parser.error(str(error))
    name = machine.save()["machine"]
    failed = [measure(commit, name, arguments.bench or ON_A_GPU) for commit in commits]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
