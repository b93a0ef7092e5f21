"""Put back functions that a plugin replaces while it is loaded: Python's, NumPy's and hhplug's."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# Of other libraries, whose functions programs replace.
MODULES = (
    "builtins", "io", "json", "locale", "logging", "math", "numpy", "os", "signal", "subprocess",
    "sys", "threading", "time", "warnings",
)  # fmt: skip


@contextmanager
def kept_functions() -> Iterator[Callable[[], None]]:
    """Keep the functions and classes of modules that are loaded, and os.environ.

    The modules are those of MODULES and hhplug's, whose classes keep their methods too. What is
    new in them stays. Yields a function that puts them back at once.
    """
    modules = [
        module
        for name, module in sys.modules.items()
        if _is_kept(name) and isinstance(module, ModuleType)  # None if it may not be imported
    ]
    functions = [(vars(module), _callables(vars(module))) for module in modules]
    classes = {
        kind: dict(vars(kind))
        for _, names in functions
        for kind in names.values()
        if isinstance(kind, type) and kind.__module__.startswith("hhplug")
    }
    environment = os.environ

    def put_back() -> None:
        for names, values in functions:
            names.update(values)  # first and without a function, since each may be the plugin's
        os.environ = environment  # noqa: B003 (it is the right one)
        for kind, values in classes.items():
            for name, value in values.items():
                if vars(kind).get(name) is not value:
                    setattr(kind, name, value)

    try:
        yield put_back
    finally:
        put_back()


def _is_kept(name: str) -> bool:
    return name in MODULES or name == "hhplug" or name.startswith("hhplug.")


def _callables(names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if callable(value)}
