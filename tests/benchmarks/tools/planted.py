"""Run the gate on faults that are planted in a clone of this checkout.

`python tests/benchmarks/tools/planted.py` needs an otherwise idle machine for a quarter of an hour,
and a network for asv's environment. It exits with 1 if a verdict is not as expected.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from rich.console import Console
from rich.table import Table

TOP = Path(__file__).parents[3]
NUMPY = "plugins/hhplug-numpy"
WIDTH = 100  # characters
BENCH = (
    r"step.Step.*\('numpy', 'float(32|64)', (100|10000)\)",
    r"step.Step.*\('numba', 'float32', 10000\)",  # has no planted fault
    r"accuracy.TraceError.*\('numpy'",
)


@dataclass(frozen=True)
class Case:
    """A commit that replaces one text in a file, or changes nothing."""

    name: str
    verdicts: tuple[str, ...] = ()  # one of them is expected; if empty, the gate must pass
    file: str = ""
    old: str = ""
    new: str = ""


CASES = (
    Case(
        "every second step done twice",
        ("slower",),
        f"{NUMPY}/src/hhplug_numpy/backend.py",
        "            self._stepper.step(state, I_ext, group.membrane)\n",
        "            self._stepper.step(state, I_ext, group.membrane)\n"
        "            if k % 2:\n"
        "                scratch = State.of(state.array.copy())\n"
        "                self._stepper.step(scratch, I_ext, group.membrane)\n",
    ),
    Case(
        "no entry point",
        ("skipped",),
        f"{NUMPY}/pyproject.toml",
        '[project.entry-points.hhplug]\nnumpy = "hhplug_numpy"\n',
        "",
    ),
    Case(
        "β_n larger by 0.1 %",
        ("an error above", "failed"),
        f"{NUMPY}/src/hhplug_numpy/kernels.py",
        "0.125 * math.exp(-25 / 80)",
        "0.125125 * math.exp(-25 / 80)",
    ),
    *(Case(f"nothing ({number} of 5)") for number in range(1, 6)),
)


def git(clone: Path, *arguments: str) -> None:
    author = ["-c", "user.name=planted", "-c", "user.email=planted@localhost"]
    subprocess.run(["git", *author, *arguments], cwd=clone, check=True)


def cloned(folder: Path) -> Path:
    """Clone HEAD, with the working tree's benchmarks, on a branch `base`."""
    clone = folder / "clone"
    git(folder, "clone", "--quiet", str(TOP), str(clone))
    results = shutil.ignore_patterns("results", "__pycache__")
    shutil.copytree(TOP / "benchmarks", clone / "benchmarks", ignore=results, dirs_exist_ok=True)
    git(clone, "checkout", "--quiet", "-b", "base")
    git(clone, "add", "benchmarks")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "The benchmarks of the checkout")
    return clone


def plant(clone: Path, case: Case) -> None:
    """Commit the case on a branch `planted` that starts at `base`."""
    git(clone, "checkout", "--quiet", "-B", "planted", "base")
    if case.file:
        path = clone / case.file
        text = path.read_text()
        if text.count(case.old) != 1:
            raise ValueError(f"{case.file} has not got, or not once: {case.old!r}")
        path.write_text(text.replace(case.old, case.new))
    git(clone, "commit", "--quiet", "--all", "--allow-empty", "--message", case.name)


def judged(clone: Path) -> subprocess.CompletedProcess[str]:
    """Run the gate; asv's progress goes to standard error."""
    gate = [
        sys.executable,
        "-m",
        "benchmarks.tools.gate",
        "base",
        "planted",
        "--run",
        "--bench",
        *BENCH,
    ]
    return subprocess.run(gate, cwd=clone, stdout=subprocess.PIPE, text=True)


def as_expected(case: Case, code: int, output: str) -> bool:
    """Tell whether the gate reports the planted fault for the NumPy backend and for no other."""
    told = [line for line in output.splitlines() if any(word in line for word in case.verdicts)]
    return code == bool(case.verdicts) == bool(told) and all("(numpy" in line for line in told)


def main() -> int:
    table = Table("case", "expected", "verdict", "exit code", "seconds", box=None, pad_edge=False)
    wrong = 0
    with TemporaryDirectory() as folder:
        clone = cloned(Path(folder))
        for case in CASES:
            plant(clone, case)
            began = perf_counter()
            gate = judged(clone)
            seconds = f"{perf_counter() - began:.0f}"
            print(f"\n{case.name}\n{gate.stdout}", flush=True)
            right = as_expected(case, gate.returncode, gate.stdout)
            wrong += not right
            expected = " or ".join(case.verdicts) or "pass"
            verdict = "as expected" if right else "[red]wrong"
            table.add_row(case.name, expected, verdict, str(gate.returncode), seconds)
    Console(width=WIDTH).print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
