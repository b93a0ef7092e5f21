"""The conformance kit: one set of tests that certifies any backend. Never imported by `hhplug`.

Three ways in: `hhplug test-backend NAME`; `pytest --pyargs hhplug.testing.suite
--hhplug-backend=NAME`; and, in a plugin's own tests,

    from hhplug.testing import BackendSuite

    class TestMine(BackendSuite):
        backend = "mine"
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hhplug.testing.suite import BackendSuite

KIT_LEVEL = 1
"""Grows with every test that a backend certified before could fail; `--hhplug-kit-level` stays."""

__all__ = ["KIT_LEVEL", "BackendSuite"]


def __getattr__(name: str) -> Any:
    if name == "BackendSuite":  # pytest loads this package at its start, and seldom needs the suite
        from hhplug.testing.suite import BackendSuite

        return BackendSuite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
