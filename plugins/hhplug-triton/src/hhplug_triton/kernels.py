"""The kernel: Hodgkin-Huxley neurons through a block of steps, in Triton.

A program owns BLOCK neurons for a block of steps and keeps their states and their rows in
registers; memory is touched for samples, for spikes, and for a current that changes. Arrays have
the neuron fastest: (states, N), (samples, N), (J, N). A state, the rows and other groups of values
are tuples, and the membrane's equations are the function `membrane_step`.
"""

import triton
import triton.language as tl

from hhplug_triton.features import (
    SHAPE,
    SPIKES,
    load_sums,
    next_event,
    note_crossings,
    sum_crossings,
    sum_sample,
    take_event,
)
from hhplug_triton.memory import read, write
from hhplug_triton.noise import deviate, word_of, words_of
from hhplug_triton.spikes import count_spikes, note_spikes


@triton.jit
def several(first, apart, COUNT: tl.constexpr, inside, FAST: tl.constexpr):
    """A tuple of COUNT values of each neuron, which are so far apart in memory."""
    values = ()
    for k in tl.static_range(COUNT):
        values += (read(first + k * apart, inside, FAST),)
    return values


@triton.jit
def numbers(first, COUNT: tl.constexpr):
    """A tuple of COUNT numbers that all neurons share."""
    values = ()
    for k in tl.static_range(COUNT):
        values += (tl.load(first + k),)
    return values


@triton.jit
def first_of(row, inside, CURRENT: tl.constexpr, FAST: tl.constexpr):
    """The first value that a step's current is made of. row: that of the step."""
    return read(row, inside, FAST) if CURRENT == "array" else tl.load(row)


@triton.jit
def current_of(
    first, row, gain_0, gains, gain_row, J, leak, per_C_m, inside,
    CURRENT: tl.constexpr, FAST: tl.constexpr,
):  # fmt: skip
    """The current of a step, whose first value is given, plus the leak."""
    if CURRENT == "array":
        I = tl.fma(first, per_C_m, leak)  # noqa: E741
    else:
        I = tl.fma(gain_0, first, leak)  # noqa: E741
        if CURRENT != "waveform":
            for j in range(1, J):
                I = tl.fma(read(gains + j * gain_row, inside, FAST), tl.load(row + j), I)  # noqa: E741
    return I


@triton.jit
def take_samples(samples, at, y, recorded, sampled, STATES: tl.constexpr, FAST: tl.constexpr):
    """Write the states of which samples are kept."""
    for s in tl.static_range(STATES):
        if recorded & (1 << s):
            write(samples[s] + at, y[s], sampled, FAST)


# What Triton must not compile anew for: 1 and multiples of 16, and addresses that are such.
NOT_SPECIALIZED = ["N", "steps", "per_neuron", "gain_per_neuron", "array_per_neuron", "J"]
NOT_SPECIALIZED += ["recorded", "before", "some", "columns", "first", "every", "room"]
NOT_SPECIALIZED += ["process_per_neuron", "some_neurons", "first_neuron", "seed", "noise_stream"]
NOT_SPECIALIZED += ["first_four", "phase", "begins"]
NOT_SPECIALIZED += ["sums_step", "sums_first", "sums_last"]


