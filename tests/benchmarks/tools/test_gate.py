"""The gate's command line: what it reads, prints and returns."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from asv.results import Results
from asv.runner import BenchmarkResult
from asv.util import write_json

from benchmarks.tools import gate, machine

HERE = "a-machine"
STEP = "step.Step.time_million_neuron_steps"
QUIET = [1.00, 1.01, 0.99, 1.02, 0.98, 1.00, 1.03, 0.97, 1.01, 0.99]  # s, samples


@pytest.fixture
def commits(tmp_path, monkeypatch):
    """Return two commits of a new repository that has a folder for results."""
    monkeypatch.setattr(gate, "TOP", tmp_path)
    monkeypatch.setattr(gate, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gate, "MEASURED", tmp_path / "asv" / "results")
    monkeypatch.setenv("HOME", str(tmp_path))  # asv keeps its list of machines there

    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        run = ["git", *author, *arguments]
        return subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    for message in ("base", "head"):
        git("commit", "--quiet", "--allow-empty", "--message", message)
    return git("rev-parse", "HEAD~").strip(), git("rev-parse", "HEAD").strip()


@pytest.fixture
def record(tmp_path):
    """Save times of backends as asv does."""

    def save(commit, into="results", on=HERE, env="virtualenv", samples=QUIET, **slowdown):
        results = Results({"machine": on}, {}, commit, 0, "3.11", env, {})
        samples = [[s * factor for s in samples] for factor in slowdown.values()]
        params = [[f"'{backend}'" for backend in slowdown], ["100"]]
        measured = BenchmarkResult([0] * len(samples), samples, [1] * len(samples), 0, "", None)
        benchmark = {"name": STEP, "version": "1", "params": params}
        results.add_result(benchmark, measured, record_samples=True)
        results.save(str(tmp_path / into))
        write_json(str(tmp_path / into / on / "machine.json"), {"machine": on}, 1)

    return save


@pytest.fixture
def judge(capfd):
    """Run the gate: (exit code, standard output, standard error)."""

    def run(*arguments, on=("--machine", HERE)):
        code = gate.main([*arguments, *on])
        return (code, *capfd.readouterr())

    return run


def test_a_pass_is_a_line_with_the_number_of_benchmarks_and_the_worst_ratio(commits, record, judge):
    record(commits[0], numpy=1.0, numba=1.0)
    record(commits[1], numpy=1.05, numba=0.9)
    expected = f"2 benchmarks compared, 0 fail; worst ratio 1.05: {STEP}(numpy, 100)\n"
    assert judge(*commits) == (0, expected, "")


def test_a_benchmark_without_a_ratio_is_not_the_worst(commits, record, judge):
    for commit in commits:
        record(commit, numba=0.0, numpy=1.0)
    assert "worst ratio 1.00: " in judge(*commits)[1]


def test_a_warning_is_printed_and_passes(commits, record, judge):
    for commit in commits:
        record(commit, samples=QUIET[:6], numpy=1.0)
    code, output, _ = judge(*commits)
    assert code == 0
    assert "too few samples to tell" in output


def test_a_slowdown_fails_and_is_named(commits, record, judge):
    record(commits[0], numpy=1.0, numba=1.0)
    record(commits[1], numpy=1.5, numba=1.0)
    code, output, _ = judge("HEAD~", "HEAD")  # names that git resolves
    assert code == 1
    (row,) = [line for line in output.splitlines() if "slower" in line]
    assert row.split() == [f"{STEP}(numpy,", "100)", "1", "1.5", "1.5", "slower"]
    assert "2 benchmarks compared, 1 fail;" in output


def test_the_factor_may_be_chosen(commits, record, judge):
    record(commits[0], numpy=1.0)
    record(commits[1], numpy=1.5)
    assert judge(*commits, "--factor", "1.6")[0] == 0
    assert judge(*commits, "--factor", "1.4")[0] == 1


def test_the_results_are_this_machines_unless_another_is_named(commits, record, judge):
    record(commits[0], on=machine.named()["machine"], numpy=1.0)
    record(commits[1], on=machine.named()["machine"], numpy=1.0)
    assert judge(*commits, on=())[0] == 0
    code, _, error = judge(*commits)
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith(f"gate: no results of commit {commits[0]} on '{HERE}'")


@pytest.mark.parametrize("pattern", ["numba", r"Step.*\('numba', 100\)"])
def test_only_some_benchmarks_may_be_judged_by_patterns_as_asv_takes_them(
    commits, record, judge, pattern
):
    record(commits[0], numpy=1.0, numba=1.0)
    record(commits[1], numpy=1.5, numba=1.0)
    code, output, _ = judge(*commits, "--bench", pattern)
    assert code == 0
    assert output.startswith("1 benchmarks compared")
    assert judge(*commits, "--bench", pattern, "numpy")[0] == 1


def test_the_gate_fails_if_nothing_can_be_compared(commits, record, judge):
    record(commits[0], numba=1.0)
    record(commits[1], numpy=1.0)
    code, output, _ = judge(*commits, "--bench", "numpy")  # new at HEAD
    assert code == 1
    assert "0 benchmarks compared" in output
    assert judge(*commits, "--bench", "no such benchmark")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["HEAD~", "main-that-never-was"], "git knows no commit 'main-that-never-was'"),
        (["HEAD~", "HEAD"], "no results of commit "),
        (["HEAD", "HEAD"], "HEAD and HEAD are one commit"),
        (["HEAD~", "HEAD", "--factor", "nan"], "--factor must be above 1, got nan"),
        (["HEAD~", "HEAD", "--bench", "("], "--bench takes regular expressions, got '('"),
    ],
)
@pytest.mark.usefixtures("commits")
def test_bad_input_exits_with_2_and_one_line(judge, arguments, message):
    code, output, error = judge(*arguments)
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"gate: {message}")


def test_old_results_are_not_judged_if_asv_could_not_measure(commits, record, judge):
    """asv cannot measure here because the commits are of another repository."""
    record(commits[0], numpy=1.0)
    record(commits[1], numpy=1.0)
    assert judge(*commits)[0] == 0
    code, _, error = judge(*commits, "--run")
    assert code == 2
    assert "gate: asv run ended with status 1" in error


@pytest.fixture
def made_up_asv(tmp_path):
    """Replace asv in a process that starts in the folder; return the arguments of its calls."""
    shutil.copy(Path(__file__).with_name("made_up_asv.py"), tmp_path / "asv.py")
    return lambda: [
        json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()
    ]


def test_run_measures_both_commits_in_turn_and_judges_the_results(
    commits, record, judge, made_up_asv
):
    record(commits[0], numpy=1.0)
    record(commits[1], numpy=9.0)  # a kept result, which --run must ignore
    record(commits[0], into="measured-1", numpy=1.0)
    record(commits[1], into="measured-1", numpy=1.1)
    code, output, error = judge(*commits, "--run", "--bench", "numpy", "numba")
    assert (code, output.count("\n")) == (0, 1)
    assert "asv at work" in error
    [(arguments, hashes)] = made_up_asv()
    assert hashes == list(commits)
    assert arguments[:4] == ["run", "HASHFILE:-", "--machine", HERE]
    assert {"--interleave-rounds", "--record-samples"} < set(arguments)
    assert arguments[-4:] == ["--bench", "numpy", "--bench", "numba"]


@pytest.mark.usefixtures("made_up_asv")
def test_run_ignores_the_results_of_an_earlier_run(commits, record, judge):
    for commit, slowdown in zip(commits, (1.0, 9.0), strict=True):
        record(commit, into="asv/results", env="of-old-pins", numba=slowdown)
        record(commit, into="measured-1", numpy=1.0)
    code, output, _ = judge(*commits, "--run")
    assert code == 0
    assert output.startswith("1 benchmarks compared")


@pytest.mark.parametrize(("again", "expected"), [(1.0, 0), (1.5, 1)])
def test_a_slower_benchmark_is_measured_again_and_the_second_result_counts(
    commits, record, judge, made_up_asv, again, expected
):
    record(commits[0], into="measured-1", numpy=1.0, numba=1.0)
    record(commits[1], into="measured-1", numpy=1.5, numba=1.0)
    record(commits[1], into="measured-2", numpy=again, numba=1.0)
    assert judge(*commits, "--run")[0] == expected
    first, (arguments, hashes) = made_up_asv()
    assert "--bench" not in first[0]
    assert hashes == list(commits)
    assert "rounds=6" not in first[0]
    assert arguments[arguments.index("--attribute") + 1] == "rounds=6"
    *_, option, pattern = arguments
    assert option == "--bench"
    assert re.search(pattern, f"{STEP}('numpy', 100)")  # with asv's quotes
    assert not re.search(pattern, f"{STEP}('numpy', 1000)")
    assert not re.search(pattern, f"{STEP}('numba', 100)")


@pytest.mark.usefixtures("made_up_asv")
def test_a_slowdown_that_a_slow_phase_hides_in_two_rounds_fails(commits, record, judge):
    spells = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    record(commits[0], into="measured-1", samples=sorted(3.0 - s for s in spells), numpy=1.0)
    record(commits[1], into="measured-1", samples=spells, numpy=1.0)
    record(commits[0], into="measured-2", numpy=1.0)
    record(commits[1], into="measured-2", numpy=1.5)
    assert judge(*commits, "--run")[0] == 1
