"""A store: the folder that holds the plan of a run, and what is computed of it."""

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from hhplug._version import __version__
from hhplug.errors import InvalidInput
from hhplug.problem import Problem
from hhplug.results import packing
from hhplug.results.dataset import INVALID_NAME, feature_attributes, state_attributes
from hhplug.stores.arrays import BYTES_AT_ONCE, create, read, values_of, write
from hhplug.stores.faults import loss_in_words
from hhplug.stores.grid import MOST_IN_SHARD, Grid, grid_of

FORMAT = "1.0"  # a reader takes its own major number and any minor one
PLAN = "hhplug"  # the root attribute with the format, the grid and the problem
FEATURES_GROUP = "features"  # holds an array of each feature
NOT_COMPUTED = -1  # fill value of the arrays of integers


class RunStore:
    """A store on a local or shared file system. It may be pickled.

    path: its folder. grid: its cells. problem: the first shard's problem as JSON, with references
    to arrays, which every shard has for itself. The neurons' number isn't in it.

    Raises InvalidInput unless the folder is a store that this hhplug reads.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).absolute()  # results that read it outlive a change of folder
        if not self.path.exists():
            raise InvalidInput(f"there is no store {path}")
        self.zarr = LocalStore(self.path)
        self._opened: dict[str, zarr.Array[Any]] = {}
        try:
            attributes = zarr.open_group(self.zarr, mode="r", zarr_format=3).attrs
            plan: Any = attributes[PLAN]
            version = plan["format"]
            if version.partition(".")[0] != FORMAT.partition(".")[0]:
                raise InvalidInput(
                    f"{path} has format {version}, and this hhplug reads {FORMAT}; it says of "
                    f"itself: {attributes['source']}"
                )
            self.grid = Grid(**plan["grid"] | {"chunk": tuple(plan["grid"]["chunk"])})
            self.problem: dict[str, Any] = plan["problem"]
        except InvalidInput:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            saved = "; load_result reads what Result.save wrote" if self.path.is_file() else ""
            raise InvalidInput(f"{path} is not a store of hhplug, or damaged{saved}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)

    @property
    def record(self) -> tuple[str, ...]:
        """The variables that the store has an array of."""
        return tuple(self.problem["record"])

    def array(self, name: str) -> zarr.Array[Any]:
        """An array of all shards, which is opened once."""
        if name not in self._opened:
            self._opened[name] = read(self.zarr, name)
        return self._opened[name]

    def segments_done(self, *shard: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The segments that are committed of each shard, or of one, at least: (n_shards,)."""
        remedy = f"delete the files in {self.path}/progress/c, which the same call writes again"
        return values_of(self.array("progress"), *shard, remedy=remedy, complete=False)


def describe(problem: Problem) -> tuple[dict[str, Any], packing.Arrays]:
    """What defines a run: JSON, which is the same for all shards, and the arrays of this shard."""
    arrays: packing.Arrays = {}
    described = packing.pack(problem, arrays)
    del described["batch_size"]
    return json.loads(json.dumps(described)), arrays


def lay_out(path: str | Path, problem: Problem, n_neurons: int, shard: int) -> RunStore:
    """Make the store of a population, whose first shard is the problem, with nothing computed.

    It appears under its name when it is complete. If another process makes the same store
    meanwhile, that one is returned. Raises InvalidInput if the shard is too large, and OSError.
    """
    if shard > MOST_IN_SHARD:
        raise InvalidInput(f"a shard must be at most {MOST_IN_SHARD:,} neurons, got {shard:,}")
    path = Path(path)
    if not path.parent.is_dir():
        raise InvalidInput(f"no folder {path.parent} to write {path.name} into")
    grid = grid_of(problem, n_neurons, shard)
    with loss_in_words(path, "isn't made"):
        appears(path, lambda partial: _write_plan(partial, problem, grid))
    return RunStore(path)


