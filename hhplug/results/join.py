"""Join the results of the parts of a population into that of the whole."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.given import GivenStimulus
from hhplug.currents.given_array import ArrayStimulus
from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import kind_of
from hhplug.errors import InvalidInput
from hhplug.membranes.parameters import ParameterValues
from hhplug.problem import Problem
from hhplug.results.joining import ALIKE, check_alike, checked_results, origin_of
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Spikes
from hhplug.state import side_by_side
from hhplug.validity import Invalid, earliest

if TYPE_CHECKING:
    from hhplug.results.result import Result

SAME_RUN = ("start_step", "n_steps", *(name for name in ALIKE if name != "n_neurons"))


def join(results: "Iterable[Result]") -> "Result":
    """The result that `Result.join` returns."""
    parts = checked_results("join", results)
    first, problems = parts[0], [part.problem for part in parts]
    for number in range(1, len(parts)):
        check_alike(SAME_RUN, problems, 0, number)
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
    columns, record_neurons = _columns(problems, recorded)
    return replace(
        first,
        problem=whole_population(problems, order, record_neurons),
        **origin_of(parts),
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
