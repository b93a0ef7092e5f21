"""The samples of a variable in a store, which are read when they are used."""

from typing import Any

import numpy as np
import zarr
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike, NDArray

from hhplug.stores.arrays import values_of


class StoredSamples(NDArrayOperatorsMixin):
    """An array (n_samples, n_recorded) on disk. Indexing it reads what is asked for.

    NumPy's functions, operators and methods, and `np.asarray`, read all of it.
    """

    ndim = 2

    def __init__(self, array: zarr.Array[Any], n_samples: int, columns: NDArray[np.int64]):
        """columns: the column of the stored array for each recorded neuron."""
        self._array = array
        self._columns = columns
        self._in_order = np.array_equal(columns, np.arange(len(columns)))
        self.shape = (n_samples, len(columns))
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<StoredSamples {self.shape} {self.dtype}, read when they are used>"

    def __getattr__(self, name: str) -> Any:
        """What arrays have besides, such as `mean`, of all samples, which are read."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(np.asarray(self), name)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the samples are on disk, so that reading them copies them")
        return self[:, :].astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        read = [np.asarray(x) if isinstance(x, StoredSamples) else x for x in inputs]
        return getattr(ufunc, method)(*read, **options)

    def __getitem__(self, key: Any) -> Any:
        keys: tuple[Any, ...] = key if isinstance(key, tuple) else (key,)
        if len(keys) > 2 or any(k is None or k is Ellipsis for k in keys):
            return np.asarray(self)[key]
        chosen: list[Any] = [*keys, slice(None), slice(None)]
        rows, columns = chosen[:2]
        if np.ndim(rows) > 1 or (np.ndim(rows) and np.ndim(columns)):
            return np.asarray(self)[key]  # element by element, as NumPy indexes
        return self.outer(rows, columns)

    def outer(self, rows: Any, columns: Any) -> Any:
        """The values in some rows and some columns: each an integer, a slice or an array."""
        rows = _selection(np.arange(self.shape[0])[rows], rows, self.shape[0])
        if self._in_order:
            columns = _selection(np.arange(self.shape[1])[columns], columns, self.shape[1])
        else:
            columns = self._columns[columns]
        return values_of(self._array, rows, columns)[()]


def _selection(index: Any, key: Any, size: int) -> Any:
    """The index, or a slice that means the same and that Zarr can read."""
    if isinstance(key, slice) and (key.step or 1) > 0:
        return slice(*key.indices(size))
    return index
