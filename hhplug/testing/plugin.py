"""The kit's side of pytest: options, strictness, the error budget. Pytest always loads it."""

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest

NAME, HORIZON, LEVEL = "--hhplug-backend", "--hhplug-horizon", "--hhplug-kit-level"

BUDGETS = pytest.StashKey[dict[str, Any]]()
OUTCOMES = pytest.StashKey[dict[str, int]]()
BEGUN = pytest.StashKey[set[str]]()  # tests of the suite, by id

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
        help="leave out tests that came to the kit after this level (default: the newest)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kit_level(level): the level of the kit that it came with")
    config.stash[BUDGETS] = {}
    config.stash[OUTCOMES] = {"run": 0}
    config.stash[BEGUN] = set()


def budgets(config: pytest.Config) -> dict[str, Any]:
    """Backend → Budget, of this session."""
    return config.stash[BUDGETS]


def _is_ours(item: pytest.Item) -> bool:
    return getattr(getattr(item, "cls", None), "hhplug_suite", False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    level = config.getoption(LEVEL)
    if level is None:
        return
    newer = [item for item in items if _is_ours(item) and _level(item) > level]
    if newer:
        config.hook.pytest_deselected(items=newer)
        items[:] = [item for item in items if item not in newer]


def _level(item: pytest.Item) -> int:
    marker = item.get_closest_marker("kit_level")
    return int(marker.args[0]) if marker and marker.args else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of the suite may be skipped for one reason, and is never expected to fail."""
    report = yield
    if not _is_ours(item):
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
            report.longrepr = f"skipped without leave: {reason}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    ours = any(map(_is_ours, session.items)) if hasattr(session, "items") else False
    if ours and exitstatus == 0 and not session.config.stash[OUTCOMES]["run"]:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    workeroutput = getattr(session.config, "workeroutput", {})  # sent on by pytest-xdist
    workeroutput["hhplug"] = list(map(asdict, budgets(session.config).values()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of pytest-xdist has measured."""
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
