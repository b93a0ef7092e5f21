"""What the options of several commands share."""

import argparse
import runpy
from typing import NoReturn, TypeAlias

from hhplug import membranes
from hhplug.checks import hint, whole
from hhplug.cli.exits import BAD_INPUT
from hhplug.errors import InvalidInput
from hhplug.membranes.membrane import Membrane
from hhplug.running import memory_check

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

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
