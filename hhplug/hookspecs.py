"""The one hook."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hhplug.backend import BackendSpec

hookspec = pluggy.HookspecMarker("hhplug")
hookimpl = pluggy.HookimplMarker("hhplug")


@hookspec
def hhplug_backends() -> "Iterable[BackendSpec]":  # type: ignore[empty-body]
    """The backends of this plugin. Called for every listing: import nothing heavy."""
