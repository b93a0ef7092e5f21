"""The number of steps of a block, tested with a clock that only the test advances."""

import pytest

from hhplug.running.block_length import BlockLength

MOST = 65_536  # steps of a block
LONG = 10**9  # steps of a run
FEW = 100  # neurons


@pytest.fixture
def clock(monkeypatch):
    """[s]"""
    now = [0.0]
    monkeypatch.setattr("hhplug.running.block_length.perf_counter", lambda: now[0])
    return now


def blocks(clock, pace, n_steps, step, beside=0.0, other=0.0):
    """Run all blocks; return the steps and seconds of each.

    A step takes `step` s, a block `beside` s more, and `other` s pass between two blocks.
    """
    done = []
    while n_steps > 0:
        count = min(pace.steps, n_steps)
        clock[0] += beside + count * step
        pace.took(count)
        clock[0] += other
        pace.start_timing()
        done.append((count, beside + count * step))
        n_steps -= count
    return done


@pytest.mark.parametrize("step", [1e-8, 1e-6, 1e-4, 1e-3, 0.05, 0.5])
def test_blocks_converge_to_a_tenth_of_a_second(clock, step):
    *_, (count, seconds), _ = blocks(
        clock, BlockLength(FEW, LONG, MOST), int(100 / step) + 300, step
    )
    assert seconds == pytest.approx(0.1, rel=0.1) or count in (1, MOST)


def test_the_first_blocks_of_a_large_population_are_short():
    assert BlockLength(4_000, LONG, MOST).steps == 64
    assert BlockLength(2**15, LONG, MOST).steps == 8
    assert BlockLength(10**9, LONG, MOST).steps == 1
    assert BlockLength(1, 10, 10).steps == 10


@pytest.mark.parametrize("beside", [0.02, 0.09, 0.1, 0.12, 0.3, 2.0])
@pytest.mark.parametrize("step", [1e-6, 1e-3])
def test_the_fixed_cost_of_a_block_does_not_dominate(clock, beside, step):
    done = blocks(clock, BlockLength(FEW, LONG, MOST), round(50 / step), step, beside)
    taken = sum(seconds for _, seconds in done)
    assert taken < 1.7 * (50.0 + 50 / step / MOST * beside)
    assert max(seconds for _, seconds in done) < max(0.3, 8 * beside)


@pytest.mark.parametrize("beside", [0.0, 0.005, 0.02, 0.1, 0.3])
@pytest.mark.parametrize("step", [1e-6, 1e-5, 3e-4])
@pytest.mark.parametrize("n_steps", [300, 5000, 100_000])
def test_repeated_runs_do_not_become_slower(clock, beside, step, n_steps):
    known, taken = None, []
    for _ in range(6):
        known = BlockLength(FEW, n_steps, MOST, known)
        done = blocks(clock, known, n_steps, step, beside)
        taken.append(sum(seconds for _, seconds in done))
    least = n_steps * step + -(-n_steps // MOST) * beside
    assert taken[-1] < 1.1 * taken[0]
    assert taken[-1] < 1.5 * least


def test_a_population_of_another_size_is_measured_again(clock):
    known = BlockLength(10 * FEW, LONG, MOST)
    blocks(clock, known, 50_000, step=1e-3, beside=2.0)
    *_, (_, seconds), _ = blocks(clock, BlockLength(FEW, LONG, MOST, known), 50_000, step=1e-4)
    assert seconds == pytest.approx(0.1, rel=0.1)


def test_time_between_blocks_does_not_count(clock):
    done = blocks(clock, BlockLength(FEW, LONG, MOST), 100_000, step=1e-4, other=0.3)
    assert len(done) == pytest.approx(100, abs=10)


def test_a_slow_start_does_not_shorten_later_blocks(clock):
    pace = BlockLength(FEW, LONG, MOST)
    clock[0] += 5.0  # the device wakes up
    pace.took(64)
    *_, (count, _), _ = blocks(clock, pace, 20_000, step=1e-4)
    assert count == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize(
    ("done", "least", "most"),
    [
        (
            [(64, 0.05), (64, 0.0064), (1000, 0.1)],
            990,
            1010,
        ),  # of equal lengths, the later one is compared
        ([(64, 5.0), (1000, 0.1)], 1000, 4000),
        ([(64, 5.0), (1, 1e-4)], 128, 1000),
        ([(64, 0.0)], 64, 64 * 128),  # the block was done before it was read
    ],
)
def test_a_block_with_a_misleading_time_has_little_effect(clock, done, least, most):
    pace = BlockLength(FEW, LONG, MOST)
    for count, seconds in done:
        clock[0] += seconds
        pace.took(count)
    assert least <= pace.steps <= most


def test_a_slow_start_does_not_affect_the_next_run(clock):
    known = BlockLength(FEW, LONG, MOST)
    for count, seconds in [(64, 5.0), (1000, 0.1)]:
        clock[0] += seconds
        known.took(count)
    assert 1000 <= BlockLength(FEW, LONG, MOST, known).steps <= 4000


def test_blocks_that_cost_less_than_was_known_become_longer(clock):
    known = BlockLength(FEW, LONG, MOST)
    blocks(clock, known, 50_000, step=1e-3, beside=0.3)
    pace = BlockLength(FEW, LONG, MOST, known)
    clock[0] += 0.01
    pace.took(100)
    assert pace.steps > 1000


def test_no_block_is_longer_than_max_steps(clock):
    pace = BlockLength(FEW, LONG, 100)
    clock[0] += 0.1
    pace.took(64)
    assert pace.steps <= 100


def test_the_next_run_begins_with_the_known_speed(clock):
    known = BlockLength(FEW, LONG, MOST)
    blocks(clock, known, 20_000, step=1e-4)
    for n, first in [(FEW, 1000), (10 * FEW, 100), (FEW // 10, 1000), (10**9, 1)]:
        assert BlockLength(n, LONG, MOST, known).steps == pytest.approx(first, rel=0.01)
    assert BlockLength(FEW, LONG, 700, known).steps == 700


def test_a_run_is_cut_so_that_copies_overlap_with_computation(clock):
    known = BlockLength(FEW, LONG, MOST)
    blocks(clock, known, 20_000, step=1e-5)
    assert BlockLength(FEW, 4000, 4000, known).steps == 1000
    assert BlockLength(FEW, 1000, 1000, known).steps == pytest.approx(500, rel=0.01)  # 5 ms
    assert BlockLength(FEW, 400, 400, known).steps == 400
