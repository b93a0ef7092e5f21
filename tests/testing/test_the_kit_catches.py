"""Every planted fault is detected by the tests that are meant to detect it."""

from pathlib import Path

import pytest
from all_faults import ALL_FAULTS

from hhplug.testing import BackendSuite, varied

# A failure begins with one of these if an assertion failed, and not if the run raised an error.
JUDGED = ("AssertionError", "assert ", "Failed: DID NOT ", "Failed: Regex pattern did not match")

# No backend can fail these: the core keeps the first three promises, and a speed has no bound.
NO_BACKENDS_FAULT = {
    "test_the_result_says_what_ran_and_where",
    "test_a_precision_that_is_not_declared_is_refused",
    "test_device_arrays_that_are_not_declared_are_refused",
    "test_the_speed_is_reported",
}

SUITE = {name for name in dir(BackendSuite) if name.startswith("test_")}
LONG = {
    name
    for name in SUITE
    if any(
        mark.name == "long_horizon"
        for mark in getattr(getattr(BackendSuite, name), "pytestmark", ())
    )
}
KEPT = "test_closing_a_session_frees_its_memory_and_threads_on_the_host"
DECLARED = "test_device_arrays_that_are_not_declared_are_refused"  # it declares them
LEAKED = "test_no_memory_is_left_behind_by_many_runs"


@pytest.mark.usefixtures("reference_runs")
@pytest.mark.parametrize("fault", ALL_FAULTS, ids=str)
def test_a_fault_is_caught_by_the_tests_for_it(bench, fault, monkeypatch):
    # 64 spikes of a neuron and 300,003 neurons, in place of a thousand and millions, take a tenth.
    monkeypatch.setattr("hhplug.testing.topics.spikes.LONGEST_BLOCK", 2**12)
    monkeypatch.setattr("hhplug.testing.topics.populations.MILLIONS", 300_003)
    monkeypatch.setattr("hhplug.testing.topics.process.END_SECONDS", 5)
    monkeypatch.setattr("hhplug.testing.topics.spec.ATTEMPTS", 1)
    if fault.rows:
        monkeypatch.setattr(
            "hhplug.testing.suite.rows",
            lambda *some: [row for row in varied.rows(*some) if fault.rows.items() <= row.items()],
        )
    name = fault.name.lower()
    bench.offer(name, fault.factory, **fault.spec)
    outcome = bench.suite(name, *fault.fails, *fault.passes, horizon=fault.horizon)
    assert set(outcome.failed) == set(fault.fails)
    assert outcome.passed == set(fault.passes)
    assert outcome.exit_code == pytest.ExitCode.TESTS_FAILED
    for message in outcome.failed.values():
        assert message.startswith(fault.raises or JUDGED)
        assert fault.says in message


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        ("EverySessionKept", "state"),
        ("UnreadSessionsKept", "state"),
        ("EveryBlockKept", "state"),
        ("ThreadOfEverySessionKept", "thread"),
    ],
)
def test_memory_kept_by_every_session_is_caught_in_a_separate_process(bench, fault, kept):
    # In this process, memory that earlier tests have freed would hide the kept states.
    bench.offer("keeps", f"sabotaged.sessions:{fault}")
    result = bench.suite_in_a_process("keeps", KEPT, "test_repeating_a_run_gives_the_same_result")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*AssertionError: a {kept} is kept of every session or block*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_samples_leaked_where_python_does_not_see_them_are_caught_in_a_separate_process(bench):
    bench.offer("leaks", "sabotaged.process:EverySampleLeaked")
    tests = LEAKED, "test_nothing_is_left_behind_by_many_runs"
    result = bench.suite_in_a_process("leaks", *tests, horizon="long")
    result.assert_outcomes(passed=1, failed=1)
    said = r"80 runs leave \d\d MB of memory behind; their samples had 79 MB"
    result.stdout.re_match_lines([f".*AssertionError: {said}"])


def test_every_test_of_the_suite_is_seen_to_fail():
    seen = {KEPT, LEAKED} | {test for fault in ALL_FAULTS for test in fault.fails}
    assert seen | NO_BACKENDS_FAULT == SUITE
    assert not seen & NO_BACKENDS_FAULT


def test_without_a_fault_all_that_a_short_horizon_runs_passes_and_nothing_is_skipped(bench):
    bench.offer(
        "faultless",
        "sabotaged.faultless:KeepsSamplesOnDevice",
        capabilities={
            "device_arrays": True,
            "device_index": True,
            "methods": ("rk4", "stiff"),
            "noise": True,
            "features": "samples",
        },
        probe="sabotaged.faultless:probe_that_answers",
    )
    outcome = bench.suite("faultless")
    assert list(Path.cwd().iterdir()) == []
    assert outcome.failed == {}
    assert outcome.skipped == set()
    assert outcome.passed == SUITE - LONG - {DECLARED}
    assert outcome.exit_code == pytest.ExitCode.OK


def test_the_reference_passes_the_whole_suite(bench):
    outcome = bench.suite("reference")
    assert outcome.failed == {}
    assert outcome.skipped == {
        "test_the_probe_answers_with_and_without_visible_devices",
        "test_device_arrays_equal_the_arrays_of_a_run_on_the_host",
        "test_a_missing_device_is_refused_by_the_code_that_ends_the_list_of_all",
        "test_noise_on_two_devices_is_that_on_one_also_where_the_run_goes_on",
        "test_neurons_recorded_in_any_order_are_the_same_on_two_devices",
        "test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",
    }
    assert outcome.exit_code == pytest.ExitCode.OK
