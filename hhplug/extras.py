"""Optional packages: what needs one gets it here, or an error that says how to install it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from hhplug.errors import MissingExtra

if TYPE_CHECKING:
    from hhplug.figure import Figure

# The palette of Okabe & Ito (2008), whose colours colour-blind people can tell apart.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")


def require_matplotlib() -> "type[Figure]":
    """The class `Figure`. Raises MissingExtra if matplotlib isn't installed."""
    with _needing("plotting needs matplotlib: pip install matplotlib"):
        from hhplug.figure import Figure
    return Figure


def needs_xarray() -> AbstractContextManager[None]:
    """Context manager around the import of what makes Datasets. See `_needing`."""
    return _needing("to_xarray needs xarray: pip install xarray")


def needs_neo() -> AbstractContextManager[None]:
    """Context manager around the import of what makes Blocks of Neo. See `_needing`."""
    return _needing("to_neo needs Neo: pip install neo")


def needs_store() -> AbstractContextManager[None]:
    """Context manager around the import of what reads and writes stores. See `_needing`."""
    return _needing(
        "a store needs zarr 3.1.6 or later and xarray: pip install 'zarr>=3.1.6' xarray"
    )


def needs_dask() -> AbstractContextManager[None]:
    """Context manager around the import of what uses Dask. See `_needing`."""
    return _needing("hhplug.distributed.run needs Dask: pip install distributed")


@contextmanager
def _needing(message: str) -> Iterator[None]:
    """Context manager that raises MissingExtra with this message if an import in it fails."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(message) from error
