"""Join results that were computed in parts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import known_arguments
from hhplug.errors import InvalidInput
from hhplug.problem import Problem
from hhplug.result import Result, Timing
from hhplug.spikes import Spikes
from hhplug.stimulus import Stimulus

ALIKE = ("n_neurons", "dt", "dtype", "record", "record_every", "spikes", "spike_threshold")


@known_arguments
def concat(results: Iterable[Result]) -> Result:
    """One result of runs laid end to end, each resumed from the one before.

    Samples, spikes and final state are those of one long run, bit for bit. Where all parts had
    the same Stimulus it is the stimulus of the whole; else that is an array of every step, by
    which a repeat in float32 may round otherwise.

    Raises InvalidInput unless each part begins at the step and in the state in which the one
    before ended, and has its population, dt, precision and what is kept.
    """
    given = [results] if isinstance(results, Result) else list(results)
    for number, result in enumerate(given):
        if not isinstance(result, Result):
            raise InvalidInput(
                f"concat takes a list of results, but number {number} is a {type(result).__name__}"
            )
    parts = [result.on_host() for result in given]
    if not parts:
        raise InvalidInput("concat takes at least one result, got none")
    for number, (before, after) in enumerate(pairwise(parts), 1):
        _check_neighbours(number, before, after)
    first, last = parts[0], parts[-1]
    return replace(
        first,
        problem=_whole_problem([part.problem for part in parts]),
        backend=_named([part.backend for part in parts]),
        backend_version=_named([part.backend_version for part in parts]),
        device=_named([part.device for part in parts]),
        timing=Timing(*(sum(column) for column in zip(*map(_seconds, parts), strict=True))),
        written=last.written,
        samples={
            name: np.concatenate([part.samples[name] for part in parts]) for name in first.samples
        },
        final_state=last.final_state,
        spike_times=(
            None if first.spike_times is None else _whole_train([part.spikes for part in parts])
        ),
        spike_counts=(
            None
            if first.spike_counts is None
            else np.sum([part.spike_count for part in parts], axis=0)
        ),
    )


def _check_neighbours(number: int, before: Result, after: Result) -> None:
    """Raise InvalidInput unless result `number`, after, goes on where the one before ended."""
    one, other = before.problem, after.problem
    for name in ALIKE:
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs:
            raise InvalidInput(
                f"results must have the same {name} to be joined, but result {number - 1} has "
                f"{mine!r} and result {number} has {theirs!r}"
            )
    for name, value in vars(one.parameters).items():
        if not np.array_equal(value, getattr(other.parameters, name)):
            raise InvalidInput(f"result {number} has another {name} than result {number - 1}")
    if not np.array_equal(one.neurons, other.neurons):
        raise InvalidInput(f"result {number} has other record_neurons than result {number - 1}")
    if other.start_step != one.end_step:
        raise InvalidInput(
            f"result {number} begins at step {other.start_step}, but result {number - 1} ends at "
            f"step {one.end_step}; run it with resume=, and give the results in order"
        )
    if not np.array_equal(other.initial_state, before.final_state, equal_nan=True):
        raise InvalidInput(
            f"result {number} doesn't begin in the state in which result {number - 1} ended; run "
            "it with resume="
        )


def _whole_problem(problems: Sequence[Problem]) -> Problem:
    first = problems[0]
    n_steps = sum(problem.n_steps for problem in problems)
    if all(_same(first.stimulus, problem.stimulus) for problem in problems):
        return first.with_steps(n_steps, first.stimulus)
    return first.with_steps(n_steps, np.concatenate([_rows(p, problems) for p in problems]))


def _same(one: Any, other: Any) -> bool:
    """Whether both are one Stimulus, or two with the same terms."""
    if not (isinstance(one, Stimulus) and isinstance(other, Stimulus)):
        return False
    return len(one.terms) == len(other.terms) and all(
        type(mine) is type(theirs)
        and all(np.array_equal(value, vars(theirs)[name]) for name, value in vars(mine).items())
        for mine, theirs in zip(one.terms, other.terms, strict=True)
    )


def _rows(problem: Problem, problems: Sequence[Problem]) -> NDArray[Any]:
    """The current of every step, with a column for each neuron if any of the problems has one."""
    if isinstance(problem.stimulus, Stimulus):
        rows = np.stack(list(problem.current.rows(problem.start_step, problem.n_steps)))
    else:
        rows = problem.stimulus.reshape(problem.n_steps, -1)
    widest = max(
        p.stimulus.batch_size or 1 if isinstance(p.stimulus, Stimulus) else p.stimulus[0].size
        for p in problems
    )
    return np.broadcast_to(rows, (problem.n_steps, widest))


def _whole_train(trains: Sequence[Spikes]) -> Spikes:
    neuron = np.concatenate([train.neuron for train in trains])
    order = np.argsort(neuron, kind="stable")  # the trains come by time
    time = np.concatenate([train.time for train in trains])
    return Spikes(neuron[order], time[order], trains[-1].valid)


def _named(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _seconds(result: Result) -> tuple[float, float, float]:
    timing = result.timing
    return timing.compile, timing.run, timing.total
