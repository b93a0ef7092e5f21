"""An entry in the table of contestants is all that a backend or a peer needs."""

import ast

import pytest

from benchmarks import call, contestants, runs
from benchmarks.contestants import ALSO, CONTESTANTS, ENTRIES, Contestant
from benchmarks.runs import TimedRuns
from benchmarks.tools.checkout import TOP

# These were recorded first; later ones are appended after them.
BACKENDS = ("reference", "numpy", "numba", "triton", "pycuda")
PEERS = ("peer-textbook", "peer-jax", "peer-launches")

# The accuracy benchmarks compare with the reference, and the history compares with JAX.
NAMED_FOR_THEMSELVES = {"reference", "peer-jax"}


def test_the_names_of_earlier_measurements_never_change():
    assert contestants.BACKENDS[: len(BACKENDS)] == BACKENDS
    assert contestants.PEERS[: len(PEERS)] == PEERS


def test_every_entry_has_its_own_name_and_color_and_is_described():
    assert len({entry.name for entry in CONTESTANTS}) == len(CONTESTANTS)
    assert len({entry.color for entry in CONTESTANTS}) == len(CONTESTANTS)
    assert all(entry.what and entry.work for entry in CONTESTANTS)


@pytest.mark.parametrize(
    "file",
    [file for file in (TOP / "benchmarks").rglob("*.py") if file.name != "contestants.py"],
    ids=lambda file: file.name,
)
def test_no_other_file_has_the_name_of_a_backend_or_a_peer(file):
    code = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    texts = {node.value for node in code if isinstance(node, ast.Constant)}
    names = {entry.name for entry in CONTESTANTS} - NAMED_FOR_THEMSELVES
    assert not texts & names


def test_a_backend_that_is_too_slow_has_no_whole_call():
    with pytest.raises(NotImplementedError, match="reference would take seconds"):
        call.ready("reference", "float64", "none")


def test_a_large_enough_run_of_a_backend_without_an_entry_is_found_by_trial(plugins, monkeypatch):
    plugins.offer("mychip")
    monkeypatch.setitem(ENTRIES, "mychip", Contestant("mychip"))
    monkeypatch.setattr(runs, "LONG_ENOUGH", 0.01)  # s, so that the test is short
    timed = TimedRuns("mychip", "float64", 31)
    assert 1e-6 < timed.seconds_per_step() < 1e-2  # s; 1.5e-4 is usual
    with pytest.raises(NotImplementedError, match="float32"):
        TimedRuns("mychip", "float32", 31)


@pytest.mark.parametrize(
    ("seconds_per_step", "lengths"),
    [(0.06, (5, 20)), (0.02, (5, 20)), (1e-3, (80, 325)), (1e-8, (20_008, 100_000))],
)
def test_trial_runs_end_when_one_takes_a_fifth_of_a_second(monkeypatch, seconds_per_step, lengths):
    monkeypatch.setitem(ENTRIES, "mychip", Contestant("mychip"))
    monkeypatch.setattr(TimedRuns, "_backend", lambda *_: lambda steps: seconds_per_step * steps)
    timed = TimedRuns("mychip", "float32", 100)
    assert (timed._short, timed._long) == lengths


@pytest.mark.parametrize(("seconds_per_step", "reason"), [(0.3, "20 steps"), (1.2, "5 steps")])
def test_a_backend_without_an_entry_is_skipped_for_sizes_that_take_too_long(
    monkeypatch, seconds_per_step, reason
):
    monkeypatch.setitem(ENTRIES, "mychip", Contestant("mychip"))
    monkeypatch.setattr(TimedRuns, "_backend", lambda *_: lambda steps: seconds_per_step * steps)
    with pytest.raises(NotImplementedError, match=f"{reason} of 1,000,000 neurons take 6 s"):
        TimedRuns("mychip", "float32", 1_000_000)


def test_a_backend_that_the_environment_names_must_be_available(monkeypatch):
    monkeypatch.setenv(ALSO, "numpy, mychip")
    monkeypatch.setitem(ENTRIES, "mychip", Contestant("mychip"))
    with pytest.raises(RuntimeError, match="mychip is required by HHPLUG_BENCH_BACKENDS, but: "):
        TimedRuns("mychip", "float32", 1)
