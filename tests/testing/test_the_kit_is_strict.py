"""The exit code is 0 only if a backend passes every test."""

import math
import re
import textwrap
from io import StringIO
from types import SimpleNamespace

import pytest
from kit_bench import ALONE
from rich.console import Console

import hhplug.testing
from hhplug.testing import KIT_LEVEL, BackendSuite, suite, varied
from hhplug.testing.budget import Budget
from hhplug.testing.rules import Rules
from hhplug_numpy.backend import NumpySession

OK, FAILED, NOTHING_RUN = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)

SUBCLASS = """
import pytest
from hhplug.testing import BackendSuite

class TestMine(BackendSuite):
    backend = "reference"
"""

# Retries as in pytest-rerunfailures, which reports a failed attempt, and in flaky, which doesn't.
RETRIES = """
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for attempt in range(2):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt == 0 and any(report.failed for report in reports)
        for report in reports:
            if again and report.failed:
                report.outcome = "rerun"
            if not again or {tells}:
                item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            return True
"""

FAILS_ONCE = """
    def test_added(self, attempts=[]):
        attempts.append(1)
        assert len(attempts) > 1
"""


def added(body: str) -> str:
    """Return a subclass of the suite with one more test."""
    return SUBCLASS + textwrap.indent(textwrap.dedent(body), "    ")


@pytest.fixture
def few_problems(monkeypatch):
    """The suite has two of its varied problems and no large ones; all of them fail alike."""
    monkeypatch.setattr("hhplug.testing.suite.rows", lambda *_: varied.rows(short=True)[:2])
    monkeypatch.setattr("hhplug.testing.topics.populations.MILLIONS", 1009)


@pytest.mark.usefixtures("few_problems")
def test_every_test_fails_on_an_unavailable_backend(bench):
    bench.offer("lacking", "sabotaged.faultless:Faultless", requires=("no-such-package",))
    outcome = bench.suite("lacking", horizon="long")
    assert (outcome.passed, outcome.skipped) == (set(), set())
    assert len(outcome.failed) == sum(name.startswith("test_") for name in dir(BackendSuite))
    assert "[missing_package] no-such-package is not installed" in outcome.output
    assert outcome.exit_code == FAILED


@pytest.mark.usefixtures("few_problems")
def test_every_test_fails_on_a_plugin_that_offers_nothing(bench, plugins):
    plugins.install("broken", "raise RuntimeError('no such luck')")
    outcome = bench.suite("broken", horizon="long")
    assert (outcome.passed, outcome.skipped) == (set(), set())
    assert "[load_failed] importing the plugin raised RuntimeError: no such luck" in outcome.output
    assert outcome.exit_code == FAILED


def test_an_unknown_backend_is_an_error_with_a_hint(bench):
    outcome = bench.suite("nump")
    assert outcome.exit_code not in (OK, NOTHING_RUN)
    assert "no backend 'nump'; installed: " in outcome.output
    assert "Did you mean 'numpy'?" in outcome.output


def test_without_a_name_the_suite_says_what_is_missing(bench):
    outcome = bench.run("--pyargs", suite.__name__, *ALONE)
    assert outcome.exit_code not in (OK, NOTHING_RUN)
    assert "name the backend to test: --hhplug-backend=NAME" in outcome.output


@pytest.mark.parametrize(
    "body",
    [
        "@pytest.mark.skip(reason='tired')\ndef test_added(self): pass",
        "@pytest.mark.skipif(True, reason='tired')\ndef test_added(self): pass",
        "def test_added(self): pytest.skip('tired')",
        "def test_added(self): import unittest; raise unittest.SkipTest('tired')",
        "@pytest.fixture\ndef bed(self): pytest.skip('tired')\ndef test_added(self, bed): pass",
        "def test_added(self, kit): pytest.skip('tired')",
        "pytestmark = pytest.mark.skip(reason='tired')\ndef test_added(self): pass",
    ],
)
def test_a_skip_for_another_reason_fails(bench, body):
    outcome = bench.file(added(body), "-k", "test_added")
    assert outcome.failed == {"test_added": "skipped for a reason that is not permitted: tired"}
    assert outcome.exit_code == FAILED


