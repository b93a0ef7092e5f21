"""`hhplug bench`: measure the speed of backends."""

import argparse
from dataclasses import asdict

from hhplug.arguments import DType, checked_dtype
from hhplug.checks import whole
from hhplug.cli import display, measurement
from hhplug.cli.arguments import Commands, names, population
from hhplug.errors import BackendUnavailable
from hhplug.plugins import discovery


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("bench", help="measure the speed of backends")
    parser.set_defaults(command=_bench, advice="; use smaller --batch-sizes")
    parser.add_argument("--n-runs", type=int, default=5, help="timed runs (default 5)")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 10, 100, 1000, 10000], metavar="N"
    )
    parser.add_argument(
        "--backends",
        type=names,
        nargs="+",
        metavar="A,B",
        help="default: all that are available and have the dtype",
    )
    parser.add_argument("--dtype", help="float32 or float64 (default: each backend's own)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _bench(options: argparse.Namespace) -> int:
    whole("--n-runs", options.n_runs, 1)
    for size in options.batch_sizes:
        population("--batch-sizes", size)
    asked = [name for some in options.backends or [] for name in some]
    chosen = asked or _available(checked_dtype(options.dtype))
    measurements = list(
        measurement.measure(chosen, options.batch_sizes, options.n_runs, options.dtype)
    )
    if options.json:
        options.print_json([asdict(m) for m in measurements])
        return 0
    display.print_measurements(measurements, options.n_runs)
    return 0


def _available(dtype: DType | None) -> list[str]:
    """Names of the available backends that have the dtype, or any for None, the fastest last.

    Raises BackendUnavailable if there is none.
    """
    found = [
        e.name
        for e in reversed(discovery.backends())
        if e.spec and not e.unavailable and dtype in (None, *e.spec.capabilities.dtypes)
    ]
    if not found:
        raise BackendUnavailable(
            "none_available", f"no backend can run in {dtype}", "see hhplug backends"
        )
    return found
