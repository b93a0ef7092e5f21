"""Say in words what is wrong with the files of a store."""

from collections.abc import Iterator
from contextlib import contextmanager

from hhplug.errors import HHPlugError, InvalidInput

ANEW = "run it anew in another folder"
DAMAGE = ValueError, TypeError, KeyError, RuntimeError
"""What Zarr raises of a file that isn't as it was written."""


@contextmanager
def damage_in_words(path: object, remedy: str = ANEW) -> Iterator[None]:
    """Context manager: what Zarr raises of a damaged file becomes InvalidInput.

    path: of the array that is read. remedy: what a user can do about it.
    """
    try:
        yield
    except HHPlugError:
        raise
    except DAMAGE as error:
        raise InvalidInput(f"{path} is damaged: {error}; {remedy}") from error


@contextmanager
def loss_in_words(path: object, kept: str) -> Iterator[None]:
    """Context manager: an OSError of a write says what became of the store.

    path: of the store. kept: what it holds nevertheless.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OSError(error.errno, f"{reason}; {path} {kept}") from error