def appears(path: Path, fill: Callable[[LocalStore], object]) -> bool:
    """Make a folder of a store, which appears under its name when it is complete.

    fill: writes its content. Returns whether no other process made it meanwhile. Raises OSError.
    """
    partial = path.with_name(f".{path.name}-{secrets.token_hex(8)}.part")
    try:
        fill(LocalStore(partial))
        partial.rename(path)
    except OSError:
        if not path.exists():
            raise
        return False
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _write_plan(store: LocalStore, problem: Problem, grid: Grid) -> None:
    described, _ = describe(problem)
    now = datetime.now(UTC)
    attributes: Mapping[str, Any] = {
        "Conventions": "CF-1.11",
        "title": f"{grid.n_neurons:,} neurons of {problem.membrane.name}, {problem.T:g} ms",
        "source": f"hhplug {__version__}",
        "history": f"{now:%Y-%m-%dT%H:%M:%SZ} laid out by hhplug {__version__}",
        PLAN: {"format": FORMAT, "grid": asdict(grid), "problem": described},
    }
    zarr.create_group(store, zarr_format=3, attributes=dict(attributes))
    zarr.create_group(store, path="shards", zarr_format=3)
    if problem.record:
        _write_samples(store, problem, grid)
    everyone, per_shard = (grid.n_neurons,), (min(grid.shard, grid.n_neurons),)
    integers: Any = {"dtype": "i8", "dims": ("all_neurons",), "chunks": per_shard}
    integers["fill"] = NOT_COMPUTED
    if problem.spikes != "off":
        name = {"long_name": "number of spikes, −1 where it isn't computed"}
        create(store, "spike_count", everyone, attributes=name, **integers)
    name = {"long_name": INVALID_NAME}
    create(store, "first_invalid_step", everyone, attributes=name, **integers)
    states = problem.membrane.states
    create(
        store,
        "final_state",
        (len(states), *everyone),
        np.dtype(problem.dtype),
        ("state", "all_neurons"),
        chunks=(1, *per_shard),
        attributes={"long_name": f"{', '.join(states)} after the last step"},
        fill=np.nan,
    )
    for feature in problem.features:
        create(
            store,
            f"{FEATURES_GROUP}/{feature}",
            everyone,
            "f8",
            ("all_neurons",),
            chunks=per_shard,
            attributes=feature_attributes(problem, feature),
            fill=np.nan,
        )
    name = {"long_name": "segments that are committed of each shard"}
    create(store, "progress", (grid.n_shards,), "i8", ("shard",), chunks=(1,), attributes=name)


def _write_samples(store: LocalStore, problem: Problem, grid: Grid) -> None:
    """Make the arrays with the axis time, which are empty, and the labels of their axes."""
    rows, columns = grid.shape
    length = max(1, min(rows, BYTES_AT_ONCE // 8))
    attributes = {"units": "ms", "axis": "T", "long_name": "time since step 0"}
    time = create(store, "time", (rows,), "f8", ("time",), chunks=(length,), attributes=attributes)
    steps = problem.sample_steps(problem.start_step, problem.n_steps)
    for begin in range(0, rows, length):
        piece = steps[begin : begin + length]
        numbers = np.arange(piece.start, piece.stop, piece.step, dtype=np.float64)
        write(time, numbers * problem.dt, slice(begin, begin + length))
    attributes = {"long_name": "index of the neuron, −1 for no neuron", "valid_min": 0}
    create(
        store,
        "neuron",
        (columns,),
        "i8",
        ("neuron",),
        chunks=(min(grid.width, columns),),
        attributes=attributes,
        fill=NOT_COMPUTED,
    )
    for name in problem.record:
        create(
            store,
            name,
            (rows, columns),
            np.dtype(problem.dtype),
            ("time", "neuron"),
            chunks=grid.chunk,
            shards=grid.cell,
            attributes=state_attributes(problem.membrane, name),
            fill=np.nan,
        )
