"""How Numba compiles the kernels: always compiled, and kept in a cache where that is possible."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
from numba import njit
from numba.core.caching import FunctionCache

from hhplug import BackendUnavailable

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise BackendUnavailable(
        "jit_disabled",
        "NUMBA_DISABLE_JIT switches off the compiler, without which the kernels cannot run",
        "unset NUMBA_DISABLE_JIT (in .numba_config.yaml: disable_jit)",
    )


class OptionalCache(FunctionCache):
    """Numba's cache on disk, whose failures have no effect but that a kernel is compiled again."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(Exception):  # a damaged file, or one of another user
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):  # a full disk, for example
            super().save_overload(sig, data)


def cached_njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator `njit(cache=True, **options)`, with the cache above."""

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(**options)(function)
        with suppress(Exception):  # no folder can be written: it is compiled in memory
            dispatcher._cache = OptionalCache(function)
        return dispatcher

    return compiled
