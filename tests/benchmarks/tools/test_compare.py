"""The comparison fails for each fault planted in made-up measurements, and passes otherwise."""

import inspect
import math

import numpy as np
import pytest
from asv_runner.statistics import compute_stats

from benchmarks import accuracy
from benchmarks.tools import errors
from benchmarks.tools.compare import compare
from benchmarks.tools.recorded import Measurement
from hhplug.testing.accuracy import BOUNDS

FACTOR = 1.2
STEP, CALL = "step.Step.time_million_neuron_steps", "call.Call.time_call"
OVER_PEER, PEAK = "step.OverPeer.track_time_over_peer", "memory.Host.peakmem_V_of_every_step"
TRACE, SPIKE_TIME, RATE = errors.BOUNDED
(WORK_PRECISION,) = errors.UNBOUNDED
NOISE = 0.03  # relative, of a sample; the first machines show it when they are idle


def timed(seconds, seed, n=12, noise=NOISE):
    """Return a measurement with samples around a time, as asv records them."""
    samples = list(seconds * np.random.default_rng(seed).lognormal(0.0, noise, n))
    return Measurement(*compute_stats(samples, 1), samples, "1")


def tracked(value, version="1"):
    return Measurement(value, None, None, version)


def suite(seed, slowdown=None, **timing):
    """Return measurements of three backends; `slowdown` has the factors of slower ones."""
    found = {}
    for number, backend in enumerate(["reference", "numpy", "numba"]):
        for n in ("100", "10000"):
            seconds = 0.1 * (slowdown or {}).get(backend, 1.0)
            key = (STEP, backend, "float32", n)
            found[key] = timed(seconds, seed + 10 * number + len(n), **timing)
        found[PEAK, backend, "float32"] = tracked(3e8)
    return found


def failing(base, head):
    return {found.key: found.what for found in compare(base, head, FACTOR) if found.fails}


def judged(base, head, key=(STEP, "numpy", "float32", "100")):
    """Return the verdict on one benchmark in words, and whether it fails."""
    (found,) = compare(
        {} if base is None else {key: base}, {} if head is None else {key: head}, FACTOR
    )
    return found.what, found.fails


def test_a_slowdown_of_one_backend_is_caught_and_the_backend_named():
    found = failing(suite(0), suite(1000, slowdown={"numpy": 1.5}))
    assert found == {(STEP, "numpy", "float32", n): "slower" for n in ("100", "10000")}


def test_a_speedup_passes():
    assert not failing(suite(0), suite(1000, slowdown={"numpy": 0.5}))


def test_a_few_percent_pass():
    everyone = dict.fromkeys(["reference", "numpy", "numba"], 1.05)
    assert not failing(suite(0), suite(1000, slowdown=everyone))


def test_two_runs_of_one_commit_pass_on_a_noisy_machine():
    for seed in range(0, 10_000, 100):
        assert not failing(suite(seed, noise=0.15), suite(seed + 50, noise=0.15))


def test_a_larger_median_passes_if_the_samples_overlap():
    base = [1.0] * 7 + [2.0] * 5
    head = [1.0] * 5 + [2.0] * 7
    before, after = (
        Measurement(*compute_stats(samples, 1), samples, "1") for samples in (base, head)
    )
    assert (before.value, after.value) == (1.0, 2.0)
    assert judged(before, after) == ("", False)


@pytest.mark.parametrize(
    ("base", "head", "suspect"),
    [
        (
            [1.0] * 6 + [2.0] * 6,
            [1.5] * 6 + [1.6] * 6,
            True,
        ),  # a slow phase hides the slower median
        ([1.0] * 9 + [2.0] * 3, [1.0] * 3 + [2.0] * 9, True),
        ([1.0] * 9 + [2.0] * 3, [1.1] * 9 + [2.2] * 3, False),
        ([1.5] * 12, [1.0] * 12, False),
    ],
)
def test_a_benchmark_with_a_slower_median_or_best_sample_is_suspect(base, head, suspect):
    key = (STEP, "numpy", "float32", "100")
    before, after = (
        {key: Measurement(*compute_stats(samples, 1), samples, "1")} for samples in (base, head)
    )
    (found,) = compare(before, after, FACTOR)
    assert found.suspect == suspect


def test_a_significant_but_small_difference_passes():
    assert judged(timed(1.0, 0, noise=1e-3), timed(1.15, 1, noise=1e-3)) == ("", False)


@pytest.mark.parametrize("key", [(OVER_PEER, "numpy", "peer-jax", "10000"), (PEAK, "numpy")])
def test_a_benchmark_without_samples_is_judged_by_the_factor_alone(key):
    assert judged(tracked(2.0), tracked(2.38), key) == ("", False)
    assert judged(tracked(2.0), tracked(2.42), key) == ("slower", True)


@pytest.mark.parametrize("sizes", [(6, 12), (12, 6), (6, 6)])
def test_few_samples_are_reported_and_fail_above_twice_the_factor(sizes):
    base = timed(1.0, 0, sizes[0])
    assert judged(base, timed(2.2, 1, sizes[1])) == ("too few samples to tell", False)
    assert judged(base, timed(2.6, 1, sizes[1])) == ("slower, by few samples", True)


def test_eight_samples_are_enough_for_asvs_statistics():
    assert judged(timed(1.0, 0, n=8), timed(1.5, 1, n=8)) == ("slower", True)


@pytest.mark.parametrize(
    ("head", "what"),
    [(None, "vanished"), (tracked(math.nan), "skipped"), (tracked(None), "failed")],
    ids=["vanished", "skipped", "failed"],
)
def test_a_benchmark_without_a_value_at_head_fails(head, what):
    assert judged(timed(1.0, 0), head) == (what, True)
    base = suite(0)
    after = {key: m for key, m in suite(1000).items() if "numpy" not in key}
    if head is not None:
        after |= {key: head for key in base if "numpy" in key}
    assert failing(base, after) == {key: what for key in base if "numpy" in key}


