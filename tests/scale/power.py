"""Writes to a store that fail: a process that dies at one of them, and a disk that is full."""

import errno
from contextlib import contextmanager
from unittest.mock import patch

from zarr.storage import LocalStore


class Killed(Exception):
    """Stands for the end of the process: from the first on, no write reaches the disk."""


@contextmanager
def counted_writes(dies_at=None, torn="aside", error=None):
    """Context manager: a list of the keys written so far.

    dies_at: number of the write that fails, as all later ones do.
    torn: where half of that write's content is left: "aside", in a temporary file as a store leaves
        it that replaces objects as a whole, or "in place", the fault that no store may have.
    error: what the write raises, by default Killed.
    """
    write, written = LocalStore._set, []

    async def writing(store, key, value, exclusive=False):
        if exclusive and (store.root / key).exists():
            return None  # nothing would be written
        if dies_at is not None and len(written) >= dies_at:
            if len(written) == dies_at:
                written.append(key)
                path = store.root / key
                path.parent.mkdir(parents=True, exist_ok=True)
                if torn == "aside":
                    path = path.with_suffix(".torn.partial")
                path.write_bytes(value.to_bytes()[: len(value) // 2])
            raise error or Killed(key)
        written.append(key)
        return await write(store, key, value, exclusive)

    with patch.object(LocalStore, "_set", writing):
        yield written


def full_disk():
    """The error of a write for which there is no room."""
    return OSError(errno.ENOSPC, "No space left on device")
