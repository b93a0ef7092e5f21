"""Fail if a commit is slower, less accurate or less complete than another.

`python -m benchmarks.tools.gate BASE HEAD` compares the recorded results of two commits on this
machine. With --run it measures both first, in alternating rounds, so that a slow phase of the
machine affects both. Benchmarks that then look slower are measured again in more rounds, and the
second measurement counts.
The exit code is 0 for a pass, 1 if HEAD fails or nothing can be compared, and 2 for bad input.
"""

import argparse
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.tools import machine
from benchmarks.tools.checkout import TOP, commit_hash
from benchmarks.tools.compare import Finding, compare
from benchmarks.tools.configuration import configuration
from benchmarks.tools.recorded import RESULTS, measurements

MEASURED = TOP / ".asv" / "gate" / "results"  # results of --run, which are not kept
FACTOR = 1.2
# A slow phase of a machine lasts about one round, so a verdict needs many rounds. With two, on a
# busy machine, one of five comparisons of a commit with itself failed, and two of four benchmarks
# that were 1.5 times slower passed.
MORE_ROUNDS = ("--attribute", "rounds=6")
WIDTH = 150  # characters; benchmarks' names are long, and a log file has no width
DONE = (0, 2)  # asv's exit codes; with 2, a benchmark failed and that is recorded
STDERR = 2  # for asv's progress, because standard output is for the verdict
FAILS, BAD_INPUT = 1, 2


class BadInput(Exception):
    """An argument is wrong; the message says in one line what was given and what is needed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gate and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        findings = _findings(options)
    except BadInput as error:
        print(f"gate: {error}", file=sys.stderr)
        return BAD_INPUT
    return _report(findings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tools.gate",
        description="Fail where HEAD is slower, less accurate or less complete than BASE.",
    )
    parser.add_argument("base", metavar="BASE", help="a revision, as git takes it")
    parser.add_argument("head", metavar="HEAD", help="another")
    parser.add_argument("--machine", metavar="NAME", help="whose results (default: this one's)")
    parser.add_argument(
        "--factor",
        type=float,
        default=FACTOR,
        help=f"by which a benchmark may be slower (default {FACTOR})",
    )
    parser.add_argument("--run", action="store_true", help="measure both commits first")
    parser.add_argument(
        "--bench",
        nargs="+",
        action="extend",
        default=[],
        metavar="REGEX",
        help="these benchmarks alone, by patterns as asv takes them",
    )
    return parser


def _findings(options: argparse.Namespace) -> list[Finding]:
    if not options.factor > 1:
        raise BadInput(f"--factor must be above 1, got {options.factor:g}")
    wanted = [_pattern(text) for text in options.bench]
    try:
        base, head = commit_hash(options.base, TOP), commit_hash(options.head, TOP)
    except LookupError as error:
        raise BadInput(str(error)) from None
    if base == head:
        raise BadInput(f"{options.base} and {options.head} are one commit, {base[:8]}")
    name = options.machine or machine.named()["machine"]
    judged = partial(_judged, base, head, name, options.factor, wanted)
    if not options.run:
        return judged(RESULTS)
    shutil.rmtree(MEASURED, ignore_errors=True)
    _measure(base, head, name, options.bench)
    findings = judged(MEASURED)
    suspects = [f for f in findings if f.suspect]
    if suspects:
        print(f"gate: once more: {', '.join(f.name for f in suspects)}", file=sys.stderr)
        _measure(base, head, name, [_pattern_of(f) for f in suspects], MORE_ROUNDS)
        findings = judged(MEASURED)
    return findings


def _judged(
    base: str, head: str, name: str, factor: float, wanted: Sequence[re.Pattern[str]], folder: Path
) -> list[Finding]:
    """Compare the results in a folder, for the benchmarks that match `wanted`, or for all."""
    try:
        before, after = (measurements(name, commit, folder) for commit in (base, head))
    except LookupError as error:
        raise BadInput(f"{error}. --run measures both commits") from None
    findings = compare(before, after, factor)
    return [f for f in findings if not wanted or any(p.search(f.name) for p in wanted)]


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a user's pattern without quotes, because recorded parameters have none."""
    try:
        return re.compile(text.replace("'", ""))
    except re.error as error:
        raise BadInput(f"--bench takes regular expressions, got {text!r}: {error}") from None


def _pattern_of(finding: Finding) -> str:
    """Return a pattern with which asv selects this benchmark; asv quotes strings."""
    name, *params = finding.key
    params = [f"'?{re.escape(value)}'?" for value in params]
    return rf"^{re.escape(name)}" + (rf"\({', '.join(params)}\)$" if params else "$")


def _measure(
    base: str, head: str, name: str, patterns: Sequence[str], options: Sequence[str] = ()
) -> None:
    machine.save()
    run = [sys.executable, "-m", "asv", "run", "HASHFILE:-", "--machine", name]
    run += ["--interleave-rounds", "--record-samples", *options]
    run += ["--config", str(configuration(MEASURED.parent, results_dir=MEASURED))]
    for pattern in patterns:
        run += ["--bench", pattern]
    both = f"{base}\n{head}\n"
    status = subprocess.run(run, cwd=TOP, input=both, text=True, stdout=STDERR).returncode
    if status not in DONE:
        raise BadInput(f"asv run ended with status {status}, so that there is nothing to judge")


def _report(findings: list[Finding]) -> int:
    """Print the findings and return the exit code."""
    console = Console(highlight=False, width=WIDTH)
    spoken = sorted((f for f in findings if f.what), key=lambda f: not f.fails)
    if spoken:
        console.print(_table(spoken))
    failing = sum(f.fails for f in findings)
    compared = [f for f in findings if f.compared]
    ratios = [(f.ratio, f.name) for f in compared if f.ratio > 0]
    worst = "; worst ratio {:.2f}: {}".format(*max(ratios)) if ratios else ""
    console.print(Text(f"{len(compared)} benchmarks compared, {failing} fail{worst}"))
    if not compared and not failing:
        console.print("Nothing could be compared, which is no pass")
    return FAILS if failing or not compared else 0


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark", overflow="fold")
    for heading in ("BASE", "HEAD", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for f in findings:
        numbers = ("" if math.isnan(n) else f"{n:.4g}" for n in (f.base, f.head, f.ratio))
        table.add_row(Text(f.name), *numbers, Text(f.what, "red" if f.fails else "yellow"))
    return table


if __name__ == "__main__":
    sys.exit(main())
