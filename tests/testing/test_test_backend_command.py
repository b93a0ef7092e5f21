"""`hhplug test-backend`, run in this process."""

import os
import re
import subprocess
import sys

import pytest

from hhplug import cli
from hhplug.backend import Capabilities
from hhplug.testing import certify as certifying
from hhplug.testing import varied

SHORT = ("--horizon", "short")

with_few_tests = pytest.mark.usefixtures("few_tests")


@pytest.fixture
def certify(bench, capsys, monkeypatch, tmp_path_factory):
    """Run the command in an empty folder; return exit code, standard output and error."""
    del bench  # the fixture offers backends and removes them
    # The command runs whatever the suite has; two of its varied problems are enough here.
    monkeypatch.setattr("hhplug.testing.suite.rows", lambda *_: varied.rows(short=True)[:2])
    monkeypatch.chdir(tmp_path_factory.mktemp("anywhere"))

    def run(*arguments):
        code = cli.main(["test-backend", *arguments])
        return (code, *capsys.readouterr())

    return run


@with_few_tests
def test_a_backend_that_holds_is_certified_with_its_error_budget(certify):
    code, output, errors = certify("reference", *SHORT)
    assert (code, errors) == (0, "")
    assert "Error budget of reference, " in output
    assert "│ float64  rate  " in output
    assert "│ V over 50 ms (float64)  " in output
    assert "BROKEN" not in output
    assert " passed, 2 skipped" in output


@with_few_tests
def test_a_backend_that_fails_exits_with_1_and_says_what_is_broken(bench, certify):
    bench.offer("off", "sabotaged.numerics:CapacitanceOffByAMillionth")
    code, output, _ = certify("off", *SHORT)
    assert code == 1
    assert "BROKEN" in output
    assert "test_a_trace_of_5_ms_is_within_bounds" in output


def test_an_unavailable_backend_exits_with_3_and_the_fix(bench, certify):
    bench.offer("lacking", "sabotaged.faultless:Faultless", requires=("no-such-package",))
    code, output, errors = certify("lacking", *SHORT)
    assert (code, output) == (3, "")
    assert "'lacking' cannot run here: [missing_package] no-such-package is not" in errors
    assert "Fix: pip install 'no-such-package'" in errors


def test_a_backend_whose_factory_fails_exits_with_3(bench, certify):
    bench.offer("gone", "no_such_module:factory")
    code, output, errors = certify("gone", *SHORT)
    assert (code, output) == (3, "")
    assert "[import_failed] ModuleNotFoundError: No module named 'no_such_module'" in errors


