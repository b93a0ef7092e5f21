"""Join results that were computed in parts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import known_arguments
from hhplug.currents.given import GivenStimulus
from hhplug.currents.given_array import ArrayStimulus
from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import Term, kind_of
from hhplug.errors import InvalidInput
from hhplug.membranes.parameters import ParameterValues
from hhplug.problem import Problem
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Spikes
from hhplug.state import side_by_side
from hhplug.validity import Invalid, earliest

if TYPE_CHECKING:
    from hhplug.results.result import Result, Timing

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
    parts = _checked("concat", results)
    for number, (before, after) in enumerate(pairwise(parts), 1):
        _check_neighbours(number, before, after)
    first, last = parts[0], parts[-1]
    return replace(
        first,
        problem=_whole_problem([part.problem for part in parts]),
        backend=named([part.backend for part in parts]),
        backend_version=named([part.backend_version for part in parts]),
        device=named([part.device for part in parts]),
        timing=summed_timing([part.timing for part in parts]),
        noise_from=named([part.noise_from for part in parts if part.noise_from]),
        written=last.written,
        outcome=_end_to_end([part.outcome for part in parts]),
        final=last.final,
    )


def _check_neighbours(number: int, before: "Result", after: "Result") -> None:
    """Raise InvalidInput unless `after`, result `number`, continues the run of `before`."""
    one, other = before.problem, after.problem
    for name in ALIKE:
        mine, theirs = getattr(one, name), getattr(other, name)
        settling = name in OF_FEATURES and not one.features
        if mine != theirs and not settling:
            raise InvalidInput(
                f"results must have the same {name} to be joined, but result {number - 1} has "
                f"{mine!r} and result {number} has {theirs!r}"
            )
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


def named(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def summed_timing(timings: "Sequence[Timing]") -> "Timing":
    """The sum of the times of parts."""
    totals = {name: sum(vars(timing)[name] for timing in timings) for name in vars(timings[0])}
    return replace(timings[0], **totals)


def _checked(what: str, results: Any) -> "list[Result]":
    """The results as a list, with their arrays on the host.

    Raises InvalidInput for an empty list or anything that isn't a Result.
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


SAME_RUN = ("start_step", "n_steps", *(name for name in ALIKE if name != "n_neurons"))


def join(results: "Iterable[Result]") -> "Result":
    """The result that `Result.join` returns."""
    parts = _checked("join", results)
    first = parts[0]
    for number, part in enumerate(parts):
        for name in SAME_RUN:
            mine, theirs = getattr(first.problem, name), getattr(part.problem, name)
            if mine != theirs:
                raise InvalidInput(
                    f"results must have the same {name} to be joined, but result 0 has {mine!r} "
                    f"and result {number} has {theirs!r}"
                )
    ids = np.concatenate([part.problem.neuron_ids for part in parts])
    order = np.argsort(ids, kind="stable")
    if not np.array_equal(ids[order], np.arange(len(ids))):
        raise InvalidInput(
            f"results must hold each neuron of a population of {len(ids)} once to be joined; make "
            "their problems with problem.take"
        )
    # Index in the whole population of each neuron, in the order of the parts.
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids))
    begins = np.cumsum([0, *(part.problem.n_neurons for part in parts)])
    recorded = np.concatenate(
        [place[begin + part.neurons] for begin, part in zip(begins, parts, strict=False)]
    )
    columns, record_neurons = _columns([part.problem for part in parts], recorded)
    return replace(
        first,
        problem=whole_population([part.problem for part in parts], order, record_neurons),
        backend=named([part.backend for part in parts]),
        backend_version=named([part.backend_version for part in parts]),
        device=named([part.device for part in parts]),
        timing=summed_timing([part.timing for part in parts]),
        noise_from=named([part.noise_from for part in parts if part.noise_from]),
        written=max(part.written for part in parts),
        outcome=Outcome(
            samples={
                name: np.concatenate([part.samples[name] for part in parts], axis=1)[:, columns]
                for name in first.samples
            },
            spikes=(
                None
                if first.outcome.spikes is None
                else _trains_side_by_side(parts, begins, place, order)
            ),
            spike_count=(
                None
                if first.outcome.spike_count is None
                else np.concatenate([part.spike_count for part in parts])[order]
            ),
            invalid=invalid_side_by_side([part.invalid for part in parts], begins, place),
            features={
                name: np.concatenate([part.features[name] for part in parts])[order]
                for name in first.outcome.features
            },
        ),
        final=side_by_side([part.final for part in parts], order),
    )


