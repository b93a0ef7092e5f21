"""Read and write the arrays of a store by zarr-python.

Each object of an array is replaced as a whole: readers see the old one or the new one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec
from zarr.errors import ContainsArrayError
from zarr.storage import LocalStore

from hhplug.stores.faults import ANEW, damage_in_words

BYTES_AT_ONCE = 2**25  # of a long array that is written or compared piece by piece


def create(
    store: LocalStore,
    path: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    dims: Sequence[str],
    *,
    chunks: tuple[int, ...] | None = None,
    shards: tuple[int, ...] | None = None,
    attributes: Mapping[str, Any] | None = None,
    compressed: bool = True,
    overwrite: bool = False,
    fill: Any = 0,
) -> zarr.Array[Any]:
    """A new array. chunks: shape of a chunk, by default all of the array. dims: names of the axes.

    With shards, an array of samples: each shard is one object, and its chunks are compressed with
    the time as the faster axis, since V changes little from sample to sample.
    """
    dtype = np.dtype(dtype)
    blosc = BloscCodec(typesize=dtype.itemsize, cname="zstd", clevel=1, shuffle="shuffle")
    return zarr.create_array(
        store,
        name=path,
        shape=shape,
        dtype=dtype,
        chunks=tuple(max(1, size) for size in chunks or shape),
        shards=shards,
        filters=[TransposeCodec(order=(1, 0))] if shards else None,
        # Without a checksum, the rest of a file that was cut is read as arbitrary numbers.
        compressors=[*([blosc] if compressed else []), Crc32cCodec()],
        fill_value=fill,
        dimension_names=dims,
        attributes=dict(attributes or {}),
        overwrite=overwrite,
    )


def put(
    store: LocalStore,
    path: str,
    values: NDArray[Any],
    dims: Sequence[str],
    attributes: Mapping[str, Any] | None = None,
    compressed: bool = True,
) -> None:
    """Write an array, which may exist already with the same shape.

    An existing one isn't deleted first, because another owner of the shard may need it.
    """
    rows = max(1, BYTES_AT_ONCE // max(1, values.nbytes // max(1, len(values))))
    chunks = (min(rows, len(values)), *values.shape[1:])
    given: Any = (values.shape, values.dtype, dims)
    others: Any = {"chunks": chunks, "attributes": attributes, "compressed": compressed}
    try:
        array = create(store, path, *given, **others)
    except ContainsArrayError:
        array = read(store, path)
        if (array.shape, array.dtype) != (values.shape, values.dtype):  # of another run, not begun
            array = create(store, path, *given, **others, overwrite=True)
    for piece in pieces(values):
        array[piece] = values[piece]


def read(store: LocalStore, path: str) -> zarr.Array[Any]:
    """An array of the store, whose values `values_of` reads.

    Raises ArrayNotFoundError, and InvalidInput if its description is damaged.
    """
    with damage_in_words(store.root / path):
        return zarr.open_array(store, path=path, mode="r+")


def values_of(array: zarr.Array[Any], *selection: Any, remedy: str = ANEW) -> NDArray[Any]:
    """The values of an array, by default all.

    selection: an integer, a slice or indices for each axis. remedy: for the InvalidInput that is
    raised if an object is damaged.
    """
    with damage_in_words(f"{array.store}/{array.path}".removeprefix("file://"), remedy):
        return np.asarray(array.oindex[selection or ...])


def pieces(values: NDArray[Any] | zarr.Array[Any]) -> list[slice]:
    """Slices of the first axis, each of BYTES_AT_ONCE at most, or of one row."""
    count = values.shape[0]
    size = np.dtype(values.dtype).itemsize * int(np.prod(values.shape[1:]))
    rows = max(1, BYTES_AT_ONCE // max(1, size))
    return [slice(begin, min(begin + rows, count)) for begin in range(0, count, rows)]
