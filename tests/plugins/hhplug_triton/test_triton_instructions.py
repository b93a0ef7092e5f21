"""NVIDIA's instructions for crossings where features are computed, evaluated without a GPU."""

import numpy as np
import pytest
from ptx import execute

from hhplug.crossings import crossing
from hhplug.features.definitions import FEATURES, GROUPS, IN_DTYPE, ONSET_SLOPE, groups_of, sums_of
from hhplug.features.sums import FeatureSums
from hhplug_triton.instructions import note_crossings

DT, THRESHOLD, FIRST, STEPS, N, OWN = 0.02, -60.0, 1000, 90, 5, 3  # of N neurons, number 3
WINDOWS = (7, 81), (6, 84)  # counted from FIRST; V crosses down in the steps 6 and 80, up in 83
SUMS, TOTAL, NEURON, STEP, FRACTION = (k << 32 for k in range(1, 6))  # addresses
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}  # of a step


def trace(dtype):
    """V and its slopes, mV and mV per step, that cross the threshold every few samples."""
    rng = np.random.default_rng(7)
    V = THRESHOLD + 12.0 * np.sin(np.arange(STEPS + 1) * 0.9) + rng.normal(0.0, 4.0, STEPS + 1)
    change = np.diff(V)
    return V.astype(dtype), *((change * rng.uniform(0.5, 1.5, STEPS)).astype(dtype) for _ in "01")


def ours(dtype, features, times, begin, end):
    """The sums in float64 by name, and the spikes' arguments of `add_spikes`."""
    groups = groups_of(features)
    bits = sum(1 << bit for bit, group in enumerate(GROUPS) if group in groups)
    text = note_crossings(dtype, bits, times)
    names = [name for name in sums_of(features) if name not in IN_DTYPE]
    place = {name: SUMS + 8 * (row * N + OWN) for row, name in enumerate(names)}
    memory = {place[name]: np.float64(sums_of(features)[name]) for name in names} | {TOTAL: 0}
    V, slope, end_slope = trace(dtype)
    real = V.dtype.type
    onset, peak, trough, steep = real(np.nan), real(-np.inf), real(np.inf), False
    fractions = []
    for k in range(STEPS):
        if begin <= k < end - 1:  # as `sum_sample`
            rises = V[k + 1] - V[k] >= real(ONSET_SLOPE * DT)
            onset = V[k] if rises and not steep else onset
            steep, peak, trough = rises, max(peak, V[k + 1]), min(trough, V[k + 1])
        given = 0, onset, peak, trough, V[k], V[k + 1], real(THRESHOLD), slope[k], end_slope[k]
        given += OWN, k, TOTAL, NEURON, STEP, FRACTION, 100, SUMS, N, FIRST, begin, end - 1
        operands = {f"${number}": each for number, each in enumerate(given, 4)}
        done = execute(text, operands, memory)
        assert done["$0"] == (V[k] < THRESHOLD <= V[k + 1])
        onset, peak, trough = done["$1"], done["$2"], done["$3"]
        if done["$0"] and "s" in done:
            expected = crossing(*map(np.float64, (THRESHOLD - V[k], V[k + 1] - V[k])),
                                slope[k], end_slope[k])  # fmt: skip
            assert abs(done["s"] - expected) < TOLERANCE[dtype]
            fractions.append((k, done["s"]))
    if times:
        size = V.dtype.itemsize
        kept = [
            (memory[STEP + 4 * at], memory[FRACTION + size * at]) for at in range(memory[TOTAL])
        ]
        assert kept == fractions
        assert {memory[NEURON + 4 * at] for at in range(len(kept))} == {OWN}
    return {name: memory[at] for name, at in place.items()}, fractions


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("features", "times"),
    [
        (tuple(FEATURES), True),
        (tuple(FEATURES)[:8], False),
        (("ahp_depth",), False),
        (("isi_cv",), True),
        (("V_min", "V_std", "ap_width"), True),
    ],
)
def test_a_crossing_changes_the_sums_as_the_core_does(dtype, features, times, window):
    found, spikes = ours(dtype, features, times, *window)
    steps = FIRST + window[0], FIRST + window[1]
    core = FeatureSums(features, steps, 1, THRESHOLD, DT)
    V, *_ = trace(dtype)
    core.samples(FIRST, V[:STEPS, np.newaxis])
    if spikes:
        step, fraction = map(np.array, zip(*spikes, strict=True))
        core.spikes([(np.zeros(len(step), int), FIRST + step, fraction)])
    expected = dict(zip(sums_of(features), core.rows[:, 0], strict=True))
    compared = [name for name in found if name not in ("V_sum", "V_squares")]  # at a stretch's end
    assert compared
    for name in compared:
        np.testing.assert_array_equal(found[name], expected[name], name)
    if "complete" in found:
        assert found["complete"] > 5
    if "spikes" in found:
        assert found["spikes"] > 5
