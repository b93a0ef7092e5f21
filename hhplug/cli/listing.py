"""`hhplug backends`: list backends, or try one."""

import argparse
import traceback
from dataclasses import replace

from hhplug.cli import display
from hhplug.cli.arguments import Commands, names
from hhplug.cli.exits import UNAVAILABLE, fail
from hhplug.errors import BackendUnavailable, described
from hhplug.plugins import discovery
from hhplug.plugins.entry import Entry
from hhplug.running.simulator import Simulator

TRIAL = 0.05  # ms; five steps


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("backends", help="list backends, and why one cannot run")
    parser.set_defaults(command=backends)
    parser.add_argument(
        "--why", metavar="NAME", help="open one backend and run it, or print the whole cause"
    )
    parser.add_argument(
        "--require", type=names, metavar="A,B", help="exit with 3 if one is not available"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def backends(options: argparse.Namespace) -> int:
    """Print all backends, or with --why one; return the exit code for --require."""
    if options.why:
        _print_why(options)
    if options.why and not options.require:
        return 0
    entries = discovery.backends()
    if not options.why and options.json:
        options.print_json([entry.as_dict() for entry in entries])
    elif not options.why:
        display.print_backends(entries)
    return _check_required(options.require or [], entries)


def _check_required(names: list[str], entries: list[Entry]) -> int:
    named = {entry.name: entry for entry in reversed(entries)}
    code = 0
    for name in names:
        if name not in named:
            code = fail(f"no backend {name!r}; known: {', '.join(sorted(named))}", UNAVAILABLE)
        elif problem := named[name].unavailable:
            code = fail(problem, UNAVAILABLE)
    return code


def _print_why(options: argparse.Namespace) -> None:
    entries = [_tried(entry) for entry in discovery.probed(discovery.named(options.why))]
    if options.json:
        options.print_json(
            [e.as_dict() | {"detail": e.unavailable and e.unavailable.detail} for e in entries]
        )
        return
    for entry in entries:
        if problem := entry.unavailable:
            print(f"{entry.name} ({entry.source}): {problem.of('')}")
            print(problem.detail, end="\n" if problem.detail else "")
        else:
            print(f"{entry.name} ({entry.source}): available; it has run on {entry.device}")


def _tried(entry: Entry) -> Entry:
    """The entry after its backend was opened and has run a few steps, unless it cannot run."""
    if entry.unavailable:
        return entry
    try:
        result = Simulator(entry.name).run(TRIAL)
    except BackendUnavailable as problem:
        return entry.lacking(problem)
    except Exception as error:
        reason = f"it was opened, and a run of {TRIAL} ms raised {described(error)}"
        return entry.failed("run_failed", reason, detail=traceback.format_exc())
    return replace(entry, device=result.device)
