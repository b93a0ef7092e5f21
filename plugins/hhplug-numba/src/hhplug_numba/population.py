"""The loops around a step: groups of neurons, steps, the current, samples and spikes.

A step comes from `equations`. The element of neuron i in row r of a group g is g[i + r·stride].
"""

from collections.abc import Callable
from typing import Any

from numba import njit

from hhplug.crossings import NEWTON_STEPS
from hhplug_numba import intrinsics
from hhplug_numba.compiler import HOT, INLINE, cached_njit, named_njit
from hhplug_numba.layout import (
    CONDUCTANCE,
    END_SLOPE,
    FIRST_STATE,
    I_EXT,
    LANES,
    LEAK,
    MOST_OPEN,
    PER_C_M,
    SLOPE,
    V_BEFORE,
)
from hhplug_numba.noise import SIGMA, STEADY, X, begin, draw, follow

fma: Any = intrinsics.fma  # pyright doesn't know that Numba supplies its first argument


@njit(**INLINE)
def take_current(g, stride, k, gain, waveform, width):
    """The row `leak` plus the current over C_m during step k, a sum of gain × waveform."""
    for i in range(width):
        g[i + I_EXT * stride] = g[i + LEAK * stride]
    for j in range(len(gain)):
        w = waveform[k, j]
        for i in range(width):
            g[i + I_EXT * stride] = fma(gain[j, i], w, g[i + I_EXT * stride])


@njit(**INLINE)
def take_array_current(g, stride, k, array, first, neurons):
    """The row `leak` plus the current over C_m during step k, a row of an array in µA/cm²."""
    per_C_m, leak = PER_C_M * stride, LEAK * stride
    if array.shape[1] == 1:
        for i in range(neurons):
            g[i + I_EXT * stride] = fma(array[k, 0], g[i + per_C_m], g[i + leak])
    else:
        mine = array[k, first : first + neurons]  # from 0 on: no wrapping of negative indices
        for i in range(neurons):
            g[i + I_EXT * stride] = fma(mine[i], g[i + per_C_m], g[i + leak])


@njit(**INLINE)
def take_sample(out, row, g, state, first, neurons, chosen, column, lane):
    """A row of out, if there is any: all of the group's neurons side by side, or those in lane.

    state: where the state's row begins.
    """
    if not len(out):
        return
    if chosen:
        for c in range(len(column)):
            out[row, column[c]] = g[lane[c] + state]
    else:
        mine = out[row, first : first + neurons]
        for i in range(neurons):
            mine[i] = g[i + state]


@njit(**INLINE)
def crossing(rise, change, slope, end_slope):
    """The fraction of a step at which V has risen by `rise`; see `hhplug.crossings`."""
    a, b, c = slope, 3 * change - 2 * slope - end_slope, slope + end_slope - 2 * change
    low, high, s = 0.0, 1.0, rise / change
    for _ in range(NEWTON_STEPS):
        error = s * (a + s * (b + s * c)) - rise
        if error < 0:
            low = s
        else:
            high = s
        s -= error / (a + s * (2 * b + s * (3 * c)))
        if not low <= s <= high:  # it left the interval, or is NaN where the slope is zero
            s = (low + high) / 2
    return s


@njit(**INLINE)
def note_spikes(
    g, stride, k, threshold, per_step, first, neurons, count, neuron, step, fraction, found
):
    """Count the upward crossings during step k, and store them if spike times are kept.

    Returns how many are stored so far. neuron, step, fraction: (room,), or empty.
    """
    mine = count[first : first + neurons]
    before, after = V_BEFORE * stride, FIRST_STATE * stride
    for i in range(neurons):
        if g[i + after] >= threshold and g[i + before] < threshold:  # the rarer one first
            mine[i] += 1
            if len(neuron):
                V, V_next = g[i + before], g[i + after]
                slope, end_slope = g[i + SLOPE * stride], g[i + END_SLOPE * stride]
                neuron[found], step[found] = first + i, k
                fraction[found] = crossing(
                    threshold - V, V_next - V, slope * per_step, end_slope * per_step
                )
                found += 1
    return found


@njit(**INLINE)
def note_invalid(g, stride, k, first, neurons, invalid):
    """Whether a neuron is invalid from step k on and was valid before; k is kept in `invalid`."""
    mine, new = invalid[first : first + neurons], False
    for i in range(neurons):
        if not g[i + CONDUCTANCE * stride] <= g[i + MOST_OPEN * stride] and mine[i] < 0:
            mine[i] = k
            new = True
    return new


@njit(**INLINE)
def take_noisy_current(g, stride, p, width):
    """The row STEADY plus the noise over C_m."""
    for i in range(width):
        g[i + I_EXT * stride] = fma(
            p[i + SIGMA * stride], p[i + X * stride], p[i + STEADY * stride]
        )


