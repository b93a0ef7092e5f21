"""`hhplug advance`: compute a part of a store, for job arrays and MPI launchers."""

import argparse
from pathlib import Path

from hhplug.cli.arguments import (
    POPULATION_HELP,
    Commands,
    add_backend_and_device,
    add_progress,
    population_function,
    wants_progress,
)
from hhplug.cli.exits import INTERRUPTED, fail
from hhplug.extras import needs_store
from hhplug.running.interruption import Interruption
from hhplug.running.progress import reporter


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("advance", help="compute a part of a store to its end")
    parser.set_defaults(command=_advance)
    parser.add_argument("store", type=Path, metavar="STORE", help="that `hhplug layout` made")
    parser.add_argument("population", metavar="POPULATION", help=POPULATION_HELP)
    parser.add_argument(
        "--part",
        type=_part,
        default=(0, 1),
        metavar="I/N",
        help="the shards I, I + N, I + 2N, …, counted from 0 (default 0/1: all)",
    )
    add_backend_and_device(parser)
    add_progress(parser)


def _part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    try:
        found = int(number), int(count)
        if not 0 <= found[0] < found[1]:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected I/N with 0 ≤ I < N, such as 0/4, got {text!r}"
        ) from None
    return found


def _advance(options: argparse.Namespace) -> int:
    with needs_store():
        from hhplug.distributed.shards import advance_shard, part, refuse_other, unfinished
        from hhplug.stores.store import RunStore
    store, population = RunStore(options.store), population_function(options.population)
    refuse_other(store, population)
    left = unfinished(store, part(store, *options.part))
    with reporter(wants_progress(options)) as report, Interruption() as interruption:
        interruption.hold()
        for done, shard in enumerate(left):
            advance_shard(
                store,
                population,
                shard,
                options.backend,
                options.device,
                report=lambda fraction, done=done: report((done + fraction) / len(left)),
                stopped=lambda: interruption.pending,
            )
            if interruption.pending:
                return fail(f"interrupted; the same command goes on in {store.path}", INTERRUPTED)
    print(f"{store.path}: {len(left)} shards computed")
    return 0
