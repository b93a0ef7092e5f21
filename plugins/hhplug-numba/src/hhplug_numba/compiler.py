"""How Numba compiles the kernels: always compiled, and kept in a cache where that is possible."""

import linecache
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

from hhplug import BackendUnavailable

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise BackendUnavailable(
        "jit_disabled",
        "NUMBA_DISABLE_JIT switches off the compiler, without which the kernels cannot run",
        "unset NUMBA_DISABLE_JIT (in .numba_config.yaml: disable_jit)",
    )

# No reference counts (_nrt): passing an array on would cost atomic operations at every step. A
# division by zero gives infinity and takes no branch (error_model).
HOT = {"_nrt": False, "error_model": "numpy", "nogil": True}
INLINE = {"_nrt": False, "error_model": "numpy", "forceinline": True}


def digest_of(*parts: str) -> str:
    """A hash of all that a kernel depends on: these texts and this plugin's own files."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    text = "\0".join([*parts, *(file.read_text("utf-8") for file in files)])
    return sha256(text.encode()).hexdigest()


class OptionalCache(FunctionCache):
    """Numba's cache on disk, whose failures have no effect but that a kernel is compiled again.

    A function's entry depends on its digest, not on its bytecode and its file's age: the functions
    that it calls are generated. Numba adds its own version and the processor.
    """

    def __init__(self, function: Callable[..., Any], name: str, digest: str):
        super().__init__(function)
        self._digest = digest
        python = "{}{}".format(*sys.version_info)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{name}-{digest[:16]}.py{python}",
            source_stamp=digest,
        )

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple(), self._digest

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(Exception):  # a damaged file, or one of another user
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):  # a full disk, for example
            super().save_overload(sig, data)


def named(function: Callable[..., Any], digest: str) -> Callable[..., Any]:
    """The function, called so that no other has its symbol: a cache brings several together."""
    function.__qualname__ = f"{function.__name__}_{digest[:16]}"
    return function


def named_njit(digest: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator `njit(**options)` for a function with a symbol of its own."""
    return lambda function: njit(**options)(named(function, digest))


def cached_njit(name: str, digest: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator `njit(cache=True, **options)`, with the cache above."""

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(**options)(named(function, digest))
        with suppress(Exception):  # no folder can be written: it is compiled in memory
            dispatcher._cache = OptionalCache(function, name, digest)
        return dispatcher

    return compiled


def executed(text: str, name: str, digest: str, words: Mapping[str, Any]) -> dict[str, Any]:
    """The functions of a generated source, which may use `words`, `inline` and `kernel`."""
    path = f"<hhplug: {name} {digest[:16]}>"
    # With its lines here, a traceback shows them.
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    space = {
        **words,
        "__name__": __name__,  # a module that can be imported, since Numba's cache does that
        "inline": named_njit(digest, **INLINE),
        "kernel": named_njit(digest, **HOT),
    }
    exec(compile(text, path, "exec"), space)
    return space
