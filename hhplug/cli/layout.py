"""`hhplug layout`: make the store of a population, of which `hhplug advance` computes parts."""

import argparse
from pathlib import Path

from hhplug.cli.arguments import POPULATION_HELP, Commands, count, population_function
from hhplug.extras import needs_store


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("layout", help="make the store of a large population")
    parser.set_defaults(command=_layout)
    parser.add_argument("store", type=Path, metavar="STORE", help="a folder that isn't there yet")
    parser.add_argument("population", metavar="POPULATION", help=POPULATION_HELP)
    parser.add_argument("--neurons", type=count, required=True, help="of the whole population")
    parser.add_argument("--shard", type=count, help="neurons computed together (default: all)")
    parser.add_argument(
        "--backend", default="auto", help="the one that will compute (default: any with float32)"
    )


def _layout(options: argparse.Namespace) -> int:
    with needs_store():
        from hhplug.distributed.shards import layout
    population = population_function(options.population)
    store = layout(options.store, population, options.neurons, options.shard, options.backend)
    grid = store.grid
    print(
        f"{store.path}: {grid.n_neurons:,} neurons in {grid.n_shards:,} shards, "
        f"{grid.n_steps:,} steps in {grid.n_segments:,} segments"
    )
    return 0
