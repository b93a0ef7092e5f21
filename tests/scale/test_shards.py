"""A population computed shard by shard is the population computed at once, bit for bit."""

import pytest
import xarray
from numpy.testing import assert_array_equal
from scale import populations
from scale.cells import DT, SEGMENT, STATE, T, assert_same, segments_of
from scale.populations import N

from hhplug import InvalidInput, NotEnoughMemory, Problem, Result, open_result, simulate
from hhplug.buffer_pool import BufferPool
from hhplug.distributed.shards import (
    advance_shard,
    layout,
    part,
    problem_of,
    status,
    unfinished,
)  # fmt: skip
from hhplug.running import memory_check
from hhplug.stores.shard import Shard


def computed(store, population, shard, backend="reference"):
    """The store of a population, computed in shards."""
    with segments_of(SEGMENT):
        plan = layout(store, population, N, shard, backend)
        for number in unfinished(plan):
            assert advance_shard(plan, population, number, backend)
    return plan


@pytest.mark.parametrize(("name", "shard"), [("noisy", 9), ("counted", 22)])
def test_any_cut_of_a_population_joins_to_the_whole(tmp_path, name, shard):
    population = getattr(populations, name)
    plan = computed(tmp_path / "run.zarr", population, shard)
    expected = simulate(population(slice(0, N)), "reference")
    assert_same(open_result(plan.path), expected)
    assert open_result(plan.path).parameters == expected.parameters
    assert repr(open_result(plan.path).stimulus) == repr(expected.stimulus)
    dataset = xarray.open_zarr(plan.path, consolidated=False)
    assert_array_equal(dataset.spike_count, expected.spike_count)
    assert_array_equal(dataset.final_state, expected.final_state)


def test_shards_of_which_some_neurons_are_recorded_join_as_their_results_do(tmp_path):
    plan = computed(tmp_path / "run.zarr", populations.few_recorded, 6)
    parts = [
        simulate(problem_of(populations.few_recorded, plan.grid.neurons(number)), "reference")
        for number in range(4)
    ]
    assert_same(open_result(plan.path), Result.join(parts))
    assert open_result(plan.path).neurons.tolist() == [1, 0, 7, 6, 13, 12, 19, 18]


def test_columns_that_no_neuron_has_are_marked_and_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("hhplug.stores.grid.CHUNK_VALUES", 28)  # two columns of 14 samples
    plan = computed(tmp_path / "run.zarr", populations.noisy, 7)
    assert plan.grid.width == 8
    dataset = xarray.open_zarr(plan.path, consolidated=False)
    empty = (dataset.neuron == -1).values
    assert empty.sum() == 4 * 8 - N
    expected = simulate(populations.noisy(slice(0, N)), "reference")
    assert_array_equal(dataset.V[:, ~empty], expected.V)
    assert_same(open_result(plan.path), expected)


def test_parts_have_every_shard_once_and_status_says_what_is_done(tmp_path):
    with segments_of(SEGMENT):
        plan = layout(tmp_path / "run.zarr", populations.noisy, N, 6, "reference")
        parts = [part(plan, number, 3) for number in range(3)]
        assert sorted(shard for each in parts for shard in each) == [0, 1, 2, 3]
        advance_shard(plan, populations.noisy, 2, "reference")
    assert [shard.segments_done for shard in status(plan)] == [0, 0, 3, 0]
    assert unfinished(plan) == [0, 1, 3]
    assert unfinished(plan, parts[2]) == []
    with pytest.raises(InvalidInput, match="has 1 of 4 shards complete; run it to its end"):
        open_result(plan.path)


def test_a_shard_that_is_stopped_goes_on_elsewhere(tmp_path):
    seen = []
    with segments_of(SEGMENT):
        plan = layout(tmp_path / "run.zarr", populations.noisy, N, 6, "reference")
        stop = {"report": seen.append, "stopped": lambda: bool(seen) and seen[-1] > 0.3}
        assert not advance_shard(plan, populations.noisy, 1, "reference", **stop)
        assert 0 < status(plan)[1].segments_done < 3
    computed(plan.path, populations.noisy, 6)
    assert_same(open_result(plan.path), simulate(populations.noisy(slice(0, N)), "reference"))


CURRENT = populations.noisy(slice(6, 12)).stimulus
REFUSED = {
    "must return a Problem, got a NoneType": None,
    r"slice\(6, 12\)\) must return a Problem of 6 neurons, got 1": Problem(T, DT),
    "holds another run: it has another stimulus": Problem(
        T, DT, batch_size=6, initial_state=STATE
    ),
    "holds another run: it has another parameters": Problem(
        T, DT, stimulus=CURRENT, initial_state=STATE
    ),
    "it has T=2.0, and this has 3.0": Problem(3.0, DT, batch_size=6),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_a_function_that_makes_another_population_is_refused(tmp_path, words):
    plan = layout(tmp_path / "run.zarr", populations.noisy, N, 6, "reference")
    with pytest.raises(InvalidInput, match=words):
        advance_shard(plan, lambda _: REFUSED[words], 1, "reference")
    with pytest.raises(InvalidInput, match=r"23 neurons in shards of 6, and this has 23 in shards"):
        layout(tmp_path / "run.zarr", populations.noisy, N, 5)
    assert layout(tmp_path / "run.zarr", populations.noisy, N).grid == plan.grid


def test_another_population_with_the_same_plan_is_refused_where_a_shard_has_begun(tmp_path):
    plan = computed(tmp_path / "run.zarr", populations.noisy, 6)

    def other(neurons):
        return populations.noisy(slice(neurons.start + 1, neurons.stop + 1))

    for refused in (
        lambda: advance_shard(plan, other, 1, "reference"),
        lambda: layout(plan.path, other, N),  # complete as it is
    ):
        with pytest.raises(InvalidInput, match="holds another run: its stimulus 0 mean has other"):
            refused()
    with pytest.raises(InvalidInput, match="another run: it has another stimulus"):
        layout(plan.path, populations.counted, N)
    assert Shard(plan, 1).problem.neuron_ids.tolist() == [6, 7, 8, 9, 10, 11]


def test_the_precision_of_a_plan_is_that_of_the_backend_which_need_not_run_here(tmp_path):
    for backend, dtype in (("reference", "float64"), ("auto", "float32"), ("pycuda", "float32")):
        plan = layout(tmp_path / backend, populations.noisy, N, 6, backend)
        assert plan.problem["dtype"] == dtype


def test_processes_on_one_machine_ask_for_their_share_of_its_memory(monkeypatch):
    monkeypatch.setattr(memory_check, "free_memory", lambda: 10**9)
    problem, pool = Problem(100.0, batch_size=10_000, dtype="float32"), BufferPool()
    memory_check.refuse_too_large(problem, (10_000, 10_000), pool)
    with (
        memory_check.share_of_memory(0.25),
        pytest.raises(NotEnoughMemory, match=r"needs 0.4 GB, and 0.2 GB is free; use record_every"),
    ):
        memory_check.refuse_too_large(problem, (10_000, 10_000), pool)
