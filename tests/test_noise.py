"""Random numbers of noise, and the processes that are made of them.

Expected values are Random123's published vectors, and moments, distributions and autocorrelations
by formula or by SciPy.
"""

import zlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from hhplug.currents.noise import (
    FEW,
    TILE,
    Draws,
    OrnsteinUhlenbeckProcess,
    WhiteProcess,
    normal,
    philox,
    quantiles,
)

KNOWN_ANSWERS = {  # of Random123's file kat_vectors, philox4x32 with 10 rounds
    "zeros": (
        (0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    "ones": (
        (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    "digits of π": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}  # fmt: skip
SURE = 5.0  # standard errors; a right value is farther off once in two million times
SMALLEST_P = 1e-4  # of a Kolmogorov-Smirnov test


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS.values(), ids=KNOWN_ANSWERS)
def test_philox_gives_the_known_answers_of_random123(counter, key, words):
    assert tuple(map(int, philox(counter, key))) == words


def test_a_deviate_is_that_of_its_counter_wherever_it_stands():
    # Word `step % 4` of the counter (step // 4, low word, high word, stream).
    neurons = np.array([7, 2**32 + 1, 5 * 2**32, 0])
    steps = np.array([4001, 2, 3, 2**34 - 1, 2])
    seed, stream = 0x299F31D0A4093822, 3
    expected = [
        [
            philox((k // 4, i % 2**32, i // 2**32, stream), (0xA4093822, 0x299F31D0))[k % 4]
            for i in neurons.tolist()
        ]
        for k in steps.tolist()
    ]
    drawn = Draws(seed, stream, neurons).at(steps)
    assert_array_equal(drawn, normal(np.array(expected, np.uint32)))


@pytest.mark.parametrize("n", [1, 33, TILE - 1, TILE + 1, 3 * TILE + 5])
def test_deviates_are_the_same_in_every_part_and_order(n):
    whole = Draws(1, 0, np.arange(n)).at(np.arange(50))
    assert whole.dtype == np.float32
    order = np.random.default_rng(n).permutation(n)
    steps = np.array([49, 0, 17, 18, 3])
    assert_array_equal(Draws(1, 0, order).at(steps), whole[steps][:, order])


def test_the_table_of_quantiles_is_the_same_on_every_machine():
    A, B = quantiles()
    assert (len(A), A.dtype, len(B), B.dtype) == (993, np.float32, 993, np.float32)
    # The prototype's, whose deviates were equal bit for bit in NumPy and on an H100.
    assert zlib.crc32(A.tobytes() + B.tobytes()) == 2805449551


def test_a_deviate_is_the_quantile_of_its_word():
    words = np.random.default_rng(3).integers(0, 2**32, 100_000, dtype=np.uint32)
    words = np.append(words, np.array([0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1], np.uint32))
    x = normal(words)
    tail = ((words & 0x7FFFFFFF) | 1) / 2.0**32  # of the words without their sign
    signs = np.where(words & 0x80000000, -1.0, 1.0)
    # The bounds are what a piece's chord is off by, over all words: 1.052e-5 and 3.37e-5.
    assert np.abs(stats.norm.sf(np.abs(x)) - tail).max() < 1.1e-5
    assert np.abs(x - signs * stats.norm.isf(tail)).max() < 4e-5
    assert abs(np.abs(x).max() - 6.2302) < 1e-4  # of the smallest tail, 2⁻³²


@pytest.fixture(scope="module")
def deviates():
    return Draws(12345, 0, np.arange(10_000)).at(np.arange(200)).astype(np.float64)


def test_the_moments_of_the_deviates_are_those_of_the_normal_distribution(deviates):
    x, n = deviates.ravel(), deviates.size
    # The variance of the mean of xᵏ is (E x²ᵏ − (E xᵏ)²) / n, with E x⁴ = 3, x⁶ = 15, x⁸ = 105.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - moment) < SURE * np.sqrt(variance / n), power


def test_the_distribution_of_the_deviates_is_normal(deviates):
    assert stats.kstest(deviates.ravel(), "norm").pvalue > SMALLEST_P


@pytest.mark.parametrize("bound", [3.0, 4.0, 5.0])
def test_the_tails_of_the_deviates_are_as_heavy_as_they_should_be(deviates, bound):
    for tail in (deviates > bound, deviates < -bound):
        expected = stats.norm.sf(bound) * deviates.size
        assert stats.poisson.cdf(tail.sum(), expected) > 1e-6
        assert stats.poisson.sf(tail.sum() - 1, expected) > 1e-6


def test_deviates_of_different_neurons_steps_seeds_and_streams_are_uncorrelated(deviates):
    neurons, steps = np.arange(10_000), np.arange(200)
    others = {
        "neuron": np.roll(deviates, 1, axis=1),
        "neuron far away": Draws(12345, 0, neurons + 2**32).at(steps),
        "seed": Draws(12346, 0, neurons).at(steps),
        "high word of the seed": Draws(12345 + 2**32, 0, neurons).at(steps),
        "stream": Draws(12345, 1, neurons).at(steps),
    } | {f"step by {lag}": np.roll(deviates, lag, axis=0) for lag in (1, 2, 3, 4, 8)}
    for what, other in others.items():
        correlation = np.corrcoef(deviates.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < SURE / np.sqrt(deviates.size), what


@pytest.mark.parametrize("dt", [0.01, 0.7])
def test_the_integral_of_white_noise_has_the_variance_of_the_time_for_any_dt(dt):
    rows = WhiteProcess(Draws(2, 0, np.arange(20_000)), dt, "float64").at(np.arange(50))
    integral = rows.sum(axis=0) * dt
    variance = integral.var() / (50 * dt)
    assert abs(variance - 1.0) < SURE * np.sqrt(2.0 / integral.size)


N_PATHS = 40_000


def ou(dt, tau=3.0, begin=None, start_step=0, n=N_PATHS, dtype="float64"):
    return OrnsteinUhlenbeckProcess(Draws(9, 0, np.arange(n)), dt, dtype, tau, start_step, begin)


@pytest.mark.parametrize("dt", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ornstein_uhlenbeck_process_is_stationary_with_the_exact_autocorrelation(dt, dtype):
    lags = [0, 1, 7, 60]
    path = ou(dt, dtype=dtype).at(np.array([0, *(100 + lag for lag in lags)])).astype(np.float64)
    error = SURE * np.sqrt(2.0 / N_PATHS)  # of a mean square, and more than that of a product
    assert abs((path[0] ** 2).mean() - 1.0) < error  # at the very beginning
    for lag, later in zip(lags, path[1:], strict=True):
        expected = np.exp(-lag * dt / 3.0)
        assert abs((path[1] * later).mean() - expected) < error, lag


def test_each_neuron_may_have_a_time_constant_of_its_own():
    tau = np.array([0.5, 3.0, 40.0])
    many = np.repeat(tau, 10_000)
    path = ou(0.2, many, n=30_000).at(np.arange(6))
    correlation = (path[0] * path[5]).reshape(3, -1).mean(axis=1)
    assert np.abs(correlation - np.exp(-1.0 / tau)).max() < SURE * np.sqrt(2.0 / 10_000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_process_that_is_much_slower_than_dt_keeps_its_variance(dtype):
    tau = 0.01 * np.array([1e2, 1e4, 1e5, 1e6, 1e7])  # ms
    recursion = ou(0.01, tau, dtype=dtype).recursion
    a, b = (values.astype(np.float64) for values in (recursion.decay, recursion.kick))
    # That of x[k+1] = a x[k] + b ξ[k+1]; b is rounded to 6e-8 of itself.
    assert np.abs(b**2 / (1.0 - a**2) - 1.0).max() < 2e-7
    frozen = ou(0.01, 1e20, dtype=dtype).recursion
    assert (frozen.decay, frozen.kick) == (1.0, 0.0)


@pytest.mark.parametrize("n", [1, FEW - 1, FEW, 257])
def test_a_process_has_its_recursion_in_float32_rounded_operation_by_operation(n):
    dt, tau = 0.05, 3.0
    a = np.float32(np.exp(-dt / tau))
    b = np.float32(np.sqrt(1.0 - np.float64(a) ** 2))
    drawn = Draws(9, 0, np.arange(n)).at(np.arange(40, 140))
    x, expected = drawn[0], []
    for following in [*drawn[1:], drawn[0]]:
        expected.append(x)
        x = (a * x).astype(np.float32) + (b * following).astype(np.float32)
    path = ou(dt, tau, start_step=40, n=n, dtype="float32").at(np.arange(40, 140))
    assert path.dtype == np.float32
    assert_array_equal(path, expected)


def test_a_process_gives_any_steps_again_in_any_order():
    whole = ou(0.05, n=33).at(np.arange(200))
    process = ou(0.05, n=33)
    for steps in ([5, 6, 7], [8], [100, 3, 199], [3], [], [0, 199, 0]):
        assert_array_equal(process.at(np.array(steps, np.int64)), whole[steps])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_process_that_begins_with_what_was_carried_goes_on_bit_for_bit(dtype):
    whole = ou(0.05, n=33, dtype=dtype).at(np.arange(100))
    carried = ou(0.05, n=33, dtype=dtype).at(np.array([40]))[0]
    rest = ou(0.05, begin=carried, start_step=40, n=33, dtype=dtype)
    assert_array_equal(rest.at(np.arange(40, 100)), whole[40:])
