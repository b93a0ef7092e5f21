"""Read the results that asv recorded in benchmarks/results."""

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from asv.results import Results, iter_results_for_machine

from benchmarks.tools.checkout import TOP

RESULTS = TOP / "benchmarks" / "results"
KEPT = ("amd-epyc-2-cores", "nvidia-h100-80gb-hbm3-driver-580.159.04")  # the same as in .gitignore


@dataclass(frozen=True)
class Measurement:
    """The result of one benchmark with one set of parameters, at one commit on one machine."""

    value: float | None  # NaN: skipped or not selected; None: failed
    stats: dict[str, Any] | None
    samples: list[float] | None
    version: str  # of the benchmark; results of different versions can't be compared

    @property
    def known(self) -> bool:
        return self.value is not None and not math.isnan(self.value)


Measurements = dict[tuple[str, ...], Measurement]
"""By name and parameters: ("step.Step.time_million_neuron_steps", "numpy", "float32", "100")."""

Values = dict[tuple[str, ...], float]
"""The values of known measurements, with the same keys."""


def machines(folder: Path = RESULTS) -> list[str]:
    """Return the machines whose results are kept in this repository.

    The folder may also have results of a developer's machine, which are not kept.
    """
    return [name for name in KEPT if (folder / name).exists()]


def commits(machine: str, folder: Path = RESULTS) -> list[str]:
    """Return the full hashes of the commits measured on a machine, oldest first."""
    found = {result.commit_hash: result.date for result in _files(machine, folder)}
    return sorted(found, key=lambda commit: found[commit])


def measurements(machine: str, commit: str, folder: Path = RESULTS) -> Measurements:
    """Return the measurements of a commit, which is given by the beginning of its hash.

    Raises LookupError if there are none.
    """
    found: Measurements = {}
    for result in _files(machine, folder):
        if result.commit_hash.startswith(commit):
            for name in result.get_all_result_keys():
                for key, one in _of_benchmark(result, name).items():
                    if one.known or key not in found:  # another environment may have a value
                        found[key] = one
    if not found:
        known = ", ".join(known[:8] for known in commits(machine, folder)) or "none"
        raise LookupError(f"no results of commit {commit} on {machine!r}; there are: {known}")
    return found


def values(machine: str, commit: str, folder: Path = RESULTS) -> Values:
    found = measurements(machine, commit, folder)
    return {key: one.value for key, one in found.items() if one.value is not None and one.known}


def newest(machine: str, folder: Path = RESULTS) -> Values:
    """Return the newest values on a machine.

    A benchmark that the newest commit left out has its value at the last commit that measured it.
    """
    return {key: value for key, (value, _) in newest_by_commit(machine, folder).items()}


def newest_by_commit(
    machine: str, folder: Path = RESULTS
) -> dict[tuple[str, ...], tuple[float, str]]:
    """Return the newest values with the commit of each.

    A benchmark that failed at the newest commit has no value, instead of an older commit's.
    """
    found: dict[tuple[str, ...], tuple[Measurement, str]] = {}
    for commit in reversed(commits(machine, folder)):
        for key, one in measurements(machine, commit, folder).items():
            newer, _ = found.get(key, (one, commit))
            left_out = not newer.known and newer.value is not None
            if key not in found or (left_out and one.version == newer.version):
                found[key] = one, commit
    return {
        key: (one.value, commit)
        for key, (one, commit) in found.items()
        if one.value is not None and one.known
    }


def _files(machine: str, folder: Path) -> list[Results]:
    return list(iter_results_for_machine(str(folder), machine))


def _of_benchmark(result: Results, name: str) -> Measurements:
    params = result.get_result_params(name)
    version = result.benchmark_version[name]
    columns = (result.get_result_value, result.get_result_stats, result.get_result_samples)
    values = zip(*(column(name, params) for column in columns), strict=True)
    choices = product(*([value.strip("'") for value in choice] for choice in params))
    return {
        (name, *chosen): Measurement(value, stats, samples, version)
        for chosen, (value, stats, samples) in zip(choices, values, strict=True)
    }
