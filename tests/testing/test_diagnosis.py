"""What a failure says of wrong samples, and of arrays that are written outside their rows."""

import numpy as np
import pytest

from hhplug import Problem
from hhplug.testing.diagnosis import block_of, explained
from hhplug.testing.guarded import GuardedRecorder

N_STEPS, N = 10, 4
BOUND = 1e-6  # mV
LENGTHS = [4, 3]  # of blocks: steps 0 to 3, 4 to 6, 7 to 9


@pytest.fixture
def problem():
    return Problem(1.0, 0.1, batch_size=N, dtype="float64", record_neurons=[3, 1, 0])


@pytest.fixture
def right():
    return np.random.default_rng(3).uniform(-80.0, 40.0, (N_STEPS, 3))


def said(ours, right, problem):
    return explained("V", ours, right, BOUND, problem, LENGTHS)


def test_the_first_wrong_sample_has_its_step_neuron_and_block(problem, right):
    ours = right.copy()
    ours[7, 1] = np.nan
    assert said(ours, right, problem).startswith(
        "V is first off at step 7, neuron 1, in block 3 (steps 7 to 9): np.float64(nan) instead of"
    )


def test_samples_that_are_shifted_in_time(problem, right):
    late = np.concatenate([right[:1], right[:-1]])
    assert said(late, right, problem).startswith("the samples are one late: V is first off at")
    early = np.concatenate([right[1:], right[-1:]])
    assert said(early, right, problem).startswith("the samples are one early: ")


def test_columns_in_another_order_from_a_block_on(problem, right):
    ours = right.copy()
    ours[4:] = right[4:, [2, 0, 1]]
    begin = "the recorded neurons are in another order from block 2 on: V is first off at step 4"
    assert said(ours, right, problem).startswith(begin)
    assert said(right[:, ::-1], right, problem).startswith(
        "the recorded neurons are in another order: "
    )


def test_columns_that_are_wrong_throughout(problem, right):
    ours = right.copy()
    ours[:, 1:] += 1.0
    assert said(ours, right, problem).startswith("2 of 3 columns are wrong throughout, from column")


@pytest.mark.parametrize(
    ("step", "block"), [(0, (1, 0, 4)), (3, (1, 0, 4)), (4, (2, 4, 7)), (9, (3, 7, 10))]
)
def test_the_block_of_a_step(step, block):
    assert block_of(step, LENGTHS, N_STEPS) == block


@pytest.mark.parametrize(
    ("row", "said"),
    [(-1, "V of block 1 is written before its first row"), (4, "written past its last row")],
)
def test_a_write_outside_a_blocks_rows_is_noticed(problem, row, said):
    recorder = GuardedRecorder(problem)
    block = recorder.block(0, 4)
    V = block.samples["V"]
    V[:] = 0.0
    V.base[1 + row] = 0.0
    with pytest.raises(AssertionError, match=said):
        recorder.collect(block)


def test_a_row_that_is_not_written_is_noticed(problem):
    recorder = GuardedRecorder(problem)
    block = recorder.block(0, 4)
    block.samples["V"][:3] = 0.0
    with pytest.raises(AssertionError, match="V of block 1 has rows that aren't written, first 3"):
        recorder.collect(block)


def test_a_count_outside_the_population_is_noticed(problem):
    recorder = GuardedRecorder(problem)
    block = recorder.block(0, 4)
    block.samples["V"][:] = 0.0
    block.spike_count.base[-1] += 1
    with pytest.raises(AssertionError, match="spike_count of block 1 is written outside"):
        recorder.collect(block)
