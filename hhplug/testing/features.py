"""Features of a population whose V crosses the threshold often, and what they must be.

The core can compute the features of every backend from its trace and its spikes. A backend that
computes them itself must give the same bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.buffer_pool import BufferPool
from hhplug.features.definitions import FEATURES, STRETCH
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import DType, Problem
from hhplug.running.feature_recorder import FeatureRecorder
from hhplug.running.loop import final_state, step_through
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.state import State
from hhplug.testing.kit import Repeated, assert_equal

N, DT = 133, 0.02  # neurons, ms
START = STRETCH - 18  # so that a stretch of samples ends within a short run
CUT = 9  # steps
THRESHOLD = -60.0  # mV
ALL = tuple(FEATURES)
LENGTHS = (7, 1, 5)  # steps of blocks; the window begins and ends within one


def feature_problem(n_steps: int, dtype: DType, **changes: Any) -> Problem:
    """N neurons that are driven up and down, but for each ninth, which stays silent."""
    rng = np.random.default_rng(1952)
    half_period, phase = rng.integers(2, 6, N), rng.integers(0, 10, N)
    step = np.arange(n_steps)[:, np.newaxis]
    I_ext = np.where((step + phase) // half_period % 2, -420.0, 500.0)  # µA/cm²
    I_ext[:, ::9] = 0.0
    window = (START + 3) * DT, (START + n_steps - 2) * DT
    given = {
        "T": n_steps * DT, "dt": DT, "dtype": dtype, "stimulus": I_ext, "start_step": START,
        "spike_threshold": THRESHOLD, "record": (), "spikes": "off",
        "parameters": {"C_m": np.linspace(0.9, 1.1, N)}, "features": ALL, "window": window,
    }  # fmt: skip
    return Problem(**{**given, **changes})


def by_the_core(opened: OpenedBackend) -> OpenedBackend:
    """The same backend, whose features the core computes."""
    capabilities = replace(opened.spec.capabilities, features=None)
    return replace(opened, spec=replace(opened.spec, capabilities=capabilities))


def features_in_blocks(
    opened: OpenedBackend, problem: Problem, lengths: Sequence[int] = LENGTHS
) -> tuple[Mapping[str, NDArray[np.float64]], State]:
    """The features of a run in blocks of these lengths, repeated, and the state at its end."""
    capabilities = opened.spec.capabilities
    recorder = FeatureRecorder(problem, capabilities, MemoryRecorder(problem), BufferPool())
    given = opened.given(recorder.asked)
    with np.errstate(all="ignore"), opened.backend.prepare(given, max(lengths)) as session:
        step_through(problem, session, recorder, Repeated(lengths))
        final = final_state(given, session, problem.end_step)
    return recorder.finish(problem.n_steps, final).features, recorder.carried(final)


def assert_features_are_the_core_s(opened: OpenedBackend, dtype: DType, n_steps: int) -> int:
    """Assert that a backend gives the bits of the core's features. Returns the steps it took."""
    problem = feature_problem(n_steps, dtype)
    expected, _ = features_in_blocks(by_the_core(opened), problem, [n_steps])
    assert expected["spike_count"].max() > 2, "no neuron has a CV of its intervals"
    assert np.isnan(expected["ap_width"]).any(), "no neuron is without a complete spike"
    assert np.isfinite(expected["ahp_depth"]).any(), "no neuron has a complete spike"
    whole, _ = features_in_blocks(opened, problem, [n_steps])
    _assert_same(whole, expected, "a run in one block")
    _, state = features_in_blocks(opened, problem.shortened(CUT))
    rest = problem.between(START + CUT, problem.end_step).continuing(state).recording(("h",))
    _assert_same(
        features_in_blocks(opened, rest)[0],
        expected,
        f"a run that was resumed after {CUT} steps, in blocks of {LENGTHS}",
    )
    for some in (("isi_cv", "V_std"), ("ahp_depth", "V_max")):
        alone = problem.with_features(some, problem.window, problem.window_steps)
        found, _ = features_in_blocks(opened, alone)
        _assert_same(found, {name: expected[name] for name in some}, f"{some} alone")
    return 5 * n_steps


def _assert_same(
    found: Mapping[str, NDArray[np.float64]],
    expected: Mapping[str, NDArray[np.float64]],
    what: str,
) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert_equal(found[name], values, f"{name} of {what} isn't the core's")
