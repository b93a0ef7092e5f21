"""The kit's plugin for pytest, which pytest always loads: options, rules for skips, the report."""

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest

NAME, HORIZON, LEVEL = "--hhplug-backend", "--hhplug-horizon", "--hhplug-kit-level"

BUDGETS = pytest.StashKey[dict[str, Any]]()
OUTCOMES = pytest.StashKey[dict[str, int]]()
BEGUN = pytest.StashKey[set[str]]()  # node ids of the suite's tests that have begun

pytest.register_assert_rewrite("hhplug.testing.topics", "hhplug.testing.kit")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hhplug", "certify a backend of hhplug")
    group.addoption(NAME, metavar="NAME", help="the backend that hhplug.testing.suite tests")
    group.addoption(
        HORIZON,
        choices=("long", "short"),
        default="long",
        help="short: at most 5,000 steps in all, for interpreters and simulated hardware",
    )
    group.addoption(
        LEVEL,
        type=int,
        metavar="LEVEL",
        help="run only the tests up to this level of the kit (default: all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kit_level(level): the level at which the kit got this test")
    config.addinivalue_line(
        "markers", "long_horizon(what): needs more steps than a short horizon has"
    )
    config.stash[BUDGETS] = {}
    config.stash[OUTCOMES] = {"run": 0}
    config.stash[BEGUN] = set()


def budgets(config: pytest.Config) -> dict[str, Any]:
    """Return this pytest session's error budgets: backend → Budget."""
    return config.stash[BUDGETS]


def _is_suite_test(item: pytest.Item) -> bool:
    return getattr(getattr(item, "cls", None), "hhplug_suite", False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests above the requested level, and those too long for a short horizon.

    The report names the properties that the latter would have shown.
    """
    level, short = config.getoption(LEVEL), config.getoption(HORIZON) == "short"
    left_out = []
    for item in filter(_is_suite_test, items):
        long = item.get_closest_marker("long_horizon")
        if level is not None and _level(item) > level:
            left_out.append(item)
        elif short and long:
            left_out.append(item)
            _note_not_shown(item, long.args[0])
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _note_not_shown(item: Any, what: str) -> None:
    from hhplug.testing.budget import Budget  # needed only if the suite runs

    name = item.cls._name(item.config)
    budget = budgets(item.config).setdefault(name, Budget(name))
    budget.not_shown.append(f"{what} ({item.callspec.params['dtype']})")


def _level(item: pytest.Item) -> int:
    marker = item.get_closest_marker("kit_level")
    return int(marker.args[0]) if marker and marker.args else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test of the suite that is repeated, xfail, or skipped for an unpermitted reason."""
    report = yield
    if not _is_suite_test(item):
        return report
    begun = item.config.stash[BEGUN]
    if report.when == "setup" and item.nodeid in begun:
        report.outcome = "failed"
        report.longrepr = "a test of the suite may not be repeated until it passes"
    begun.add(item.nodeid)
    if report.when == "call":
        item.config.stash[OUTCOMES]["run"] += not report.skipped
    if hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = "a test of the suite may not be marked xfail"
        del report.wasxfail
    elif report.skipped:
        reason = call.excinfo.value.msg if call.excinfo else ""  # type: ignore[union-attr]
        if not str(reason).startswith("capability not declared: "):
            report.outcome = "failed"
            report.longrepr = f"skipped for a reason that is not permitted: {reason}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    ours = any(map(_is_suite_test, session.items)) if hasattr(session, "items") else False
    if ours and exitstatus == 0 and not session.config.stash[OUTCOMES]["run"]:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    # pytest-xdist sends this dict from a worker to the main process.
    workeroutput = getattr(session.config, "workeroutput", {})
    workeroutput["hhplug"] = list(map(asdict, budgets(session.config).values()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the budgets that a worker process of pytest-xdist measured."""
    from hhplug.testing.budget import Budget

    for fields in getattr(node, "workeroutput", {}).get("hhplug", []):
        budget = Budget(**fields)
        budgets(node.config).setdefault(budget.name, Budget(budget.name)).add(budget)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = [b for b in budgets(terminalreporter.config).values() if b.errors or b.speeds]
    if not found:
        return
    from rich.console import Console

    console = Console(width=100)
    for budget in found:
        with console.capture() as text:
            console.print(budget.table())
        terminalreporter.write_line("")
        terminalreporter.write_line(text.get())