def _columns(
    problems: Sequence[Problem], recorded: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """The order of the recorded columns in the whole result, and its record_neurons.

    recorded: index in the whole population of each recorded column, in the order of the parts.
    """
    if all(problem.record_neurons is None for problem in problems):
        return np.argsort(recorded), None
    ranks = [problem.record_ranks for problem in problems]
    if any(rank is None for rank in ranks):
        columns = np.arange(len(recorded))  # keeps the order of the parts
    else:
        columns = np.argsort(np.concatenate([rank for rank in ranks if rank is not None]))
    return columns, recorded[columns]


def _trains_side_by_side(
    parts: "Sequence[Result]",
    begins: NDArray[np.int64],
    place: NDArray[np.int64],
    order: NDArray[np.int64],
) -> Spikes:
    neuron = np.concatenate(
        [place[begin + part.spikes.neuron] for begin, part in zip(begins, parts, strict=False)]
    )
    by_neuron = np.argsort(neuron, kind="stable")  # keeps the order of time
    time = np.concatenate([part.spikes.time for part in parts])
    valid = np.concatenate([part.valid for part in parts])
    return Spikes(neuron[by_neuron], time[by_neuron], valid[order])


def invalid_side_by_side(
    parts: Sequence[Invalid], begins: NDArray[np.int64], place: NDArray[np.int64]
) -> Invalid:
    """The invalid neurons of several populations together; begins, place: as in `join`."""
    numbered = zip(begins, parts, strict=False)
    return earliest([(place[begin + part.neuron], part.step) for begin, part in numbered])


def _check_kinds(stimuli: Sequence[GivenStimulus]) -> None:
    """Raise InvalidInput unless all stimuli are arrays, or all have the same kinds of term."""
    kinds = [
        "an array" if each.terms is None else " + ".join(map(kind_of, each.terms)) or "no current"
        for each in stimuli
    ]
    for number, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise InvalidInput(
                "results must have the same kind of stimulus to be joined, but that of result 0 is "
                f"{kinds[0]} and that of result {number} is {kind}"
            )


def whole_population(
    problems: Sequence[Problem],
    order: NDArray[np.int64],
    record_neurons: NDArray[np.int64] | None,
) -> Problem:
    """The problem of the whole population. order: sorts the parts' neurons by neuron_ids."""
    first = problems[0]

    def together(values: Sequence[Any]) -> Any:
        """One number for all, or the values of all neurons."""
        if all(np.ndim(value) == 0 and value == values[0] for value in values):
            return values[0]
        rows = [np.broadcast_to(v, p.n_neurons) for v, p in zip(values, problems, strict=True)]
        return np.concatenate(rows)[order]

    stimuli = [problem.given_stimulus for problem in problems]
    _check_kinds(stimuli)
    terms = [stimulus.terms for stimulus in stimuli if stimulus.terms is not None]
    if len(terms) == len(stimuli):
        stimulus: GivenStimulus = Stimulus.together(terms, together)
    elif all(one.n_neurons is None and one.as_given is first.stimulus for one in stimuli):
        stimulus = stimuli[0]  # one current for all neurons
    else:
        rows = [
            np.broadcast_to(
                np.reshape(p.current.array.chunk(p.start_step, p.n_steps), (p.n_steps, -1)),
                (p.n_steps, p.n_neurons),
            )
            for p in problems
            if p.current.array is not None
        ]
        stimulus = ArrayStimulus(np.concatenate(rows, axis=1)[:, order])
    parameters = {
        name: together([problem.parameters[name] for problem in problems])
        for name in first.parameters
    }
    begins = np.cumsum([0, *(problem.n_neurons for problem in problems)])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first.joined(
        n_neurons=len(order),
        parameters=ParameterValues(first.membrane, parameters),
        initial=side_by_side([problem.initial for problem in problems], order),
        invalid=invalid_side_by_side([problem.invalid for problem in problems], begins, place),
        given_stimulus=stimulus,
        record_neurons=record_neurons,
    )
