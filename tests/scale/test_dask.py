"""Workers of Dask, processes or threads, compute a population; some die, runs are cancelled."""

import os
import sys
import threading
import time

import pytest
from distributed import Client, LocalCluster
from scale import populations
from scale.cells import assert_same
from scale.populations import N

import hhplug.distributed
from hhplug import InvalidInput, MissingExtra, open_result, simulate
from hhplug.distributed.dask import _compute
from hhplug.distributed.shards import layout, unfinished
from hhplug.stores.store import RunStore

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

IDLE_SECONDS = 1.0  # s; a worker is idle so soon after a run was cancelled


@pytest.fixture(scope="module")
def processes():
    """A client with a worker that is a process, and that is replaced if it dies."""
    with (
        LocalCluster(1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def threads():
    """A client with two workers' threads in this process."""
    with Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0"
    ) as client:
        yield client


def run(client, store, population=populations.noisy, shard=6, **arguments):
    return hhplug.distributed.run(
        population, client, N, store=store, shard=shard, backend="reference", **arguments
    )


def dies_once(flag):
    """A population that ends the first process that makes neurons 6 to 11."""

    def population(neurons):
        if neurons.start == 6 and not flag.exists():
            flag.touch()
            os._exit(1)
        return populations.noisy(neurons)

    return population


def test_processes_compute_a_population_although_a_worker_dies(processes, tmp_path):
    seen = []
    path = run(processes, tmp_path / "run.zarr", dies_once(tmp_path / "died"), progress=seen.append)
    assert (tmp_path / "died").exists()
    assert_same(open_result(path), simulate(populations.noisy(slice(0, N)), "reference"))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_threads_compute_a_population_and_what_is_done_isnt_done_again(threads, tmp_path):
    path = run(threads, tmp_path / "run.zarr")
    assert_same(open_result(path), simulate(populations.noisy(slice(0, N)), "reference"))
    made = []

    def population(neurons):
        made.append(neurons)
        return populations.noisy(neurons)

    assert run(threads, path, population, shard=None) == path
    assert made == [slice(0, 6)]  # to see that it is the same population


@pytest.mark.usefixtures("sigint_handler")
def test_ctrl_c_leaves_the_workers_idle_within_a_second_and_the_run_goes_on(threads, tmp_path):
    def stop(done):
        if done > 0.0:
            raise KeyboardInterrupt

    store = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(threads, store, populations.slow, progress=stop)
    assert_idle_soon(threads)
    assert unfinished(RunStore(store)) == [0, 1, 2, 3]


def test_workers_are_idle_within_a_second_after_their_client_is_gone(threads, tmp_path):
    store = layout(tmp_path / "run.zarr", populations.slow, N, 6, "reference")
    with Client(threads.scheduler.address) as client:
        keep = client.submit(
            _compute, 0, store, populations.slow, backend="reference", topic="none", pure=False
        )
        while not any(threads.run(executing).values()):
            time.sleep(0.02)
        assert keep.status == "pending"
    assert_idle_soon(threads)


def assert_idle_soon(client):
    stopped, computed = time.monotonic(), time.process_time()
    while any(client.processing().values()) or any(client.run(executing).values()):
        waited = min(time.monotonic() - stopped, time.process_time() - computed)
        assert waited < IDLE_SECONDS  # of either, because other programs may use the processor
        time.sleep(0.02)


def executing(dask_worker):
    return dask_worker.state.executing_count


def test_an_error_on_a_worker_ends_the_run_with_that_error(threads, tmp_path):
    with pytest.raises(ArithmeticError, match="no such neurons"):
        run(threads, tmp_path / "run.zarr", populations.failing)


def test_a_population_that_cannot_be_sent_is_refused_in_words(threads, tmp_path):
    lock = threading.Lock()

    def population(neurons):
        with lock:
            return populations.noisy(neurons)

    with pytest.raises(InvalidInput, match=r"can't be sent .*cannot pickle '_thread.lock' object"):
        run(threads, tmp_path / "run.zarr", population)


def test_a_task_asks_for_its_share_of_the_memory(threads):
    from distributed import get_worker

    from hhplug.distributed.dask import _share

    share = threads.submit(lambda: _share(get_worker()), pure=False).result()
    assert share == pytest.approx(0.5, rel=0.01)  # one worker of two threads has all of it


def test_without_dask_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hhplug.distributed.dask", None)
    with pytest.raises(MissingExtra, match="needs Dask: pip install distributed"):
        run(None, tmp_path / "run.zarr")
