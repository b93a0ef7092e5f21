"""Optional packages: what needs one gets it here, or an error that says how to install it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hhplug.errors import MissingExtra

if TYPE_CHECKING:
    from hhplug.figure import Figure

# The palette of Okabe & Ito (2008), whose colours colour-blind people can tell apart.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")


def require_matplotlib() -> "type[Figure]":
    """The class `Figure`. Raises MissingExtra if matplotlib isn't installed."""
    try:
        from hhplug.figure import Figure
    except ImportError as error:
        raise MissingExtra("plotting needs matplotlib: pip install matplotlib") from error
    return Figure


@contextmanager
def needs_store() -> Iterator[None]:
    """Context manager that raises MissingExtra if an import in it fails."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            "a store needs zarr 3.1.6 or later and xarray: pip install 'zarr>=3.1.6' xarray"
        ) from error