def test_a_test_that_hangs_shows_where(bench):
    bench.offer("hangs", "sabotaged.sessions:HangsForASecond")
    script = """
from few_tests import Rules, deselect_most
from hhplug.testing import certify
Rules.deselect, certify.SILENCE = deselect_most, 0.5
raise SystemExit(certify.certify('hangs', 'short'))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "Timeout (0:00:00.5" in done.stderr
    assert re.search(r'File ".*sessions.py", line \d+ in read', done.stderr)


def test_an_unknown_name_exits_with_2_and_a_hint(certify):
    code, output, errors = certify("nump", *SHORT)
    assert (code, output) == (2, "")
    assert errors.startswith("hhplug: no backend 'nump'; installed: ")
    assert errors.endswith(" Did you mean 'numpy'?\n")


def test_without_pytest_it_says_what_to_install(certify, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    monkeypatch.delitem(sys.modules, "hhplug.testing.certify", raising=False)
    code, output, errors = certify("reference", *SHORT)
    assert (code, output) == (2, "")
    assert errors == "hhplug: hhplug test-backend needs pytest: pip install 'pytest>=8'\n"


@with_few_tests
def test_no_file_of_the_folder_is_read_or_written(bench, certify, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (folder / "conftest.py").write_text("raise RuntimeError('read')\n")
    (folder / "test_theirs.py").write_text("def test_theirs():\n    assert False\n")
    before = sorted(folder.iterdir())
    monkeypatch.chdir(folder)
    bench.offer("toy", "sabotaged.faultless:Faultless")
    code, output, _ = certify("toy", *SHORT)
    assert code == 0
    assert "theirs" not in output
    assert sorted(folder.iterdir()) == before


@with_few_tests
@pytest.mark.parametrize("options", ["-k test_the_spec_is_complete", "--no-such-option"])
def test_the_environments_options_are_not_read(bench, certify, monkeypatch, options):
    monkeypatch.setenv("PYTEST_ADDOPTS", options)
    bench.offer("off", "sabotaged.numerics:RateOffByOnePercent")
    code, output, _ = certify("off", *SHORT)
    assert code == 1
    assert "BROKEN" in output


@with_few_tests
def test_the_options_of_the_suite_are_known_where_pytest_loads_no_plugins(certify, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_module")
    code, output, _ = certify("reference", *SHORT)
    assert code == 0
    assert "Error budget of reference, " in output


SHARED = """
import sys
import pytest
from hhplug.testing import certify
name, tests = sys.argv[1:]
run = pytest.main
pytest.main = lambda arguments: run([*arguments, "-k", tests])
raise SystemExit(certify.certify(name, "short", processes=2))
"""


def shared(name, tests):
    """Certify a backend by some tests in two processes."""
    command = [sys.executable, "-c", SHARED, name, tests]
    return subprocess.run(command, capture_output=True, text=True)


def test_processes_that_share_the_tests_give_one_budget():
    ran = shared("numpy", "rate")
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.count("Error budget of numpy") == 1
    assert "float32  rate" in ran.stdout
    assert "float64  rate" in ran.stdout


def test_a_backend_that_ends_its_process_fails_the_test_in_which_it_does(bench):
    bench.offer("ends", "sabotaged.sessions:EndsItsProcess")
    crashing = "test_repeating_a_run_gives_the_same_result"
    ran = shared("ends", f"{crashing} or test_the_spec_is_complete")
    assert ran.returncode == 1
    assert re.search(
        rf"worker 'gw\d' crashed while running '.*::{crashing}\[float64\]'", ran.stdout
    )
    assert "1 failed, 1 passed" in ran.stdout


@with_few_tests
def test_it_stops_at_the_first_failure_on_request(bench, certify):
    bench.offer("off", "sabotaged.numerics:CapacitanceOffByAMillionth")
    code, output, _ = certify("off", *SHORT, "-x")
    assert code == 1
    assert "stopping after 1 failures" in output


@pytest.mark.parametrize(
    ("horizon", "capabilities", "processors", "xdist", "expected"),
    [
        ("long", {}, 16, True, 2),
        ("long", {}, 1, True, 1),
        ("long", {}, 16, False, 1),
        ("long", {"device_index": True}, 16, True, 1),
        ("long", {"device_arrays": True}, 16, True, 1),
        ("short", {}, 16, True, 1),
    ],
)
def test_two_processes_share_the_tests_of_a_backend_on_the_cpu(
    monkeypatch, horizon, capabilities, processors, xdist, expected
):
    monkeypatch.setattr(certifying, "find_spec", lambda _: xdist or None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    found = certifying.default_processes(Capabilities(dtypes=("float64",), **capabilities), horizon)
    assert found == expected


def test_several_processes_without_xdist_exit_with_2_and_what_to_install(certify, monkeypatch):
    monkeypatch.setattr(certifying, "find_spec", lambda _: None)
    code, output, errors = certify("reference", *SHORT, "--processes", "2")
    assert (code, output) == (2, "")
    assert errors == ("hhplug: --processes 2 needs pytest-xdist: pip install 'pytest-xdist>=3.5'\n")


def test_no_processes_exit_with_2(certify):
    code, _, errors = certify("reference", *SHORT, "--processes", "0")
    assert code == 2
    assert errors == "hhplug: --processes must be a whole number, 1 or more, got 0\n"


@pytest.mark.parametrize("level", ["0", "-1"])
def test_an_unknown_kit_level_exits_with_2(certify, level):
    code, output, errors = certify("reference", *SHORT, "--kit-level", level)
    assert (code, output) == (2, "")
    assert errors == f"hhplug: --kit-level must be a whole number, 1 or more, got {level}\n"


def test_the_problems_are_listed(certify):
    code, output, errors = certify("--list-problems")
    lines = output.splitlines()
    assert (code, errors) == (0, "")
    assert len(lines) == len(varied.rows(short=False))
    assert lines[0].startswith("  0  neurons: 1, current: ")
    assert "record: nothing" in output
    _, short, _ = certify("--list-problems", *SHORT)
    assert len(short.splitlines()) == len(varied.rows(short=True)) < len(lines)


def test_without_a_name_it_says_where_names_are_listed(certify):
    assert certify()[::2] == (2, "hhplug: name the backend to test; hhplug backends lists them\n")
