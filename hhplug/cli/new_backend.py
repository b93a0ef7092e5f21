"""`hhplug new-backend`: write a new plugin."""

import argparse
from pathlib import Path

from hhplug.cli.arguments import Commands
from hhplug.plugins import scaffold


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("new-backend", help="write a new plugin, which you then change")
    parser.set_defaults(command=_new_backend)
    parser.add_argument("name", metavar="NAME", help="a letter, then a-z, 0-9, - and _")
    parser.add_argument(
        "--dest",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder in which hhplug-NAME is made (default: the current folder)",
    )


def _new_backend(options: argparse.Namespace) -> int:
    folder = scaffold.new_backend(options.name, options.dest)
    (backend,) = folder.glob("src/*/backend.py")
    print(
        f"wrote {folder}, a plugin that works. Next:\n"
        f"    pip install -e '{folder}[test]'\n"
        f"    hhplug test-backend {options.name}\n"
        f"and put your chip's code into {backend}"
    )
    return 0
