"""The command line: `hhplug run | show | backends | bench | new-backend | test-backend`.

The exit code is 0 on success; 1 if a backend fails its tests or the output is closed before it is
read; 2 for bad input; 3 for an unavailable backend; 130 after Ctrl-C, when `run` still prints and
writes the steps that are done. Errors are one or two lines on standard error.
"""

import argparse
import io
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import numpy as np

from hhplug._version import __version__
from hhplug.checks import PerNeuron, choice, positive, whole
from hhplug.cli import bench, display, listing, show
from hhplug.cli.exits import BAD_INPUT, INTERRUPTED, UNAVAILABLE, UNREAD, fail
from hhplug.cli.json_output import json_output
from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import KINDS
from hhplug.errors import (
    BackendUnavailable,
    HHPlugError,
    Interrupted,
    InvalidInput,
    MissingExtra,
    NotEnoughMemory,
)
from hhplug.files import replacing
from hhplug.plugins import discovery, scaffold
from hhplug.problem import DType, checked_dtype
from hhplug.results import plotting
from hhplug.running import memory_check
from hhplug.running.simulator import Simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    if sys.stdout is None:  # the process that started this one closed it
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every encoding has µ and █
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings(), _json_output(options, arguments) as options.print_json:
            warnings.showwarning = _show_warning
            code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes again at exit; see "Note on SIGPIPE" in the documentation of `signal`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except BackendUnavailable as error:
        return fail(error, UNAVAILABLE)
    except MemoryError as error:
        known = isinstance(error, NotEnoughMemory)
        return fail((error.needs if known else f"no memory: {error}") + options.advice, BAD_INPUT)
    except (HHPlugError, OSError) as error:
        return fail(error, BAD_INPUT)
    except KeyboardInterrupt as stop:
        return fail(str(stop) or "interrupted", INTERRUPTED)


