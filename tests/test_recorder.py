"""A run is given its recorder: one that keeps samples on disk gives the same result."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hhplug import Problem, Result, Stimulus, load_result, simulate
from hhplug.buffer_pool import BufferPool
from hhplug.plugins import choice
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.simulate import run
from hhplug.running.workspace import Workspace

N, T, DT = 5, 20.0, 0.05  # neurons, ms, ms


class FileArray:
    """Samples in files, one for each block, that are read when they are used."""

    def __init__(self, files, shape, dtype):
        self._files, self.shape, self.dtype = files, shape, dtype
        self.ndim, self.reads = len(shape), 0

    def __array__(self, dtype=None, copy=None):
        self.reads += 1
        return np.concatenate([np.load(file) for file in self._files]).astype(dtype or self.dtype)

    def __getitem__(self, index):
        return np.asarray(self)[index]


class FileRecorder(MemoryRecorder):
    """Keeps the spikes in memory, and writes the samples of each block to a file of its own."""

    def __init__(self, problem, pool, folder):
        super().__init__(problem, pool)
        self._kept, self._folder, self._files = problem, folder, []

    def collect(self, block):
        super().collect(block)
        self._files.append(self._folder / f"{len(self._files)}.npy")
        np.save(self._files[-1], block.samples["V"])

    def finish(self, n_steps, valid):
        outcome = super().finish(n_steps, valid)
        V = outcome.samples["V"]
        return outcome._replace(samples={"V": FileArray(self._files, V.shape, V.dtype)})


@pytest.fixture
def problem():
    current = Stimulus.constant(np.linspace(0.0, 20.0, N))
    return Problem(T, DT, stimulus=current, record_every=3, dtype="float64")


def run_to_files(problem, folder):
    """Return the result of a problem, whose samples are read when they are used."""
    folder.mkdir()
    return run(
        problem,
        choice.choose("numpy"),
        Workspace(BufferPool()),
        recorder_for=lambda problem, pool: FileRecorder(problem, pool, folder),
    )


@pytest.fixture
def lazy(problem, tmp_path):
    return run_to_files(problem, tmp_path / "samples")


def test_samples_are_not_read_before_they_are_used(lazy):
    assert isinstance(lazy.samples["V"], FileArray)
    assert f"V ({len(lazy.time)}, {N})" in repr(lazy)
    assert lazy.firing_rate(method="count").size == N
    assert lazy.samples["V"].reads == 0


def test_a_result_whose_samples_are_read_when_used_equals_one_in_memory(lazy, problem, tmp_path):
    kept = simulate(problem, "numpy")
    assert_array_equal(lazy.V, kept.V)
    assert_array_equal(lazy.V[7, 1:], kept.V[7, 1:])
    assert_array_equal(lazy.spikes.time, kept.spikes.time)
    assert_array_equal(lazy.final_state, kept.final_state)
    lazy.save(tmp_path / "lazy.npz")
    assert_array_equal(load_result(tmp_path / "lazy.npz").V, kept.V)
    assert_array_equal(lazy.to_xarray()["V"], kept.V)


def test_parts_whose_samples_are_read_when_used_are_joined(problem, tmp_path):
    parts = [
        run_to_files(problem.take(neurons), tmp_path / str(neurons.start))
        for neurons in (slice(0, 2), slice(2, N))
    ]
    assert_array_equal(Result.join(parts).V, simulate(problem, "numpy").V)


def test_a_result_whose_samples_are_read_when_used_can_be_plotted(lazy):
    figure = lazy.plot()
    assert figure.axes
