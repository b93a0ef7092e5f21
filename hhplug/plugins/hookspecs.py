"""The hook that plugins implement."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hhplug.backend import BackendSpec

hookspec = pluggy.HookspecMarker("hhplug")
hookimpl = pluggy.HookimplMarker("hhplug")


@hookspec
def hhplug_backends() -> "Iterable[BackendSpec]":  # type: ignore[empty-body]
    """Return the specs of this plugin's backends. Every listing calls it: import nothing heavy."""