def _json_output(
    options: argparse.Namespace, arguments: Sequence[str] | None
) -> AbstractContextManager[Callable[[object], None] | None]:
    if not getattr(options, "json", False):
        return nullcontext()
    return json_output(whole_process=arguments is None)  # else a user's program calls main


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"hhplug: warning: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser that prints errors without the usage, so that they are one or two lines."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"hhplug: {message} ({self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hhplug", description="Simulate large populations of Hodgkin-Huxley neurons."
    )
    parser.add_argument("--version", action="version", version=f"hhplug {__version__}")
    parser.set_defaults(advice="")  # added to the message of a MemoryError
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="simulate a population, by default an F-I sweep")
    run.set_defaults(command=_run, advice="; use fewer --neurons or a shorter --duration")
    run.add_argument("--neurons", type=int, default=1000, help="population size (default 1000)")
    run.add_argument("--duration", type=float, default=300.0, help="ms (default 300)")
    run.add_argument("--dt", type=float, default=0.01, help="ms (default 0.01)")
    run.add_argument(
        "--current",
        type=_range,
        default=(0.0, 20.0),
        metavar="VALUE|START:STOP",
        help="µA/cm², one value for all neurons or a range over them (default 0:20); write a "
        "negative value as --current=-5:5",
    )
    run.add_argument(
        "--stimulus",
        default="constant",
        metavar="KIND[:TIMES]",
        help="constant (default), step:START:STOP, pulse_train:START:WIDTH:PERIOD:COUNT, "
        "ramp:START:STOP (from 0 to the current), sine:FREQUENCY; ms and Hz; "
        "the defaults of the times depend on the duration",
    )
    run.add_argument(
        "--dtype", help="float32 or float64 (default: float32 where the backend has it)"
    )
    run.add_argument(
        "--backend", default="auto", help="a name from `hhplug backends` (default auto)"
    )
    run.add_argument("--plot", type=Path, metavar="FILE", help="draw traces, raster and F-I curve")
    run.add_argument(
        "--save", type=Path, metavar="FILE", help="write V and the spikes to an .npz file"
    )
    run.add_argument(
        "--record-every",
        type=int,
        default=1,
        metavar="N",
        help="keep every N-th step in --save and --plot (default 1)",
    )
    run.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show a bar on standard error (default: if that is a terminal)",
    )
    run.add_argument("--json", action="store_true", help="print JSON")

    showing = commands.add_parser("show", help="print a membrane, or the code made from it")
    showing.set_defaults(command=show.show)
    showing.add_argument(
        "membrane", metavar="MEMBRANE", help="a name of hhplug.membranes, or FILE.py:NAME"
    )
    what = showing.add_mutually_exclusive_group()
    what.add_argument("--backend", metavar="NAME", help="print the code that NAME compiles")
    what.add_argument(
        "--lowered",
        metavar="TARGET",
        nargs="?",
        const="gpu-float32",
        help="print a step as operations, for gpu-float32 (default), cpu-float64 and so on",
    )
    showing.add_argument("--dtype", help="float32 or float64, of --backend (default float32)")

    backends = commands.add_parser("backends", help="list backends, and why one cannot run")
    backends.set_defaults(command=listing.backends)
    backends.add_argument(
        "--why", metavar="NAME", help="open one backend and run it, or print the whole cause"
    )
    backends.add_argument(
        "--require", type=_names, metavar="A,B", help="exit with 3 if one is not available"
    )
    backends.add_argument("--json", action="store_true", help="print JSON")

    timing = commands.add_parser("bench", help="measure the speed of backends")
    timing.set_defaults(command=_bench, advice="; use smaller --batch-sizes")
    timing.add_argument("--n-runs", type=int, default=5, help="timed runs (default 5)")
    timing.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 10, 100, 1000, 10000], metavar="N"
    )
    timing.add_argument(
        "--backends",
        type=_names,
        nargs="+",
        metavar="A,B",
        help="default: all that are available and have the dtype",
    )
    timing.add_argument("--dtype", help="float32 or float64 (default: each backend's own)")
    timing.add_argument("--json", action="store_true", help="print JSON")

    writing = commands.add_parser("new-backend", help="write a new plugin, which you then change")
    writing.set_defaults(command=_new_backend)
    writing.add_argument("name", metavar="NAME", help="a letter, then a-z, 0-9, - and _")
    writing.add_argument(
        "--dest",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder in which hhplug-NAME is made (default: the current folder)",
    )

    testing = commands.add_parser("test-backend", help="certify a backend against the reference")
    testing.set_defaults(command=_test_backend)
    testing.add_argument("name", metavar="NAME", nargs="?", help="a name from `hhplug backends`")
    testing.add_argument(
        "--list-problems",
        action="store_true",
        help="print the varied problems that the backend must solve, and test nothing",
    )
    testing.add_argument(
        "--horizon",
        choices=("long", "short"),
        default="long",
        help="short: at most 5,000 steps in all, for interpreters and simulated hardware",
    )
    testing.add_argument(
        "--kit-level",
        type=int,
        metavar="LEVEL",
        help="run only the tests up to this level of the kit (default: all)",
    )
    return parser


def _range(text: str) -> tuple[float, float]:
    first, _, last = text.partition(":")
    try:
        ends = float(first), float(last or first)
        if not math.isfinite(ends[1] - ends[0]):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected VALUE or a finite range START:STOP in µA/cm², got {text!r}"
        ) from None
    return ends


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"expected names with commas between, got {text!r}")
    return names


def _population(option: str, count: int) -> int:
    """The number of neurons. Raises InvalidInput before an array of that length is allocated."""
    neurons, most = whole(option, count, 1), memory_check.most_neurons()
    if neurons > most:
        raise InvalidInput(
            f"{option} must be at most {most:,} in the memory that is free, got {neurons:,}"
        )
    return neurons


