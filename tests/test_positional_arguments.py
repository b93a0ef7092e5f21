"""Calls are short enough to be read, and one place asks what kind of stimulus a user gave."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = (
    "hhplug",
    "benchmarks",
    *(f"plugins/{path.name}/src" for path in ROOT.glob("plugins/*/")),
)
MOST_POSITIONAL = 6
# A compiled kernel has no keywords, or its compiler reads none.
KERNELS = {"hhplug_numba/population.py", "hhplug_triton/kernels.py", "hhplug_triton/features.py"}
LAUNCHES = {"self._kernel.advance", "launch"}
# Stimulus itself asks what it is added to or multiplied by.
DECIDE = {"currents/checked.py", "currents/stimulus.py"}


def name_of(file):
    return "/".join(file.parts[-2:])


def calls(file):
    """Yield the calls in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def long_calls(file):
    return [
        f"{file}:{call.lineno}" for call in calls(file)
        if len(call.args) > MOST_POSITIONAL and ast.unparse(call.func) not in LAUNCHES
    ]  # fmt: skip


def decisions(file):
    return [
        f"{file}:{call.lineno}" for call in calls(file)
        if ast.unparse(call.func) == "isinstance" and "Stimulus" in ast.unparse(call.args[1])
    ]  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_call_has_more_than_six_positional_arguments(folder):
    files = [file for file in (ROOT / folder).rglob("*.py") if name_of(file) not in KERNELS]
    assert files
    assert [place for file in files for place in long_calls(file)] == []


def test_one_module_decides_what_kind_of_stimulus_a_user_gave():
    files = [file for file in (ROOT / "hhplug").rglob("*.py") if "testing" not in file.parts]
    deciding = {name_of(file) for file in files if decisions(file)}
    assert deciding == DECIDE


def test_a_long_call_and_a_second_decision_are_detected(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text(
        "f(1, 2, 3, 4, 5, 6, 7)\nf(1, 2, 3, 4, 5, 6)\nisinstance(x, (int, Stimulus))\n"
    )
    assert [len(long_calls(planted)), len(decisions(planted))] == [1, 1]
