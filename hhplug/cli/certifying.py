"""`hhplug test-backend`: certify a backend by the kit."""

import argparse

from hhplug.backend import Capabilities
from hhplug.checks import whole
from hhplug.cli.arguments import Commands
from hhplug.errors import InvalidInput, MissingExtra
from hhplug.plugins import discovery


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("test-backend", help="certify a backend against the reference")
    parser.set_defaults(command=_test_backend)
    parser.add_argument("name", metavar="NAME", nargs="?", help="a name from `hhplug backends`")
    parser.add_argument(
        "--list-problems",
        action="store_true",
        help="print the varied problems that the backend must solve, and test nothing",
    )
    parser.add_argument(
        "--horizon",
        choices=("long", "short"),
        default="long",
        help="short: at most 5,000 steps in all, for interpreters and simulated hardware",
    )
    parser.add_argument(
        "--kit-level",
        type=int,
        metavar="LEVEL",
        help="run only the tests up to this level of the kit (default: all)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="share the tests among N processes of pytest-xdist (default: 2 for a backend on the "
        "CPU if it is installed, else 1)",
    )
    parser.add_argument(
        "-x", "--exitfirst", action="store_true", help="stop at the first test that fails"
    )


def _test_backend(options: argparse.Namespace) -> int:
    if options.list_problems:
        from hhplug.testing import varied

        spec = discovery.entry(options.name).spec if options.name else None
        capabilities = spec.capabilities if spec else Capabilities()
        found = varied.rows(
            options.horizon == "short", capabilities.membranes == "any", capabilities.methods
        )
        for number, row in enumerate(found):
            print(f"{number:3}  {varied.described(row)}")
        return 0
    if options.name is None:
        raise InvalidInput("name the backend to test; hhplug backends lists them")
    if options.kit_level is not None:
        whole("--kit-level", options.kit_level, 1)
    if options.processes is not None:
        whole("--processes", options.processes, 1)
    try:
        from hhplug.testing.certify import certify
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"hhplug test-backend needs {error.name}: pip install 'pytest>=8'"
        ) from error
    return certify(
        options.name, options.horizon, options.kit_level, options.processes, options.exitfirst
    )