def _run(options: argparse.Namespace) -> int:
    neurons = _population("--neurons", options.neurons)
    positive("--duration", options.duration, "ms")
    if options.plot and options.save and options.plot.resolve() == options.save.resolve():
        raise InvalidInput(f"--plot and --save would both write {options.plot}; name two files")
    for path in filter(None, (options.plot, options.save)):
        if not path.parent.is_dir():
            raise InvalidInput(f"no folder {path.parent} to write {path.name} into")
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder; give the name of a file")
    if options.plot:
        plotting.check_file(options.plot)
    first, last = options.current
    amplitude = first if first == last else np.linspace(first, last, neurons)
    simulator = Simulator(options.backend, options.dtype)
    code = 0
    try:
        result = simulator.run(
            T=options.duration,
            dt=options.dt,
            batch_size=neurons,
            stimulus=_stimulus(options.stimulus, amplitude, options.duration),
            record=("V",) if options.plot or options.save else (),
            record_neurons=None if options.save else plotting.spread(neurons, plotting.TRACES),
            record_every=whole("--record-every", options.record_every, 1),
            progress=_on_terminal() if options.progress is None else options.progress,
        )
    except Interrupted as stop:
        result = stop.result
        done = f"interrupted after {result.problem.T:g} of {options.duration:g} ms"
        code = fail(done, INTERRUPTED)
    if options.plot:
        with replacing(options.plot) as file:
            result.plot().savefig(file, format=options.plot.suffix[1:], dpi=150)
    if options.save:
        result.save(options.save)
    if options.json:
        options.print_json(display.summary(result))
    else:
        display.print_summary(result, [path for path in (options.plot, options.save) if path])
    return code


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _stimulus(text: str, amplitude: PerNeuron, T: float) -> Stimulus:
    """The Stimulus of KIND[:NUMBER…] with this amplitude (µA/cm²), or InvalidInput.

    The defaults of the numbers depend on the duration of T ms.
    """
    kind, *words = text.split(":")
    choice("stimulus", kind, KINDS)
    defaults = {
        "constant": (),
        "step": (0.1 * T, 0.9 * T),
        "pulse_train": (0.1 * T, 0.02 * T, 0.1 * T, 8.0),
        "ramp": (0.0, T),
        "sine": (50.0,),
    }[kind]
    try:
        given = tuple(float(word) for word in words)
        if not all(map(math.isfinite, given)):
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"--stimulus {kind} takes finite numbers after its colons, got {text!r}"
        ) from None
    if len(given) > len(defaults):
        raise InvalidInput(f"--stimulus {kind} takes at most {len(defaults)} numbers, got {text!r}")
    times = given + defaults[len(given) :]
    if kind == "pulse_train" and not times[3].is_integer():
        raise InvalidInput(f"--stimulus {kind} takes a whole number of pulses, got {text!r}")
    make: dict[str, Callable[[], Stimulus]] = {
        "constant": lambda: Stimulus.constant(amplitude),
        "step": lambda: Stimulus.step(amplitude, *times),
        "pulse_train": lambda: Stimulus.pulse_train(amplitude, *times[:3], count=int(times[3])),
        "ramp": lambda: Stimulus.ramp(0.0, amplitude, *times),
        "sine": lambda: Stimulus.sine(amplitude, *times),
    }
    try:
        return make[kind]()
    except InvalidInput as error:
        if times == given:
            raise
        raise InvalidInput(
            f"{error}; the numbers missing from {text!r} were chosen for {T:g} ms: give all"
        ) from None


def _bench(options: argparse.Namespace) -> int:
    whole("--n-runs", options.n_runs, 1)
    for size in options.batch_sizes:
        _population("--batch-sizes", size)
    asked = [name for names in options.backends or [] for name in names]
    names = asked or _available(checked_dtype(options.dtype))
    measurements = list(bench.measure(names, options.batch_sizes, options.n_runs, options.dtype))
    if options.json:
        options.print_json([asdict(m) for m in measurements])
        return 0
    display.print_measurements(measurements, options.n_runs)
    return 0


def _available(dtype: DType | None) -> list[str]:
    """Names of the available backends that have the dtype, or any for None, the fastest last.

    Raises BackendUnavailable if there is none.
    """
    names = [
        e.name
        for e in reversed(discovery.backends())
        if e.spec and not e.unavailable and dtype in (None, *e.spec.capabilities.dtypes)
    ]
    if not names:
        raise BackendUnavailable(
            "none_available", f"no backend can run in {dtype}", "see hhplug backends"
        )
    return names


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


def _test_backend(options: argparse.Namespace) -> int:
    if options.list_problems:
        from hhplug.testing import varied

        spec = discovery.entry(options.name).spec if options.name else None
        any_membrane = spec is not None and spec.capabilities.membranes == "any"
        for number, row in enumerate(varied.rows(options.horizon == "short", any_membrane)):
            print(f"{number:3}  {varied.described(row)}")
        return 0
    if options.name is None:
        raise InvalidInput("name the backend to test; hhplug backends lists them")
    if options.kit_level is not None:
        whole("--kit-level", options.kit_level, 1)
    try:
        from hhplug.testing.certify import certify
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"hhplug test-backend needs {error.name}: pip install 'hhplug[testing]'"
        ) from error
    return certify(options.name, options.horizon, options.kit_level)
