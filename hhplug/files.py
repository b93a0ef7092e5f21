"""Files that hhplug writes over: they are replaced when the new content is on the disk."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends without an exception.

    It is written beside `path`, or beside the file that a symbolic link points to. Until it
    replaces that file, and after an exception, the old file stands as it was. What is no regular
    file, a FIFO for example, is written directly. Raises OSError where `open(path, "wb")` does,
    and where the folder can't be written to.
    """
    path = Path(path)
    if path.exists() and (not path.is_file() or _is_descriptor(path)):
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    beside = target.with_name(f".hhplug-{secrets.token_hex(8)}.part")
    try:
        mode = _writable_mode(target)
        file = beside.open("xb")
    except OSError as error:
        error.filename = str(path)  # the name that the user knows
        raise
    try:
        with file:
            if mode is not None:
                beside.chmod(mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _writable_mode(target: Path) -> int | None:
    """The permissions of an existing file; None where there is none.

    Raises PermissionError for a file that must not be written: replacing would not ask.
    """
    if not target.exists():
        return None
    target.open("r+b").close()
    return S_IMODE(target.stat().st_mode)


def _is_descriptor(path: Path) -> bool:
    """Whether an existing path names a file that a process has open, as /dev/stdout does.

    Such a file must stay the one that is open.
    """
    while True:
        folder = path.parent.resolve()
        if folder.is_relative_to("/proc") or folder.is_relative_to("/dev/fd"):
            return True
        if not path.is_symlink():
            return False
        path = folder / path.readlink()
