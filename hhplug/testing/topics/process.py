"""Tests that a backend leaves the process as it was, and nothing behind in it."""

import atexit
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hhplug.problem import Problem
from hhplug.results.result import Result
from hhplug.testing.kit import Kit, assert_equal
from hhplug.testing.memory import resident_memory
from hhplug.testing.problems import CURRENTS, Population
from hhplug.testing.settings import settings

RUNS = 100
TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # variables that name the folder of temporary files
HOMES = ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME")  # that name where a user's files are
END_SECONDS = 120  # s that a new process may take for a run of three steps
WARM_UP = 10  # runs after which caches are full
MEMORY_WARM_UP = 20  # runs after which a library's pools of memory are full
KEPT_AT_MOST = 0.05  # share of the samples that may be left behind; backends without a leak: 0.002


def _alive(kind: type) -> int:
    """How many objects of a class there are, after garbage collection."""
    return sum(type(thing) is kind for thing in gc.get_objects())


def _run_one_of_many(kit: Kit, number: int, least_neurons: int, n_steps: int) -> int:
    """Run a problem that differs from that of the next numbers; return the bytes of its samples."""
    current = CURRENTS[number % len(CURRENTS)]
    arguments = Population(least_neurons + number, n_steps, current).arguments()
    arguments["spikes"] = ("times", "counts", "off")[number % 3]
    arguments["spike_threshold"] = -0.5 * number
    result = kit.run(**arguments | {"record_every": 1 + number % 2})
    return sum(samples.nbytes for samples in result.samples.values())


class ProcessTests:
    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_the_process_stays_as_it_was(self, kit: Kit, capfd: pytest.CaptureFixture[str]):
        arguments = Population(33, 3).arguments()
        kit.run(**arguments)  # what a library sets once, when it is loaded, isn't the backend's
        capfd.readouterr()
        before = settings()
        kit.run(**arguments)
        after = settings()
        printed = capfd.readouterr()
        for what, value in before.items():
            assert after[what] == value, f"a run changes {what}"
        assert printed.out == "", "a run prints to standard output"
        assert printed.err == "", "a run prints to standard error"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_a_new_process_stays_as_it_was_and_ends(self, kit: Kit, tmp_path: Path):
        # What every run sets anew shows in the first one alone.
        script = "import sys; from hhplug.testing import settings; "
        script += "settings.print_changes_of_the_first_run(*sys.argv[1:])"
        paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
        current, temporary = tmp_path / "current", tmp_path / "temporary"
        current.mkdir()
        temporary.mkdir()
        file = tmp_path / "file"
        file.touch()
        variables = {"PYTHONPATH": paths} | dict.fromkeys(TEMPORARY, str(temporary))
        # Nothing can be written below a file, and a backend must run without what it keeps on disk.
        variables |= dict.fromkeys(HOMES, str(file / "none"))
        try:
            done = subprocess.run(
                [sys.executable, "-c", script, kit.name, kit.dtype],
                cwd=current,
                env=os.environ | variables,
                capture_output=True,
                text=True,
                timeout=END_SECONDS,
            )
        except subprocess.TimeoutExpired as late:
            raise AssertionError(
                f"a process that has run the backend doesn't end within {END_SECONDS} s"
            ) from late
        here = kit.run(**Population(33, 3).arguments()).final_state
        kit.budget.steps += 3
        assert done.returncode == 0, (
            "a new process fails, which can write to temporary files alone: " + done.stderr
        )
        changed, final = json.loads(done.stderr.rstrip().rpartition("\n")[2])
        assert not changed, f"the first run of a process changes {', '.join(changed)}"
        assert_equal(here, final, "a run in another process differs: final state")
        assert done.stdout == "", "a run prints to standard output"
        assert not list(current.iterdir()), "a run leaves files in the current folder"
        left = [str(path.relative_to(temporary)) for path in temporary.rglob("*")]
        assert not left, f"a process leaves temporary files behind: {', '.join(left)}"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_nothing_is_left_behind_by_many_runs(self, kit: Kit):
        this = psutil.Process()
        runs = RUNS // 10 if kit.short else RUNS

        def counted() -> dict[str, int]:
            gc.collect()
            return {
                "open files": this.num_fds() if hasattr(this, "num_fds") else 0,
                "threads": this.num_threads(),
                "child processes": len(this.children(recursive=True)),
                "problems": _alive(Problem),
                "results": _alive(Result),
                "functions for the process's end": getattr(atexit, "_ncallbacks", int)(),
            }

        warm_up = WARM_UP if not kit.short else 3
        for number in range(warm_up):
            _run_one_of_many(kit, number, 33, 2)
        before = counted()
        for number in range(runs):
            _run_one_of_many(kit, number, 33, 2)
        after = counted()
        for what, count in before.items():
            left = after[what] - count
            assert left < runs / 5, f"{left} {what} are left behind by {runs} runs"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.long_horizon("that a hundred runs leave no memory behind")
    def test_no_memory_is_left_behind_by_many_runs(self, kit: Kit):
        for number in range(MEMORY_WARM_UP):
            _run_one_of_many(kit, number, 2001, 20)
        before = resident_memory()
        recorded = sum(
            _run_one_of_many(kit, number, 2001, 20) for number in range(MEMORY_WARM_UP, RUNS)
        )
        left = resident_memory() - before
        assert left < KEPT_AT_MOST * recorded, (
            f"{RUNS - MEMORY_WARM_UP} runs leave {left / 1e6:.0f} MB of memory behind; "
            f"their samples had {recorded / 1e6:.0f} MB"
        )