@triton.jit(do_not_specialize=NOT_SPECIALIZED, do_not_specialize_on_alignment=["current"])
def hh(
    N: tl.int64,
    steps: tl.int32,
    state,  # (STATES, N), in and out; with noise, its process x is one row more
    rows,  # (ROWS, N) or (ROWS, 1), of which leak, per_C_m and most_open are the first three
    per_neuron: tl.int32,  # 1: (ROWS, N), 0: (ROWS, 1)
    table,  # threshold, what makes of slopes mV per step, SCALARS, CONSTANTS, with noise its first
    gain,  # (J, N) or (J, 1), over C_m
    gain_per_neuron: tl.int32,
    J: tl.int32,
    current,  # an array, (steps + 1, N) or (steps + 1, 1), or waveforms, (steps + 1, J); the last …
    # … row may be anything
    array_per_neuron: tl.int32,
    samples,  # a tuple with an array (samples, columns) for each state
    recorded: tl.int64,  # bits, the first state's is 1: in which of them samples are kept
    before: tl.int64,  # elements of these arrays before the first sample
    column,  # (N,): of each neuron, −1 for none
    some: tl.int32,  # 1: as `column` says, 0: neuron i is in column i
    columns: tl.int64,
    first: tl.int32,  # step of the block that is sampled first …
    every: tl.int32,  # … and from one to the next
    spike_count,  # (N,), in and out: those of each neuron; None: not wanted
    total,  # (1,): spikes found, those for which there was no room too
    neuron, step, fraction,  # (room,): of the population, the block, the step; None: not wanted
    ordinal,  # (room,): how many of its neuron were counted before it
    room: tl.int32,
    any_invalid,  # (1,): 1 if a neuron is invalid; None: not wanted
    first_invalid,  # (N,): of such a neuron its first invalid step of the block, from 1 on, …
    # … or the number of steps + 1 if its state isn't finite at the end
    CURRENT: tl.constexpr,  # "held": the same in all steps, "waveform", "waveforms" or "array"
    RECORD: tl.constexpr,
    membrane_step: tl.constexpr,  # the printed `step`
    STATES: tl.constexpr,
    ROWS: tl.constexpr,
    SCALARS: tl.constexpr,
    CONSTANTS: tl.constexpr,
    FAST: tl.constexpr,
    UNROLL: tl.constexpr,
    BLOCK: tl.constexpr,
    NOISE: tl.constexpr = False,  # sigma × a random process is added to the waveforms
    process=None,  # (3, N) or (3, 1): decay, kick, and sigma over C_m
    process_per_neuron: tl.int32 = 0,  # 1: (3, N), 0: (3, 1)
    quantiles=None,  # (pieces, 2) float32: A and B
    neurons=None,  # (2, N): low and high words of the neurons' numbers
    some_neurons: tl.int32 = 0,  # 1: as `neurons` says, 0: first_neuron + i
    first_neuron: tl.int64 = 0,
    seed: tl.int64 = 0,  # the bits of the unsigned number
    noise_stream: tl.int32 = 0,  # likewise
    first_four: tl.int32 = 0,  # the block's first step over 4, its low 32 bits …
    phase: tl.int32 = 0,  # … and the remainder
    begins: tl.int32 = 0,  # 1: a run begins, 0: x is in the state
    FEATURES: tl.constexpr = 0,  # a bit for each group of features; see `features`
    NOTE: tl.constexpr = "",  # instructions for crossings, of `instructions`
    in_dtype=None, sums=None,  # (rows, N): the features' sums
    sums_step: tl.int64 = 0,  # the block's first step, counted from time zero
    sums_first: tl.int32 = 0,  # step of the block whose sample is the window's first …
    sums_last: tl.int32 = 0,  # … and its last one in the window; −1: none
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < N
    y = several(state + i, N, STATES, inside, FAST)
    own = several(rows + i * per_neuron, tl.where(per_neuron != 0, N, 1), ROWS, inside, FAST)
    leak, per_C_m, most_open = own[0], own[1], own[2]
    threshold = tl.where(inside, tl.load(table), float("inf"))  # that no V beyond N crosses
    per_step = tl.load(table + 1)
    scalars = numbers(table + 2, SCALARS)
    constants = numbers(table + 2 + SCALARS, CONSTANTS)
    of_noise = table + 2 + SCALARS + CONSTANTS
    of_features = of_noise + (1 if NOISE else 0)
    # The next step's value of the current is on its way while a step is computed.
    if CURRENT == "array":
        next_row = current + i * array_per_neuron
        length = tl.where(array_per_neuron != 0, N, 1)
        gains, gain_row, gain_0 = current, 0, leak  # not used
    else:
        next_row = current
        length = 1 if CURRENT == "waveform" else J
        gains = gain + i * gain_per_neuron
        gain_row = tl.where(gain_per_neuron != 0, N, 1)
        gain_0 = read(gains, inside, FAST)
    I_next = first_of(next_row, inside, CURRENT, FAST)
    if CURRENT == "held":
        I = current_of(  # noqa: E741
            I_next, next_row, gain_0, gains, gain_row, J, leak, per_C_m, inside, CURRENT, FAST
        )  # fmt: skip
    if NOISE:
        process_row = tl.where(process_per_neuron != 0, N, 1)
        decay, kick, sigma = several(process + i * process_per_neuron, process_row, 3, inside, FAST)
        number = first_neuron + i
        low, high = number.to(tl.int32), (number >> 32).to(tl.int32)
        if some_neurons != 0:
            low = read(neurons + i, inside, FAST)
            high = read(neurons + N + i, inside, FAST)
        x = read(state + STATES * N + i, inside, FAST)
        if begins != 0:
            word = word_of(phase, words_of(first_four, low, high, seed, noise_stream, FAST))
            x = tl.load(of_noise) * deviate(word, quantiles, FAST).to(x.dtype)
    at = tl.where(inside, i, -1)
    if some != 0:
        at = tl.where(inside, read(column + i, inside, FAST).to(tl.int64), -1)
    sampled = at >= 0
    at += before
    next_sample = first
    spikes = tl.zeros([BLOCK], tl.int32)
    invalid_from = spikes + 0x7FFFFFFF
    if neuron is not None:
        spikes = tl.where(inside, read(spike_count + i, inside, FAST), 0)
    if FEATURES:
        onset_rise = tl.load(of_features)
        summed, previous = load_sums(y[0], in_dtype, i, N, inside, FEATURES, FAST)
        if (sums_first < 0) & (sums_last >= 0):
            summed = sum_sample(summed, previous, y[0], onset_rise, FEATURES)
            if SHAPE & FEATURES:
                summed = sum_crossings(
                    summed, (previous < threshold) != (y[0] < threshold), previous, y[0], threshold,
                    0, sums, i, N, sums_step, sums_first, sums_last, FEATURES, FAST,
                )  # fmt: skip
        event = next_event(sums_step, -1, sums_first, sums_last)

    # The steps from one event of the features to the next; without features, all steps.
    begin = tl.zeros((), tl.int32)
    while begin < steps:
        end = steps
        if FEATURES:
            summed, event = take_event(
                summed, y[0], begin, event, sums, in_dtype, i, N, inside,
                sums_step, sums_first, sums_last, FEATURES, FAST,
            )  # fmt: skip
            end = tl.minimum(event, steps)
        # A turn has one step, or with noise the four whose next ones share a counter; of the first
        # turn and the last, some may be outside these steps.
        for turn in tl.range(
            (phase + begin + 1) >> 2 if NOISE else begin,
            ((phase + end) >> 2) + 1 if NOISE else end,
            loop_unroll_factor=1 if NOISE else UNROLL,
        ):
            if NOISE:
                words = words_of(first_four + turn, low, high, seed, noise_stream, FAST)
            for j in tl.static_range(4 if NOISE else 1):
                k = 4 * turn + j - phase - 1 if NOISE else turn
                in_these = (
                    (k - begin).to(tl.uint32) < (end - begin).to(tl.uint32) if NOISE else True
                )
                if in_these:
                    if CURRENT != "held":
                        I = current_of(  # noqa: E741
                            I_next, next_row, gain_0, gains, gain_row, J, leak, per_C_m, inside,
                            CURRENT, FAST,
                        )  # fmt: skip
                        next_row += length
                        I_next = first_of(next_row, inside, CURRENT, FAST)
                    if RECORD:  # noqa: SIM102 (the one is known to the compiler)
                        if k == next_sample:
                            take_samples(samples, at, y, recorded, sampled, STATES, FAST)
                            at += columns
                            next_sample += every
                    V, I_ext = y[0], I
                    if NOISE:
                        I_ext = tl.fma(sigma, x, I)
                    y, slope, end_slope, conductance = membrane_step(
                        y, I_ext, own, scalars, constants, FAST
                    )
                    if NOISE:
                        x = decay * x + kick * deviate(words[j], quantiles, FAST).to(x.dtype)
                    # The comparison is false for NaN.
                    invalid_from = tl.where(
                        conductance <= most_open, invalid_from, tl.minimum(invalid_from, k)
                    )
                    if FEATURES:
                        summed = sum_sample(summed, V, y[0], onset_rise, FEATURES)
                    if (SPIKES | SHAPE) & FEATURES:
                        spikes, summed = note_crossings(
                            spikes, summed, V, y[0], threshold,
                            slope * per_step, end_slope * per_step,
                            i, k, total, neuron, step, fraction, room, sums, N,
                            sums_step, sums_first, sums_last, NOTE, FEATURES,
                        )  # fmt: skip
                    elif neuron is not None:
                        spikes = note_spikes(
                            spikes, V, y[0], threshold, slope * per_step, end_slope * per_step,
                            i.to(tl.int32), k, total, neuron, step, fraction, room, ordinal, FAST,
                        )  # fmt: skip
                    elif spike_count is not None:
                        spikes = count_spikes(spikes, V, y[0], threshold, FAST)
        begin = end

    for s in tl.static_range(STATES):
        write(state + s * N + i, y[s], inside, FAST)
    if NOISE:
        write(state + STATES * N + i, x, inside, FAST)
    if spike_count is not None:
        if neuron is None:
            spikes += tl.where(inside, read(spike_count + i, inside, FAST), 0)
        write(spike_count + i, spikes, inside, FAST)
    if any_invalid is not None:
        sum_of = y[0]
        for s in tl.static_range(1, STATES):
            sum_of += y[s]
        finite = sum_of - sum_of == 0.0
        invalid_from = tl.where(finite, invalid_from, tl.minimum(invalid_from, steps))
        invalid = inside & (invalid_from <= steps)
        write(any_invalid + tl.zeros_like(i), spikes * 0 + 1, invalid, FAST)
        write(first_invalid + i, invalid_from + 1, invalid, FAST)
