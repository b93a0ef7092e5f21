"""Join the results of consecutive runs into that of one long run."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import known_arguments
from hhplug.currents.given_array import ArrayStimulus
from hhplug.currents.terms import Term
from hhplug.errors import InvalidInput
from hhplug.problem import Problem
from hhplug.results.joining import ALIKE, OF_FEATURES, check_alike, checked_results, origin_of
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Spikes
from hhplug.validity import earliest

if TYPE_CHECKING:
    from hhplug.results.result import Result


@known_arguments
def concat(results: "Iterable[Result]") -> "Result":
    """Join the results of consecutive runs, each resumed from the one before, into one.

    Samples, spikes and final state are those of one long run, bit for bit. If all runs have the
    same Stimulus, the joined result has it too. Otherwise its stimulus is an array with the current
    of every step, so that a repetition in float32 may round differently. Features are those of the
    last run; runs before it may have the same, or none where neurons settle first.

    Raises InvalidInput if a run doesn't begin at the step and in the state at which the one before
    ended, or if the runs differ in their neurons, dt, method, precision or what they record.

    >>> import hhplug
    >>> sim = hhplug.Simulator("numpy")
    >>> first = sim.run(T=2.0)
    >>> hhplug.concat([first, sim.run(T=1.0, resume=first)]).V.shape
    (300, 1)
    """
    parts = checked_results("concat", results)
    problems = [part.problem for part in parts]
    for number in range(1, len(parts)):
        settles = not problems[number - 1].features
        alike = [name for name in ALIKE if not (settles and name in OF_FEATURES)]
        check_alike(alike, problems, number - 1, number)
        _check_continues(number, parts[number - 1], parts[number])
    first, last = parts[0], parts[-1]
    return replace(
        first,
        problem=_whole_problem(problems),
        **origin_of(parts),
        written=last.written,
        outcome=_end_to_end([part.outcome for part in parts]),
        final=last.final,
    )


def _check_continues(number: int, before: "Result", after: "Result") -> None:
    """Raise InvalidInput unless `after`, result `number`, continues the run of `before`."""
    one, other = before.problem, after.problem
    for name, value in one.parameters.items():
        if not np.array_equal(value, other.parameters[name]):
            raise InvalidInput(f"result {number} has another {name} than result {number - 1}")
    if not np.array_equal(one.neurons, other.neurons):
        raise InvalidInput(f"result {number} has other record_neurons than result {number - 1}")
    if other.start_step != one.end_step:
        raise InvalidInput(
            f"result {number} begins at step {other.start_step}, but result {number - 1} ends at "
            f"step {one.end_step}; run it with resume=, and give the results in order"
        )
    carried = before.final.carry, other.initial.carry
    if not np.array_equal(other.initial_state, before.final_state, equal_nan=True) or not (
        carried[0].keys() == carried[1].keys()
        and all(
            np.array_equal(values, carried[1][name], equal_nan=True)
            for name, values in carried[0].items()
        )
    ):
        raise InvalidInput(
            f"result {number} doesn't begin in the state in which result {number - 1} ended; run "
            "it with resume="
        )


def _whole_problem(problems: Sequence[Problem]) -> Problem:
    last = problems[-1]
    first = problems[0].with_features(last.features, last.window, last.window_steps)
    n_steps = sum(problem.n_steps for problem in problems)
    stimulus = first.given_stimulus
    if all(_same(stimulus.terms, problem.given_stimulus.terms) for problem in problems):
        return first.with_steps(n_steps, stimulus)
    rows = [_rows(problem) for problem in problems]
    widest = max(row.shape[1] for row in rows)
    wide = [np.broadcast_to(row, (len(row), widest)) for row in rows]
    return first.with_steps(n_steps, ArrayStimulus(np.concatenate(wide)))


def _same(one: tuple[Term, ...] | None, other: tuple[Term, ...] | None) -> bool:
    """Whether both are equal terms, and neither is an array."""
    if one is None or other is None:
        return False
    return len(one) == len(other) and all(
        type(mine) is type(theirs)
        and all(np.array_equal(value, vars(theirs)[name]) for name, value in vars(mine).items())
        for mine, theirs in zip(one, other, strict=True)
    )


def _rows(problem: Problem) -> NDArray[Any]:
    """The current of every step: (n_steps, n), or (n_steps, 1) if it is one for all neurons."""
    if problem.given_stimulus.terms is None:
        return problem.given_stimulus.as_argument.reshape(problem.n_steps, -1)
    return np.stack(list(problem.current.rows(problem.start_step, problem.n_steps)))


def _end_to_end(outcomes: Sequence[Outcome]) -> Outcome:
    """The arrays of consecutive runs, joined along time."""
    trains = [outcome.spikes for outcome in outcomes if outcome.spikes is not None]
    counts = [outcome.spike_count for outcome in outcomes if outcome.spike_count is not None]
    return Outcome(
        samples={
            name: np.concatenate([outcome.samples[name] for outcome in outcomes])
            for name in outcomes[0].samples
        },
        spikes=_whole_train(trains) if trains else None,
        spike_count=np.sum(counts, axis=0) if counts else None,
        invalid=earliest([outcome.invalid for outcome in outcomes]),
        features=outcomes[-1].features,
    )


def _whole_train(trains: Sequence[Spikes]) -> Spikes:
    neuron = np.concatenate([train.neuron for train in trains])
    order = np.argsort(neuron, kind="stable")  # keeps the order of time
    time = np.concatenate([train.time for train in trains])
    return Spikes(neuron[order], time[order], np.logical_and.reduce([t.valid for t in trains]))
