"""`hhplug status`: how far a store is."""

import argparse
from pathlib import Path

from hhplug.cli.arguments import Commands
from hhplug.extras import needs_store


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("status", help="say how much of a store is computed")
    parser.set_defaults(command=_status)
    parser.add_argument("store", type=Path, metavar="STORE", help="a folder")
    parser.add_argument("--json", action="store_true", help="print JSON, with every shard")


def _status(options: argparse.Namespace) -> int:
    with needs_store():
        from hhplug.distributed.shards import status
        from hhplug.stores.store import RunStore
    store = RunStore(options.store)
    shards = status(store)
    complete = sum(shard.segments_done == shard.n_segments for shard in shards)
    begun = sum(0 < shard.segments_done < shard.n_segments for shard in shards)
    done = sum(shard.segments_done / shard.n_segments for shard in shards) / len(shards)
    if options.json:
        options.print_json(
            {
                "neurons": store.grid.n_neurons,
                "steps": store.grid.n_steps,
                "done": done,
                "shards": [
                    {
                        "neurons": [shard.neurons.start, shard.neurons.stop],
                        "segments_done": shard.segments_done,
                        "segments": shard.n_segments,
                    }
                    for shard in shards
                ],
            }
        )
        return 0
    print(f"{store.path}: {done:.1%} committed")
    print(f"{complete:,} of {len(shards):,} shards are complete, {begun:,} under way")
    return 0
