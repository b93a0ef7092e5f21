"""Runs the suite on backends that a test defines."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from plugin_factory import Plugins

from hhplug.testing import kit, plugin, suite
from hhplug.testing.budget import Budget

# Warnings are not errors, just as when a backend's author runs the suite.
ALONE = ("-c", os.devnull, "--rootdir=.", "--noconftest", "-p", "no:cacheprovider", "-W", "default")
BRIEF = "--tb=line"  # no excerpts of source, which take longer than most tests

HOOK = """
{before}

@hookimpl
def hhplug_backends():
    capabilities = Capabilities(dtypes=("float64",), **{capabilities!r})
    return [BackendSpec(**{fields!r}, capabilities=capabilities)]
"""


@dataclass
class Outcome:
    """The outcome of a run of pytest in this process, as its plugins get it."""

    exit_code: int = -1
    passed: set[str] = field(default_factory=set)  # tests, without their parameters
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)  # each failed test's first message
    budgets: dict[str, Budget] = field(default_factory=dict)
    output: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.rpartition("::")[2].partition("[")[0]
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.failed.setdefault(test, crash.message if crash else str(report.longrepr))
        elif report.skipped:
            self.skipped.add(test)
        elif report.passed and report.when == "call":
            self.passed.add(test)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.budgets = plugin.rules(session.config).budgets


class Bench:
    """Offers backends and runs the suite on them."""

    def __init__(self, plugins: Plugins, pytester: pytest.Pytester):
        self._plugins, self._pytester = plugins, pytester

    def offer(
        self, name: str, factory: str, before: str = "", capabilities: Any = None, **spec: Any
    ) -> None:
        """Install a plugin with one backend, in float64; its import runs `before`."""
        fields = {"name": name, "factory": factory, "api": "2.0", "summary": "a toy"} | spec
        hook = HOOK.format(before=before, capabilities=capabilities or {}, fields=fields)
        self._plugins.install(f"the_plugin_of_{name}", hook)

    def run(self, *arguments: str) -> Outcome:
        """Run pytest in this process, in the folder that is pytester's."""
        outcome = Outcome()
        result = self._pytester.runpytest_inprocess(*arguments, plugins=[outcome])
        outcome.exit_code = int(result.ret)
        outcome.output = f"{result.stdout}\n{result.stderr}"
        outcome.passed -= outcome.failed.keys()  # a test passes if it does with all parameters
        return outcome

    def suite(self, backend: str, *tests: str, horizon: str = "short") -> Outcome:
        """Run all or some tests of the suite on a backend."""
        return self.run(*_suite_arguments(backend, tests, horizon))

    def suite_in_a_process(
        self, backend: str, *tests: str, horizon: str = "short"
    ) -> pytest.RunResult:
        """Run the suite in another process."""
        return self._pytester.runpytest_subprocess(*_suite_arguments(backend, tests, horizon))

    def file(self, source: str, *arguments: str) -> Outcome:
        """Run a test file."""
        self._pytester.makepyfile(test_it=source)
        return self.run("test_it.py", "-p", "no:cacheprovider", *arguments)


def _suite_arguments(backend: str, tests: tuple[str, ...], horizon: str) -> list[str]:
    module = suite.__name__
    chosen = [f"{module}::TestBackend::{test}" for test in tests] or [module]
    options = [f"{plugin.NAME}={backend}", f"{plugin.HORIZON}={horizon}", BRIEF]
    return ["--pyargs", *chosen, *options, *ALONE]


@pytest.fixture
def bench(
    plugins: Plugins, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """A Bench for one test."""
    paths = [str(plugins.folder), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    kit.chosen.cache_clear()
    yield Bench(plugins, pytester)
    kit.chosen.cache_clear()
