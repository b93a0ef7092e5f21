"""Read and write the arrays of a store by zarr-python.

Each object of an array is a file that is replaced as a whole: readers see the old one or the new
one. Whatever is written has its objects, even if all values are the fill value, since Zarr reads
the fill value where an object was lost.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec
from zarr.errors import ArrayNotFoundError, ContainsArrayError
from zarr.storage import LocalStore

from hhplug.errors import InvalidInput
from hhplug.stores.faults import ANEW, DAMAGE, damage_in_words

BYTES_AT_ONCE = 2**25  # of a long array that is written or compared piece by piece
WHOLE: Any = {"write_empty_chunks": True}  # Zarr's word for what this module's docstring says


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
        config=WHOLE,
    )


def put(
    store: LocalStore,
    path: str,
    values: NDArray[Any],
    dims: Sequence[str],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write an array, which may exist already with the same shape.

    An existing one isn't deleted first, because another owner of the shard may need it.
    """
    chunks = (min(_rows_at_once(values), len(values)), *values.shape[1:])
    given: Any = (values.shape, values.dtype, dims)
    others: Any = {"chunks": chunks, "attributes": attributes}
    try:
        array = create(store, path, *given, **others)
    except ContainsArrayError:
        array = read(store, path)
        if (array.shape, array.dtype) != (values.shape, values.dtype):  # of another run, not begun
            array = create(store, path, *given, **others, overwrite=True)
    for piece in pieces(values):
        write(array, values[piece], piece)


def find(store: LocalStore, path: str) -> zarr.Array[Any] | None:
    """An array of the store, or None. Raises InvalidInput if its description is damaged."""
    with damage_in_words(store.root / path):
        try:
            return zarr.open_array(store, path=path, mode="r+").with_config(WHOLE)
        except ArrayNotFoundError:
            return None


def read(store: LocalStore, path: str) -> zarr.Array[Any]:
    """An array of the store, whose values `values_of` reads.

    Raises InvalidInput if it isn't there, or its description is damaged.
    """
    array = find(store, path)
    if array is None:
        raise InvalidInput(f"{store.root / path} is missing; {ANEW}")
    return array


def write(array: zarr.Array[Any], values: Any, *selection: Any) -> None:
    """Write values that cover whole objects. selection: an integer or a slice for each axis.

    Zarr reads an old object before it writes some of its chunks. One that is damaged is deleted.
    """
    try:
        array[selection] = values
    except DAMAGE:
        for file in files(array, *selection):
            file.unlink(missing_ok=True)
        array[selection] = values


def values_of(
    array: zarr.Array[Any], *selection: Any, remedy: str = ANEW, complete: bool = True
) -> NDArray[Any]:
    """The values of an array, by default all.

    selection: an integer, a slice of positive step, or indices from 0 on, for each axis.
    complete: whether all values were written. remedy: for the InvalidInput that is raised if an
    object is damaged, or is missing from what was written.
    """
    path = _folder(array)
    if complete:
        for file in files(array, *selection):
            if not file.exists():
                raise InvalidInput(f"{path} is damaged: {file} is missing; {remedy}")
    with damage_in_words(path, remedy):
        return np.asarray(array.oindex[selection or ...])


def files(array: zarr.Array[Any], *selection: Any) -> list[Path]:
    """The files of the objects in which a selection's values are."""
    folder, keys = _folder(array) / "c", [*selection, *[slice(None)] * array.ndim]
    objects = [
        _blocks(key, length, size)
        for key, length, size in zip(keys, array.shape, array.shards or array.chunks, strict=False)
    ]
    return [folder.joinpath(*map(str, place)) for place in product(*objects)]


def _blocks(key: Any, length: int, size: int) -> Sequence[int]:
    """The blocks of `size` indices that a selection along an axis touches."""
    if not isinstance(key, slice):
        return np.unique(np.asarray(key) // size).tolist()
    chosen = range(length)[key]
    if chosen.step >= size:
        return [index // size for index in chosen]
    return range(chosen[0] // size, chosen[-1] // size + 1) if chosen else ()


def _folder(array: zarr.Array[Any]) -> Path:
    store: Any = array.store
    return store.root / array.path


def pieces(values: NDArray[Any] | zarr.Array[Any]) -> list[slice]:
    """Slices of the first axis, each of BYTES_AT_ONCE at most, or of one row."""
    count, rows = values.shape[0], _rows_at_once(values)
    return [slice(begin, min(begin + rows, count)) for begin in range(0, count, rows)]


def _rows_at_once(values: NDArray[Any] | zarr.Array[Any]) -> int:
    """How many rows of an array BYTES_AT_ONCE hold, at least one."""
    size = np.dtype(values.dtype).itemsize * int(np.prod(values.shape[1:]))
    return max(1, BYTES_AT_ONCE // max(1, size))
