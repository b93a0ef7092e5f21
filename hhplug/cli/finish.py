"""`hhplug finish`: join the spikes of a complete store."""

import argparse
from pathlib import Path

from hhplug.cli.arguments import Commands
from hhplug.extras import needs_store


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("finish", help="join the spikes of a complete store")
    parser.set_defaults(command=_finish)
    parser.add_argument("store", type=Path, metavar="STORE", help="a folder")
    parser.add_argument(
        "--remove-segments",
        action="store_true",
        help="delete the spikes of each segment, which are then there twice",
    )


def _finish(options: argparse.Namespace) -> int:
    with needs_store():
        from hhplug.stores.store import RunStore
        from hhplug.stores.trains import JOINED, join_spikes, remove_segments
    store = RunStore(options.store)
    n_spikes = join_spikes(store)
    if options.remove_segments:
        remove_segments(store)
    print(f"{store.path / JOINED}: {n_spikes:,} spikes, sorted by neuron, then time")
    return 0
