"""Compare the measurements of two commits. A larger value is always worse."""

import math
from dataclasses import dataclass

from asv.commands.compare import _is_result_better

from benchmarks.tools import errors
from benchmarks.tools.recorded import Measurement, Measurements

ENOUGH = 8  # samples of each commit; with 6, asv's test (p < 0.002) never finds a difference
FEW = 2.0  # a benchmark with fewer samples may be slower by FEW times the factor


@dataclass(frozen=True)
class Finding:
    """The values of a benchmark at BASE and at HEAD, NaN where unknown, and the verdict."""

    key: tuple[str, ...]
    base: float
    head: float
    compared: bool
    fails: bool
    what: str  # the verdict in words; may be empty
    suspect: bool = False  # looks slower, even if it isn't by asv's statistics

    @property
    def name(self) -> str:
        """The benchmark and its parameters as asv writes them, but without quotes."""
        name, *params = self.key
        return f"{name}({', '.join(params)})" if params else name

    @property
    def ratio(self) -> float:
        """HEAD's value over BASE's; NaN for errors, or if the two can't be compared."""
        says = self.compared and self.key[0] not in errors.NAMES and self.base > 0
        return self.head / self.base if says else math.nan


def compare(base: Measurements, head: Measurements, factor: float) -> list[Finding]:
    """Return a finding for each benchmark, sorted by name.

    A benchmark that is known at neither commit is left out, unless it failed at HEAD.
    """
    keys = sorted(base.keys() | head.keys())
    findings = [_finding(key, base.get(key), head.get(key), factor) for key in keys]
    return [f for f in findings if f.fails or not (math.isnan(f.base) and math.isnan(f.head))]


def _finding(
    key: tuple[str, ...], base: Measurement | None, head: Measurement | None, factor: float
) -> Finding:
    before, after = _value(base), _value(head)
    if head is None or math.isnan(after):
        what = "vanished" if head is None else "failed" if head.value is None else "skipped"
        fails = what == "failed" or not math.isnan(before)
        return Finding(key, before, after, compared=False, fails=fails, what=what)
    comparable = base if base and base.known and base.version == head.version else None
    fails, what, suspect = False, "", False
    if key[0] in errors.NAMES:
        limit = errors.greatest(key, before if comparable else math.nan)
        if not after <= limit:
            fails, what = True, f"an error above {limit:.3g}"
    elif comparable:
        fails, what = _slower(comparable, head, factor)
        suspect = _looks_slower(comparable, head, factor)
    if not (comparable or fails or math.isnan(before)):
        what = "not compared: the benchmark has another version"
    compared = comparable is not None
    return Finding(key, before, after, compared, fails=fails, what=what, suspect=suspect)


def _slower(base: Measurement, head: Measurement, factor: float) -> tuple[bool, str]:
    """Return whether HEAD fails by being slower, and the verdict in words."""
    if any(m.stats and m.stats["repeat"] < ENOUGH for m in (base, head)):
        fails = _is_result_better(base.value, head.value, None, None, FEW * factor)
        return fails, "slower, by few samples" if fails else "too few samples to tell"
    before, after = ((m.stats, m.samples) for m in (base, head))
    fails = _is_result_better(base.value, head.value, before, after, factor)
    return fails, "slower" if fails else ""


def _looks_slower(base: Measurement, head: Measurement, factor: float) -> bool:
    """Tell whether the median or the best sample is slower by more than the factor.

    A slow phase of the machine during BASE can hide a slowdown in one of them.
    """
    pairs = [(base.value, head.value)]
    if base.samples and head.samples:
        pairs.append((min(base.samples), min(head.samples)))
    return any(_is_result_better(before, after, None, None, factor) for before, after in pairs)


def _value(measurement: Measurement | None) -> float:
    """Return the value, or NaN if it is missing, was skipped or failed."""
    value = None if measurement is None else measurement.value
    return math.nan if value is None else value
