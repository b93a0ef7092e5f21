"""The speeds of kernels side by side."""

import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from benchmarks.tools import block_times, kernels
from benchmarks.tools.checkout import TOP
from hhplug import Stimulus
from hhplug.running import block_length

STEP = 1e-3  # s, of the made-up simulator


class MadeUp:
    """A simulator whose clock it moves itself: blocks of 50 steps, and a cost of each call."""

    CALL = 0.5  # s, before the first block and again after the last

    def __init__(self):
        self.now, self.runs = 0.0, []

    def run(self, T, dt, *, progress, **arguments):
        steps = round(T / dt)
        self.runs.append((steps, arguments))
        self.now += self.CALL
        for done in range(50, steps + 1, 50):
            self.now += 50 * STEP
            progress(done / steps)
        self.now += self.CALL


def test_the_time_of_a_step_has_no_share_of_what_a_call_costs(monkeypatch):
    sim = MadeUp()
    monkeypatch.setattr(block_times, "perf_counter", lambda: sim.now)
    stimulus = Stimulus.constant(1.0)
    found = block_times.seconds_per_step(sim, stimulus, spikes="off")
    assert found == pytest.approx(STEP)
    *_, (steps, arguments) = sim.runs
    assert steps >= 50 * (block_times.LEAST_BLOCKS + 3)
    usual = {"record": (), "spikes": "counts", "stimulus": stimulus}
    assert arguments == usual | {"spikes": "off"}


def test_too_few_blocks_are_an_error(monkeypatch):
    sim = SimpleNamespace(run=lambda *_, progress, **__: [progress(done) for done in (0.1, 1.0)])
    seconds = iter(range(0, 10_000, 20))
    monkeypatch.setattr(block_times, "perf_counter", lambda: next(seconds))
    with pytest.raises(RuntimeError, match="has too few blocks to time"):
        block_times.seconds_per_step(sim, Stimulus.constant(1.0))


def test_the_table_has_a_line_for_each_membrane_and_case(capsys):
    asked = "kernels numpy --neurons 20 --membranes squid RS --dtype float64"
    with (
        patch.multiple(block_length, BLOCK_SECONDS=0.005, LEAST_SECONDS=0.0),
        patch.object(block_times, "SECONDS", 0.1),
        patch.object(kernels, "ROUNDS", 1),
        patch.object(sys, "argv", asked.split()),
    ):
        kernels.main()
    _, _, *lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[:3] for row in rows] == [
        [f"{membrane} float64", "20", case]
        for membrane in ("squid", "RS")
        for case in kernels.CASES
    ]
    assert [row[4] for row in rows if row[2] == "held"] == ["1.000", "1.000"]
    assert all(float(speed) > 0.0 for *_, speed, _ in rows)


def test_as_a_script_it_prints_the_seconds_of_a_step_for_each_number_of_neurons():
    script = TOP / "benchmarks" / "tools" / "block_times.py"
    run = f"import runpy, sys; sys.argv = ['', 'numpy', 'float32', '3', '50']; \
runpy.run_path({str(script)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert len([float(line) for line in done.stdout.splitlines()]) == 2


def test_two_commits_are_measured_in_turn(capsys, tmp_path):
    measured = []

    def times(site, backend, dtype, sizes):
        measured.append(site)
        assert backend == "numpy"
        assert dtype in kernels.DTYPES
        return [1e-6 if site == tmp_path / "HEAD" else 2e-6] * len(sizes)

    with (
        patch.object(kernels, "install", lambda commit, _: tmp_path / commit),
        patch.object(kernels, "_measured", times),
    ):
        kernels.compare_commits("numpy", "main~1", [1, 300])
    assert measured[:4] == [tmp_path / "main~1", tmp_path / "HEAD"] * 2
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 2
    assert all(line.endswith("| 2.000 |") for line in lines)
