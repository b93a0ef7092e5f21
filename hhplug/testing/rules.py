"""The suite's rules in one pytest session: which tests run, which skips hold, the error budgets."""

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest
from rich.console import Console

from hhplug.plugins import discovery
from hhplug.problem import DTYPES
from hhplug.testing.budget import Budget

NOT_DECLARED = "capability not declared: "  # start of the reason of every permitted skip


class Rules:
    """A plugin of pytest, registered where a test of the suite is collected.

    level: tests that came to the kit after this level are left out.
    short: whether only what a short horizon has time for is tested.
    """

    def __init__(self, level: int | None, short: bool) -> None:
        self._level, self._short = level, short
        self.budgets: dict[str, Budget] = {}  # by the names of backends
        self._run = 0  # tests of the suite that ran and weren't skipped
        self._collected = False  # whether there are any, here or in another process
        self._begun: set[str] = set()  # node ids of the suite's tests that have begun

    def budget(self, name: str) -> Budget:
        """Return the error budget of a backend."""
        return self.budgets.setdefault(name, Budget(name))

    def add(self, collected: bool, run: int, budgets: list[dict[str, Any]]) -> None:
        """Add what another process did.

        collected: whether it had tests of the suite. run: how many it ran. budgets: dicts of their
        fields.
        """
        self._collected |= collected
        self._run += run
        for fields in budgets:
            budget = Budget(**fields)
            self.budget(budget.name).add(budget)

    def deselect(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect tests after the level asked for, and those a short horizon has no time for.

        The report names what the latter would have shown. Deselected are also tests that a
        capability is refused where the backend declares it.
        """
        left_out = []
        for item in filter(_is_suite_test, items):
            long = item.get_closest_marker("long_horizon")
            late = self._level is not None and _level(item) > self._level
            if late or _is_of_what_is_declared(item):
                left_out.append(item)
            elif self._short and long:
                left_out.append(item)
                self._note_not_shown(item, long.args[0])
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]

    def _note_not_shown(self, item: Any, what: str) -> None:
        budget = self.budget(item.cls._name(item.config))
        described = f"{what} ({item.callspec.params['dtype']})"
        if described not in budget.not_shown:  # another test may be of the same property
            budget.not_shown.append(described)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Fail a suite test that is repeated, xfail, or skipped for an unpermitted reason."""
        report = yield
        if not _is_suite_test(item):
            return report
        if report.when == "setup" and item.nodeid in self._begun:
            report.outcome = "failed"
            report.longrepr = "a test of the suite may not be repeated until it passes"
        self._begun.add(item.nodeid)
        if report.when == "call":
            self._run += not report.skipped
        if hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = "a test of the suite may not be marked xfail"
            del report.wasxfail
        elif report.skipped:
            reason = call.excinfo.value.msg if call.excinfo else ""  # type: ignore[union-attr]
            if not str(reason).startswith(NOT_DECLARED):
                report.outcome = "failed"
                report.longrepr = f"skipped for a reason that is not permitted: {reason}"
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._collected |= any(map(_is_suite_test, getattr(session, "items", ())))
        if self._collected and exitstatus == 0 and not self._run:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        # pytest-xdist sends this dict from a worker to the main process.
        workeroutput = getattr(session.config, "workeroutput", {})
        budgets = list(map(asdict, self.budgets.values()))
        own = {"collected": self._collected, "run": self._run, "budgets": budgets}
        workeroutput["hhplug"] = own

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        console = Console(width=100)
        for budget in self.budgets.values():
            if budget.errors or budget.speeds:
                with console.capture() as text:
                    console.print(budget.table())
                terminalreporter.write_line("")
                terminalreporter.write_line(text.get())


def _is_suite_test(item: pytest.Item) -> bool:
    return getattr(getattr(item, "cls", None), "hhplug_suite", False)


def _is_of_what_is_declared(item: Any) -> bool:
    """Whether a test shows that a capability is refused that the backend declares."""
    marker = item.get_closest_marker("undeclared")
    spec = discovery.entry(item.cls._name(item.config)).spec if marker else None
    if not spec:
        return False
    declared = getattr(spec.capabilities, marker.args[0])
    return set(declared) == set(DTYPES) if marker.args[0] == "dtypes" else bool(declared)


def _level(item: pytest.Item) -> int:
    marker = item.get_closest_marker("kit_level")
    return int(marker.args[0]) if marker and marker.args else 1