def population(take_step: Any, stride: int, name: str, digest: str) -> Callable[..., Any]:
    """The compiled function `advance` for a membrane's step.

    name and digest: of its file in the cache, and of all that the compiled code depends on.
    """

    @named_njit(digest, **HOT)
    def advance_group(
        g, scalars, first, neurons, start, stop,
        gain, waveform, array, outs, sample, every, chosen, column, lane,
        threshold, per_step, count, neuron, step, fraction, found,
        invalid, origin, p, neurons_of_p, noise,
    ):  # fmt: skip
        """The step that a group reached, the spikes noted so far, whether one became invalid."""
        newly_invalid = False
        width = (neurons + LANES - 1) // LANES * LANES
        row = max(0, -((sample - start) // every))  # of the next sample, and …
        sample += row * every  # … its step
        if len(p) and noise.begins and start == 0:
            draw(p, stride, neurons_of_p, noise, origin, width)
            begin(p, stride, origin & 3, noise.first, width)
        for k in range(start, stop):
            if len(neuron) and found + neurons > len(neuron):
                return k, found, newly_invalid
            if k == sample:
                for s in range(len(outs)):
                    take_sample(
                        outs[s], row, g, (FIRST_STATE + s) * stride, first, neurons,
                        chosen, column, lane,
                    )  # fmt: skip
                row += 1
                sample += every
            new = k == start
            if len(array):
                take_array_current(g, stride, k, array, first, neurons)
            else:
                for j in range(len(gain)):
                    new |= waveform[k, j] != waveform[k - 1, j]
                if new:
                    take_current(g, stride, k, gain, waveform, width)
            if len(p):
                if new:
                    for i in range(width):
                        p[i + STEADY * stride] = g[i + I_EXT * stride]
                take_noisy_current(g, stride, p, width)
                following = origin + k + 1
                if k == start or following & 3 == 0:
                    draw(p, stride, neurons_of_p, noise, following, width)
                follow(p, stride, following & 3, width)
            crossed, unstable = take_step(g, scalars, threshold, width)
            if crossed and len(count):
                found = note_spikes(
                    g, stride, k, threshold, per_step, first, neurons,
                    count, neuron, step, fraction, found,
                )  # fmt: skip
            if unstable:
                newly_invalid |= note_invalid(g, stride, origin + k, first, neurons, invalid)
        return stop, found, newly_invalid

    @cached_njit(name, digest, **HOT)
    def advance(
        groups, scalars, N, width, group, share, k, stop,
        gain, waveform, array, outs, sample, every, starts, column, lane,
        threshold, per_step, count, neuron, step, fraction,
        invalid, origin, noise,
    ):  # fmt: skip
        """Take a group, and every share-th after it, from step k of a block to its end, `stop`.

        Returns the group and the step reached, the spikes noted, and whether a neuron became
        invalid. It stops early, and is to be called again from there, when the spikes of another
        step may not fit.

        groups (groups, elements of a group): of N neurons each has `width`, the last what is left,
        up to a multiple of LANES filled with copies.
        gain (groups, J, width) and waveform (steps, J); or array (steps, N) or (steps, 1), else
        (0, 0).
        outs: for each state (samples, columns), or (0, 0): sampled at step `sample` and every
        further `every`.
        starts (groups + 1): where each group's begin in column, of outs, and lane, its neurons; or
        empty: all neurons are sampled.
        count (N): upward crossings are added; or empty. neuron, step, fraction: the spikes; or
        empty. per_step: makes of slopes mV per step.
        invalid (N): the first step at which a neuron was invalid, −1 for none. origin: the number
        of the block's first step. noise: a NoiseArrays.
        """
        found, newly_invalid = 0, False
        while group < len(groups):
            first = group * width
            neurons = min(width, N - first)
            mine = slice(0, 0)
            if len(starts):
                mine = slice(starts[group], starts[group + 1])
            of_noise = min(group, len(noise.process) - 1)  # without noise there is one, of 0 rows
            p, neurons_of_p = noise.process[of_noise], noise.neurons[of_noise]
            k, found, one_new = advance_group(
                groups[group], scalars, first, neurons, k, stop,
                gain[group], waveform, array, outs, sample, every,
                len(starts) > 0, column[mine], lane[mine],
                threshold, per_step, count, neuron, step, fraction, found,
                invalid, origin, p, neurons_of_p, noise,
            )  # fmt: skip
            newly_invalid |= one_new
            if k < stop:
                break
            group += share
            k = 0
        return group, k, found, newly_invalid

    return advance
