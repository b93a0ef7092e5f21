"""What the measurements of one commit say against those of another; larger is worse, always."""

import math
from dataclasses import dataclass

from asv.commands.compare import _is_result_better

from benchmarks import errors
from benchmarks.recorded import Measurement, Measurements

ENOUGH = 8  # samples a side; asv's test can't tell 6 from 6 whatever they are (p < 0.002)
FEW = 2.0  # times the factor, by which a benchmark with fewer samples may be slower


@dataclass(frozen=True)
class Finding:
    """A benchmark at BASE and at HEAD, NaN where it isn't known."""

    key: tuple[str, ...]
    base: float
    head: float
    compared: bool
    fails: bool
    what: str  # to say of it, if anything
    suspect: bool = False  # it looks slower, whatever statistics say

    @property
    def name(self) -> str:
        """As asv writes it, but without quotes."""
        name, *params = self.key
        return f"{name}({', '.join(params)})" if params else name

    @property
    def ratio(self) -> float:
        """HEAD's value over BASE's, NaN for errors and where it says nothing."""
        says = self.compared and self.key[0] not in errors.NAMES and self.base > 0
        return self.head / self.base if says else math.nan


def compare(base: Measurements, head: Measurements, factor: float) -> list[Finding]:
    """By name; left out is what is known at neither commit, unless it failed at HEAD."""
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
    return Finding(key, before, after, comparable is not None, fails, what, suspect)


def _slower(base: Measurement, head: Measurement, factor: float) -> tuple[bool, str]:
    """Whether it fails, and what to say."""
    if any(m.stats and m.stats["repeat"] < ENOUGH for m in (base, head)):
        fails = _is_result_better(base.value, head.value, None, None, FEW * factor)
        return fails, "slower, by few samples" if fails else "too few samples to tell"
    before, after = ((m.stats, m.samples) for m in (base, head))
    fails = _is_result_better(base.value, head.value, before, after, factor)
    return fails, "slower" if fails else ""


def _looks_slower(base: Measurement, head: Measurement, factor: float) -> bool:
    """By its median or its best sample: of a slowdown, a slow spell of BASE may hide either."""
    pairs = [(base.value, head.value)]
    if base.samples and head.samples:
        pairs.append((min(base.samples), min(head.samples)))
    return any(_is_result_better(before, after, None, None, factor) for before, after in pairs)


def _value(measurement: Measurement | None) -> float:
    """NaN where it is missing, was skipped or failed."""
    value = None if measurement is None else measurement.value
    return math.nan if value is None else value