@pytest.mark.parametrize(
    "body",
    [
        "@pytest.mark.xfail\ndef test_added(self): assert False",
        "@pytest.mark.xfail\ndef test_added(self): pass",
        "@pytest.mark.xfail(strict=True)\ndef test_added(self): assert False",
        "@pytest.mark.xfail(run=False)\ndef test_added(self): pass",
        "def test_added(self): pytest.xfail('tired')",
        "pytestmark = pytest.mark.xfail\ndef test_added(self): assert False",
    ],
)
def test_an_expected_failure_fails(bench, body):
    outcome = bench.file(added(body), "-k", "test_added")
    assert outcome.failed == {"test_added": "a test of the suite may not be marked xfail"}
    assert outcome.exit_code == FAILED


@pytest.mark.parametrize(
    "selection",
    [
        ("-k", "test_device_arrays_equal_the_arrays_of_a_run_on_the_host"),
        ("-k", "no_such_test"),
        ("--hhplug-kit-level=0",),
        ("--collect-only",),
    ],
)
def test_a_run_without_tests_does_not_pass(bench, selection):
    outcome = bench.file(SUBCLASS, *selection)
    assert (outcome.passed, outcome.failed) == (set(), {})
    assert outcome.exit_code == NOTHING_RUN


def test_tests_that_other_processes_only_skip_do_not_pass():
    rules, session = Rules(None, short=True), SimpleNamespace(config=None, exitstatus=OK)
    rules.add(collected=False, run=0, budgets=[])
    rules.pytest_sessionfinish(session, OK)
    assert session.exitstatus == OK  # they had none of the suite's
    rules.add(collected=True, run=0, budgets=[])
    rules.pytest_sessionfinish(session, OK)
    assert session.exitstatus == NOTHING_RUN


@pytest.mark.parametrize("tells", [True, False])
def test_a_failure_is_not_repeated_until_it_passes(bench, pytester, tells):
    pytester.makeconftest(RETRIES.format(tells=tells))
    outcome = bench.file(SUBCLASS + FAILS_ONCE, "-k", "test_added")
    assert outcome.exit_code == FAILED


def test_a_test_that_is_not_the_suites_may_be_repeated(bench, pytester):
    pytester.makeconftest(RETRIES.format(tells=True))
    outcome = bench.file("class TestTheirs:\n" + FAILS_ONCE)
    assert outcome.failed == {}
    assert outcome.passed == {"test_added"}
    assert outcome.exit_code == OK


@pytest.mark.parametrize(
    "name",
    [
        "test_the_spec_is_complete",
        "test_spikes_are_the_upward_crossings_of_the_stored_voltage",
        "kit",
        "pytest_generate_tests",
        "hhplug_suite",
    ],
)
def test_a_subclass_overrides_nothing_of_the_suite(name):
    with pytest.raises(TypeError, match=f"TestMine overrides {name} of the suite"):
        type("TestMine", (BackendSuite,), {"backend": "mine", name: None})


def test_a_second_base_overrides_nothing_of_the_suite():
    class Tamer:
        def test_the_spec_is_complete(self):
            pass

    with pytest.raises(TypeError, match="TestMine overrides test_the_spec_is_complete"):
        type("TestMine", (Tamer, BackendSuite), {"backend": "mine"})


def test_a_subclass_adds_tests_which_may_ask_for_the_kit(bench):
    source = added("""
        def test_added(self, kit):
            assert kit.run(0.02).backend == "reference"

        def test_added_that_fails(self):
            assert False
    """)
    outcome = bench.file(source, "-k", "test_added")
    assert outcome.passed == {"test_added"}
    assert outcome.failed == {"test_added_that_fails": "assert False"}
    assert outcome.exit_code == FAILED


@pytest.mark.usefixtures("few_tests")
def test_the_documented_subclass_runs_the_suite_in_a_test_file(bench):
    documented = hhplug.testing.__doc__.partition("in a plugin's own tests,\n")[2]
    bench.offer("mine", "sabotaged.populations:StaleLastNeuron")
    outcome = bench.file(textwrap.dedent(documented), "--hhplug-horizon=short")
    assert len(outcome.passed) > 10
    assert "test_a_neuron_is_the_same_in_a_population_of_any_size" in outcome.failed
    assert outcome.exit_code == FAILED


def test_a_kit_level_leaves_out_what_came_later(bench):
    source = added("""
        @pytest.mark.kit_level(2)
        def test_added_later(self): pass

        def test_added(self): pass
    """)
    arguments = ("-k", "test_added", "--strict-markers")
    assert bench.file(source, *arguments).passed == {"test_added", "test_added_later"}
    assert bench.file(source, *arguments, "--hhplug-kit-level=1").passed == {"test_added"}
    assert bench.file(source, *arguments, "--hhplug-kit-level=2").passed == {
        "test_added",
        "test_added_later",
    }


