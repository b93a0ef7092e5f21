"""What it takes to join results, whether they are consecutive runs or parts of a population."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hhplug.errors import InvalidInput
from hhplug.problem import Problem
from hhplug.results.timing import summed

if TYPE_CHECKING:
    from hhplug.results.result import Result

OF_FEATURES = "features", "window_steps"
ALIKE = (
    "n_neurons",
    "membrane",
    "dt",
    "method",
    "dtype",
    "record",
    "record_every",
    "spikes",
    "spike_threshold",
    *OF_FEATURES,
)
"""Attributes in which the problems of joined results are equal."""


def checked_results(what: str, results: Any) -> "list[Result]":
    """The results as a list, with their arrays on the host.

    what: the name of the function that joins them. Raises InvalidInput for an empty list or
    anything that isn't a Result.
    """
    given = [results] if hasattr(results, "on_host") else list(results)
    for number, result in enumerate(given):
        if not hasattr(result, "on_host"):
            raise InvalidInput(
                f"{what} takes a list of results, but number {number} is a {type(result).__name__}"
            )
    if not given:
        raise InvalidInput(f"{what} takes at least one result, got none")
    return [result.on_host() for result in given]


def check_alike(names: Iterable[str], problems: Sequence[Problem], one: int, other: int) -> None:
    """Raise InvalidInput unless two problems are equal in these attributes.

    one, other: the places of the two problems.
    """
    for name in names:
        mine, theirs = getattr(problems[one], name), getattr(problems[other], name)
        if mine != theirs:
            raise InvalidInput(
                f"results must have the same {name} to be joined, but result {one} has {mine!r} "
                f"and result {other} has {theirs!r}"
            )


def named(names: Iterable[str]) -> str:
    """The names that aren't empty, each once, for example "NVIDIA H100, NVIDIA H200"."""
    return ", ".join(dict.fromkeys(name for name in names if name))


def origin_of(parts: "Sequence[Result]") -> dict[str, Any]:
    """The fields of a joined result that say what computed it, and how long that took."""
    return {
        "backend": named(part.backend for part in parts),
        "backend_version": named(part.backend_version for part in parts),
        "device": named(part.device for part in parts),
        "noise_from": named(part.noise_from for part in parts),
        "timing": summed([part.timing for part in parts]),
    }
