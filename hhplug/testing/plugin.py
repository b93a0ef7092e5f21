"""The part of the kit that pytest loads in every project: its options, and the way to its rules.

It uses only what pytest 6.2 has, and imports the rest of the kit only where a test of the suite is
collected.
"""

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hhplug.testing.rules import Rules

NAME, HORIZON, LEVEL = "--hhplug-backend", "--hhplug-horizon", "--hhplug-kit-level"
RULES = "hhplug-rules"  # name of the plugin that holds the suite's rules

pytest.register_assert_rewrite("hhplug.testing.topics", "hhplug.testing.kit")


def require_pytest() -> None:
    """Raise MissingExtra where the installed pytest is older than the suite needs."""
    version: Any = getattr(pytest, "version_tuple", (6,))
    if version < (8,):
        from hhplug.errors import MissingExtra

        raise MissingExtra(
            f"the suite needs pytest 8 or later, {pytest.__version__} is installed: "
            "pip install --upgrade 'pytest>=8'"
        )


def pytest_addoption(parser: Any) -> None:
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


def pytest_configure(config: Any) -> None:
    config.addinivalue_line("markers", "kit_level(level): the level of the kit that it came with")
    config.addinivalue_line(
        "markers", "long_horizon(what): needs more steps than a short horizon has"
    )
    config.addinivalue_line("markers", "one_precision: shows the same at every precision")
    config.addinivalue_line("markers", "precision(dtype): shows something at this precision alone")
    config.addinivalue_line(
        "markers", "undeclared(capability): of backends that don't declare the capability, or all"
    )


def rules(config: Any) -> "Rules":
    """Return the suite's rules in this pytest session; the first call puts them in force."""
    found = config.pluginmanager.get_plugin(RULES)
    if found is None:
        from hhplug.testing.rules import Rules

        found = Rules(config.getoption(LEVEL), config.getoption(HORIZON) == "short")
        config.pluginmanager.register(found, RULES)
    return found


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Deselect tests of the suite that the options leave out."""
    if "hhplug.testing.suite" in sys.modules:
        rules(config).deselect(config, items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker process of pytest-xdist has run and measured."""
    output = getattr(node, "workeroutput", {})
    if "hhplug" in output:
        rules(node.config).add(**output["hhplug"])
