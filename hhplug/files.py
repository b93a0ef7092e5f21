"""Replace a file only when its new content is complete on the disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Context manager: a new file, which replaces `path` if the context ends without an exception.

    The new file is in the folder of `path`, or of the file that a symbolic link points to. Until
    it is complete, and after an exception, the old file is unchanged. A path that isn't a regular
    file, for example a FIFO, is written directly. Raises OSError where `open(path, "wb")` does,
    and if the folder isn't writable.
    """
    path = Path(path)
    if path.exists() and (not path.is_file() or _is_descriptor(path)):
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    partial = target.with_name(f".hhplug-{os.urandom(8).hex()}.part")
    try:
        mode = _writable_mode(target)
        file = partial.open("xb")
    except OSError as error:
        error.filename = str(path)  # the name that the user knows
        raise
    try:
        with file:
            if mode is not None:
                partial.chmod(mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _writable_mode(target: Path) -> int | None:
    """The permissions of an existing file, or None if there is no file.

    Raises PermissionError for a read-only file, although replacing it would succeed.
    """
    if not target.exists():
        return None
    target.open("r+b").close()
    return S_IMODE(target.stat().st_mode)


def _is_descriptor(path: Path) -> bool:
    """Whether an existing path names a file that a process has open, as /dev/stdout does.

    Such a file must be written to and not replaced.
    """
    while True:
        folder = path.parent.resolve()
        if folder.is_relative_to("/proc") or folder.is_relative_to("/dev/fd"):
            return True
        if not path.is_symlink():
            return False
        path = folder / path.readlink()
