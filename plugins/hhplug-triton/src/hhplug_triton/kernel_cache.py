"""Where Triton keeps compiled kernels: in its own folder, or where that can't be written, for this
process alone."""

import atexit
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from triton import knobs


@cache
def make_writable() -> None:
    """Let Triton use a temporary folder if its own can't be written."""
    with suppress(OSError):
        folder = Path(knobs.cache.dir)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return
    temporary = TemporaryDirectory(prefix="hhplug-triton-")
    atexit.register(temporary.cleanup)
    # An assignment to knobs.cache.dir would change the environment, too.
    vars(knobs.cache)["dir"] = temporary.name