def test_the_level_of_the_kit_is_that_of_its_newest_test():
    marks = [mark for name in dir(BackendSuite) for mark in marks_of(getattr(BackendSuite, name))]
    levels = [mark.args[0] for mark in marks if mark.name == "kit_level"]
    assert max(levels, default=1) == KIT_LEVEL


def marks_of(test):
    return getattr(test, "pytestmark", [])


def test_the_short_horizon_takes_at_most_5000_steps_and_names_what_it_did_not_show(
    bench, monkeypatch
):
    taken = []
    advance = NumpySession.advance

    def counted(self, n_steps):
        taken.append(n_steps)
        return advance(self, n_steps)

    monkeypatch.setattr(NumpySession, "advance", counted)
    outcome = bench.suite("numpy")
    assert outcome.exit_code == OK
    budget = outcome.budgets["numpy"]
    print(f"{budget.steps} steps at two precisions")
    assert 0 < sum(taken) <= budget.steps <= 5000
    for dtype in ("float32", "float64"):
        for what in ("V over 50 ms", "spike time over 200 ms"):
            assert re.search(rf"{what} \({dtype}\) *│ +not shown ", outcome.output)
    assert len(budget.not_shown) == len(set(budget.not_shown))


def test_the_report_has_each_error_beside_its_bound_and_says_which_is_broken(bench):
    bench.offer("off", "sabotaged.numerics:RateOffByOnePercent")
    measured = "test_the_rates_are_within_bounds", "test_a_trace_of_5_ms_is_within_bounds"
    broken = bench.suite("off", *measured).output
    assert re.search(r"float64  rate +│ 1\.0e-02 relative │ 1e-13 relative │ BROKEN", broken)
    assert re.search(r"float64  V over 5 ms │ .* mV │ +1e-08 mV │ BROKEN", broken)
    held = bench.suite("reference", *measured).output
    assert re.search(r"float64  V over 5 ms │ +0\.0e\+00 mV │ +1e-08 mV │ held", held)
    assert "BROKEN" not in held


@pytest.mark.parametrize(
    ("fault", "test", "says"),
    [
        (
            "RateOffByOnePercent",
            "test_the_rates_are_within_bounds",
            r"beta_h at -?\d[\d.]* mV is off by 0\.01 of itself",
        ),
        (
            "UnguardedSingularity",
            "test_the_rates_are_within_bounds",
            r"alpha_[mn] at -(40|55) mV is off by inf of itself",
        ),
        (
            "CapacitanceOffByAMillionth",
            "test_a_trace_of_5_ms_is_within_bounds",
            r"V is off by .* at step \d+, neuron \d+, and may be by 1e-08: .* instead of .*; "
            r"it is first off at step [1-9]\d*, neuron \d+",
        ),
        (
            "UnguardedSingularity",
            "test_runs_from_the_singular_voltages_are_accurate",
            r"V is off by nan at step 1, neuron \d+, and may be by 1e-08: .*nan.* instead of .*; "
            r"it is first off at step 1, neuron \d+",
        ),
    ],
)
def test_a_failure_says_what_is_wrong_and_where(bench, fault, test, says):
    bench.offer("off", f"sabotaged.numerics:{fault}")
    outcome = bench.suite("off", test)
    assert re.search(says, outcome.failed[test])


@pytest.mark.parametrize(
    ("error", "says"), [(0.9, "held"), (1.0, "BROKEN"), (math.inf, "BROKEN"), (math.nan, "BROKEN")]
)
def test_an_error_is_held_only_if_it_is_below_its_bound(error, says):
    budget = Budget("toy")
    budget.note("float64", "rate", error, bound=1.0)
    text = StringIO()
    Console(file=text, width=100).print(budget.table())
    assert ("held" in text.getvalue(), "BROKEN" in text.getvalue()) == (
        says == "held",
        says == "BROKEN",
    )


def test_other_tests_are_left_alone(bench):
    source = """
        import pytest

        def test_passes(): pass
        def test_skips(): pytest.skip("tired")
        @pytest.mark.xfail
        def test_is_expected_to_fail(): assert False
    """
    outcome = bench.file(textwrap.dedent(source), "--hhplug-kit-level=0", "--strict-markers")
    assert outcome.failed == {}
    assert outcome.passed == {"test_passes"}
    assert outcome.skipped == {"test_skips", "test_is_expected_to_fail"}
    assert outcome.exit_code == OK
    assert "Error budget" not in outcome.output
