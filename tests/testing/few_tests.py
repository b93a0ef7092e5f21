"""Fewer tests of the suite, where it is about the command or about pytest, not about a backend."""

import pytest

from hhplug.testing.rules import Rules

KEPT = ("spec", "promises", "populations", "recording", "numerics")  # topics; the others are slow
LEFT_OUT = "test_listing_"  # tests that start processes

_deselect = Rules.deselect


def deselect_most(rules: Rules, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the place of Rules.deselect."""
    items[:] = [
        item
        for item in items
        if item.function.__module__.endswith(KEPT) and not item.name.startswith(LEFT_OUT)
    ]
    _deselect(rules, config, items)


@pytest.fixture
def few_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite has only the tests of KEPT."""
    monkeypatch.setattr(Rules, "deselect", deselect_most)
