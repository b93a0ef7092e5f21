"""`hhplug show`: a membrane as its equations, as lowered operations, or as a backend's code."""

import argparse
import runpy

from hhplug import membranes
from hhplug.checks import hint
from hhplug.errors import InvalidInput
from hhplug.lowering.lower import lower
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.membrane import Membrane
from hhplug.plugins import choice
from hhplug.problem import checked_dtype


def show(options: argparse.Namespace) -> int:
    """Print what is asked for; return the exit code."""
    membrane = _membrane(options.membrane)
    if options.backend:
        dtype = checked_dtype(options.dtype) or "float32"
        print(choice.source_of(options.backend, membrane, dtype))
    elif options.lowered:
        print(lower(membrane, _target(options.lowered)))
    else:
        print(membrane)
    return 0


def _membrane(text: str) -> Membrane:
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


def _target(name: str) -> str:
    if name not in TARGETS:
        raise InvalidInput(
            f"unknown target {name!r}; choose from {', '.join(TARGETS)}.{hint(name, TARGETS)}"
        )
    return name
