"""What the options of several commands share."""

import argparse
from typing import NoReturn, TypeAlias

from hhplug.checks import whole
from hhplug.cli.exits import BAD_INPUT
from hhplug.errors import InvalidInput
from hhplug.running import memory_check

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


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