@pytest.mark.parametrize("base", [None, tracked(math.nan), tracked(None)])
def test_a_failure_at_head_fails_even_if_base_has_no_value(base):
    assert judged(base, tracked(None)) == ("failed", True)


@pytest.mark.parametrize("base", [None, tracked(math.nan), tracked(None)])
def test_a_benchmark_without_a_value_at_base_passes_and_is_not_compared(base):
    key = (STEP, "numpy", "float32", "100")
    (found,) = compare({key: base} if base else {}, {key: timed(1.0, 0)}, FACTOR)
    assert (found.what, found.fails, found.compared) == ("", False, False)


def test_a_benchmark_without_a_value_at_either_commit_is_left_out():
    key = (STEP, "pycuda", "float32", "100")
    skipped = {key: tracked(math.nan)}
    assert not compare(skipped, skipped, FACTOR)
    assert not compare({}, skipped, FACTOR)
    assert not compare({key: tracked(None)}, {}, FACTOR)


def test_another_version_of_a_benchmark_is_reported_and_not_compared():
    key = (PEAK, "numpy", "float32")
    (found,) = compare({key: tracked(1.0, "1")}, {key: tracked(9.0, "2")}, FACTOR)
    assert found.what.endswith("another version")
    assert (found.fails, found.compared) == (False, False)


def bounds():
    return [
        pytest.param((name, "numpy", dtype), bound, id=f"{name.split('.')[1]}-{dtype}")
        for dtype, of_dtype in BOUNDS.items()
        for name, bound in [
            (TRACE, of_dtype.V_50_ms),
            (SPIKE_TIME, of_dtype.spike_time),
            (RATE, of_dtype.rate),
        ]
    ]


@pytest.mark.parametrize(("key", "bound"), bounds())
@pytest.mark.parametrize("share", [None, 0.9], ids=["new", "known"])
def test_an_error_above_its_bound_fails(key, bound, share):
    base = None if share is None else tracked(share * bound)
    assert judged(base, tracked(bound), key) == ("", False)
    assert judged(base, tracked(1.01 * bound), key) == (f"an error above {bound:.3g}", True)


@pytest.mark.parametrize(("key", "bound"), bounds())
def test_a_bound_also_holds_for_another_version_of_a_benchmark(key, bound):
    assert judged(tracked(0.5 * bound, "0"), tracked(1.01 * bound), key)[1]


@pytest.mark.parametrize(("key", "bound"), bounds())
def test_an_error_is_not_compared_with_that_of_another_version(key, bound):
    assert not judged(tracked(0.01 * bound, "0"), tracked(0.9 * bound), key)[1]


@pytest.mark.parametrize(("key", "bound"), bounds())
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05])
def test_an_error_ten_times_as_large_fails_below_the_bound(key, bound, share):
    base, head = share * bound, max(10 * share, 0.011) * bound
    assert head < bound
    assert judged(tracked(base), tracked(head), key)[1]


@pytest.mark.parametrize(
    ("base", "head"), [(1e-13, 4e-13), (0.0, 9e-11), (2e-11, 8e-11), (9e-9, 1e-8)]
)
def test_an_error_within_rounding_passes(base, head):
    key = (TRACE, "numpy", "float64")  # bound: 1e-8 mV
    assert judged(tracked(base), tracked(head), key) == ("", False)


def test_the_error_at_a_coarse_dt_is_compared_with_that_of_base():
    key = (WORK_PRECISION, "numpy", "float64", "0.04")
    assert judged(tracked(0.01), tracked(0.039), key) == ("", False)
    assert judged(tracked(0.01), tracked(0.041), key) == ("an error above 0.04", True)
    assert judged(tracked(1e-9), tracked(9e-7), key) == ("", False)


@pytest.mark.parametrize("name", [TRACE, SPIKE_TIME, RATE, WORK_PRECISION])
@pytest.mark.parametrize("base", [0.0, 1e-14])
@pytest.mark.parametrize("nothing", [math.nan, None, math.inf])
def test_a_missing_or_non_finite_error_fails(name, base, nothing):
    key = (name, "numpy", "float64", "0.04")
    assert judged(tracked(base), tracked(nothing), key)[1]


def test_an_infinite_error_fails_even_if_base_has_no_value():
    key = (WORK_PRECISION, "numpy", "float64", "0.04")
    assert judged(None, tracked(math.inf), key)[1]


@pytest.mark.parametrize(
    ("key", "ratio"),
    [((PEAK, "numpy", "float32"), 8.0), ((TRACE, "numpy", "float32"), math.nan)],
)
def test_a_slowdown_has_a_ratio_and_a_larger_error_has_none(key, ratio):
    (found,) = compare({key: tracked(0.1)}, {key: tracked(0.8)}, FACTOR)
    assert found.fails
    assert found.suspect == (ratio > FACTOR)
    assert found.ratio == pytest.approx(ratio, nan_ok=True)


@pytest.mark.parametrize("base", [0.0, -0.1])
def test_there_is_no_ratio_to_a_base_that_is_not_positive(base):
    key = (PEAK, "numpy", "float32")
    (found,) = compare({key: tracked(base)}, {key: tracked(0.8)}, FACTOR)
    assert found.what == "slower"
    assert math.isnan(found.ratio)


def test_every_accuracy_benchmark_has_a_limit():
    named = {
        f"accuracy.{name}.{method}"
        for name, class_ in inspect.getmembers(accuracy, inspect.isclass)
        for method in vars(class_)
        if method.startswith("track_")
    }
    assert named == errors.NAMES
