"""What a person would say of samples that are wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.problem import Problem


def explained(
    name: str,
    ours: NDArray[Any],
    expected: NDArray[Any],
    bound: float,
    problem: Problem,
    lengths: Sequence[int],
    determined: NDArray[np.bool_] | None = None,
) -> str:
    """What is wrong with samples (n_samples, n_recorded) of which some are off by `bound` or more.

    lengths: of the blocks of the run, in steps, repeated until it ended.
    determined: the columns that must be near what is expected, by default all.
    """
    wrong = ~_near(ours, expected, bound)
    row, column = map(int, np.argwhere(wrong if determined is None else wrong & determined)[0])
    step = problem.sample_steps(problem.start_step, problem.n_steps)[row]
    block, begin, end = block_of(step - problem.start_step, lengths, problem.n_steps)
    where = (
        f"{name} is first off at step {step}, neuron {problem.neurons[column]}, in block {block} "
        f"(steps {problem.start_step + begin} to {problem.start_step + end - 1}): "
        f"{ours[row, column]!r} instead of {expected[row, column]!r}"
    )
    return f"{_guess(ours, expected, bound, row, block)}{where}"


def block_of(step: int, lengths: Sequence[int], n_steps: int) -> tuple[int, int, int]:
    """Number of the block, from 1, that has a step, and its first step and the one after it.

    Steps count from the beginning of the run.
    """
    begin, number = 0, 0
    while True:
        end = min(begin + lengths[number % len(lengths)], n_steps)
        number += 1
        if step < end:
            return number, begin, end
        begin = end


def _near(ours: NDArray[Any], expected: NDArray[Any], bound: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        near = (np.abs(np.asarray(ours, np.float64) - expected) < bound) | (ours == expected)
    return near | (np.isnan(ours) & np.isnan(expected))


def _guess(ours: NDArray[Any], expected: NDArray[Any], bound: float, row: int, block: int) -> str:
    """The likely fault, as the beginning of a sentence, or nothing; row, block: the first off."""
    rows, columns = ours.shape
    if rows > 1 and _near(ours[1:], expected[:-1], bound).all():
        return "the samples are one late: "
    if rows > 1 and _near(ours[:-1], expected[1:], bound).all():
        return "the samples are one early: "
    if _is_permuted(ours[row:], expected[row:], bound):
        since = "" if block == 1 else f" from block {block} on"
        return f"the recorded neurons are in another order{since}: "
    wrong = np.flatnonzero(~_near(ours, expected, bound).any(axis=0))
    if wrong.size:
        return (
            f"{len(wrong)} of {columns} columns are wrong throughout, from column {wrong[0]} on: "
        )
    return ""


def _is_permuted(ours: NDArray[Any], expected: NDArray[Any], bound: float) -> bool:
    """Whether each expected column is one of ours, and each of ours is taken once."""
    left = list(range(ours.shape[1]))
    for column in expected.T:
        match = next((i for i in left if _near(ours[:, i], column, bound).all()), None)
        if match is None:
            return False
        left.remove(match)
    return True
