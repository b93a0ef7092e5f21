"""The conformance kit: one set of tests that certifies any backend. `hhplug` never imports it.

It is run in one of three ways: by `hhplug test-backend NAME`; by `pytest --pyargs
hhplug.testing.suite --hhplug-backend=NAME`; and, in a plugin's own tests,

    from hhplug.testing import BackendSuite

    class TestMine(BackendSuite):
        backend = "mine"
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hhplug.testing.suite import BackendSuite

KIT_LEVEL = 2
"""Level of the newest tests. `--hhplug-kit-level` runs only tests up to an older level.

The level rises with every new test that an already certified backend may fail.
"""

__all__ = ["KIT_LEVEL", "BackendSuite"]


def __getattr__(name: str) -> Any:
    if name == "BackendSuite":  # pytest always imports this package, and seldom needs the suite
        from hhplug.testing.suite import BackendSuite

        return BackendSuite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
