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
) -> str:
    """What is wrong with samples (n_samples, n_recorded) of which some are off by `bound` or more.

    lengths: of the blocks of the run, in steps, repeated until it ended.
    """
    row, column = first_off(ours, expected, bound)
    step = problem.sample_steps(problem.start_step, problem.n_steps)[row]
    block, begin, end = block_of(step - problem.start_step, lengths, problem.n_steps)
    where = (
        f"{name} is first off at step {step}, neuron {problem.neurons[column]}, in block {block} "
        f"(steps {problem.start_step + begin} to {problem.start_step + end - 1}): "
        f"{ours[row, column]!r} instead of {expected[row, column]!r}"
    )
    return f"{_guess(ours, expected, bound, block)}{where}"


def first_off(ours: NDArray[Any], expected: NDArray[Any], bound: float) -> tuple[int, int]:
    """Row and column of the first sample that is off by `bound` or more, or is NaN."""
    row, column = np.argwhere(~_near(ours, expected, bound))[0]
    return int(row), int(column)


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
        return (np.abs(np.asarray(ours, np.float64) - expected) < bound) | (ours == expected)


def _guess(ours: NDArray[Any], expected: NDArray[Any], bound: float, block: int) -> str:
    """The likely fault, as the beginning of a sentence, or nothing."""
    rows, columns = ours.shape
    if rows > 2 and _near(ours[1:], expected[:-1], bound).all():
        return "the samples are one late: "
    if rows > 2 and _near(ours[:-1], expected[1:], bound).all():
        return "the samples are one early: "
    if columns > 1:
        order = _order_of_columns(ours, expected, bound)
        if order is not None:
            since = "" if block == 1 else f" from block {block} on"
            return f"the recorded neurons are in another order{since}: "
    if columns > 1 and not _near(ours, expected, bound).any(axis=0).all():
        lost = np.flatnonzero(~_near(ours, expected, bound).any(axis=0))
        return f"{len(lost)} of {columns} columns are wrong throughout, from column {lost[0]} on: "
    return ""


def _order_of_columns(ours: NDArray[Any], expected: NDArray[Any], bound: float) -> list[int] | None:
    """The order that makes the last sample's columns right, or None if none does."""
    left, order = list(range(ours.shape[1])), []
    for value in expected[-1]:
        match = next((i for i in left if _near(ours[-1, i], value, bound)), None)
        if match is None:
            return None
        left.remove(match)
        order.append(match)
    return order
