"""What the options of several commands share."""

import argparse
import runpy
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn, TypeAlias

from hhplug import membranes
from hhplug.checks import hint, whole
from hhplug.cli.exits import BAD_INPUT
from hhplug.errors import InvalidInput
from hhplug.membranes.membrane import Membrane
from hhplug.plugins.choice import Devices
from hhplug.problem import Problem
from hhplug.running import memory_check

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

POPULATION_HELP = (
    "a function of a slice of neurons that returns their Problem, as MODULE:NAME or FILE.py:NAME"
)
MEMBRANE_HELP = "a name of hhplug.membranes, or FILE.py:NAME"


class Parser(argparse.ArgumentParser):
    """A parser that prints errors without the usage, so that they are one or two lines."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"hhplug: {message} ({self.prog} --help)\n")


def names(text: str) -> list[str]:
    """The names in a list with commas between."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"expected names with commas between, got {text!r}")
    return found


def devices(text: str) -> Devices:
    """The index of a device, several with commas between, or "all"."""
    if text == "all":
        return "all"
    try:
        indices = [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected an index such as 0, several such as 0,1, or all, got {text!r}"
        ) from None
    return indices if len(indices) > 1 else indices[0]


def population(option: str, count: int) -> int:
    """The number of neurons. Raises InvalidInput before an array of that length is allocated."""
    neurons, most = whole(option, count, 1), memory_check.most_neurons()
    if neurons > most:
        raise InvalidInput(
            f"{option} must be at most {most:,} in the memory that is free, got {neurons:,}"
        )
    return neurons


def membrane(text: str) -> Membrane:
    """The membrane NAME of the library, or of FILE.py:NAME."""
    file, _, name = text.rpartition(":")
    if file:
        names = {k: v for k, v in runpy.run_path(file).items() if isinstance(v, Membrane)}
    else:
        names = {known: getattr(membranes, known) for known in membranes.__all__}
    if name not in names:
        raise InvalidInput(
            f"no membrane {name!r} in {file or 'the library'}, which has "
            f"{', '.join(names) or 'none'}.{hint(name, names)}"
        )
    return names[name]


def population_function(text: str) -> Callable[[slice], Problem]:
    """The function NAME of MODULE:NAME or of FILE.py:NAME."""
    place, _, name = text.rpartition(":")
    if not place:
        raise InvalidInput(f"expected MODULE:NAME or FILE.py:NAME of a function, got {text!r}")
    if place.endswith(".py"):
        names = runpy.run_path(place)
    else:
        if "" not in sys.path:
            sys.path.insert(0, "")  # the current folder, as for python -m
        try:
            names = vars(import_module(place))
        except ModuleNotFoundError as error:
            raise InvalidInput(f"{error}, for {text!r}") from error
    if not callable(names.get(name)):
        raise InvalidInput(f"no function {name!r} in {place}.{hint(name, names)}")
    return names[name]


def count(text: str) -> int:
    """A whole number, which may be written as 1e9."""
    try:
        value = float(text)
        if value < 1 or value % 1:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a whole number above 0, such as 1000 or 1e9, got {text!r}"
        ) from None
    return int(text) if text.isdecimal() else int(value)


def add_backend_and_device(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a command computes."""
    parser.add_argument(
        "--backend", default="auto", help="a name from `hhplug backends` (default auto)"
    )
    parser.add_argument(
        "--device",
        type=devices,
        help="index of the GPU, for several in a machine; or indices with commas between, such as "
        "0,1, or all: each of these GPUs computes an equal part of the neurons",
    )


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the option of whose value `wants_progress` decides."""
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show a bar on standard error (default: if that is a terminal)",
    )


def wants_progress(options: argparse.Namespace) -> bool:
    """Whether to show a bar: by default if standard error is a terminal."""
    if options.progress is None:
        return sys.stderr is not None and sys.stderr.isatty()
    return options.progress
