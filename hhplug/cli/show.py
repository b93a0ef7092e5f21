"""`hhplug show`: a membrane as its equations, as lowered operations, or as a backend's code."""

import argparse

from hhplug import checks
from hhplug.arguments import checked_dtype
from hhplug.cli import arguments
from hhplug.cli.arguments import Commands
from hhplug.lowering.lower import lower
from hhplug.lowering.targets import TARGETS
from hhplug.plugins import choice


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("show", help="print a membrane, or the code made from it")
    parser.set_defaults(command=_show)
    parser.add_argument("membrane", metavar="MEMBRANE", help=arguments.MEMBRANE_HELP)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--backend", metavar="NAME", help="print the code that NAME compiles")
    what.add_argument(
        "--lowered",
        metavar="TARGET",
        nargs="?",
        const="gpu-float32",
        help="print a step as operations, for gpu-float32 (default), cpu-float64 and so on",
    )
    parser.add_argument("--dtype", help="float32 or float64, of --backend (default float32)")


def _show(options: argparse.Namespace) -> int:
    membrane = arguments.membrane(options.membrane)
    if options.backend:
        dtype = checked_dtype(options.dtype) or "float32"
        print(choice.source_of(options.backend, membrane, dtype))
    elif options.lowered:
        print(lower(membrane, checks.choice("target", options.lowered, TARGETS)))
    else:
        print(membrane)
    return 0
