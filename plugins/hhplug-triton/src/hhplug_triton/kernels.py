"""The kernel: Hodgkin-Huxley neurons through a block of steps, in Triton.

A program owns BLOCK neurons for a block of steps and keeps their states and their rows in
registers; memory is touched for samples, for spikes, and for a current that changes. Arrays have
the neuron fastest: (states, N), (samples, N), (J, N). A state, the rows and other groups of values
are tuples, and the membrane's equations are the function `membrane_step`.
"""

import triton
import triton.language as tl

from hhplug.crossings import NEWTON_STEPS
from hhplug_triton.crossings import crossing
from hhplug_triton.features import (
    SHAPE,
    SPIKES,
    STRETCH,
    begin_sums,
    end_of_stretch,
    end_stretch,
    here,
    load_sums,
    next_event,
    note_crossings,
    store_sums,
    sum_crossings,
    sum_sample,
)


@triton.jit
def loaded(first, apart, COUNT: tl.constexpr, inside):
    """A tuple of COUNT values that are so far apart in memory."""
    values = ()
    for k in tl.static_range(COUNT):
        values += (tl.load(first + k * apart, mask=inside),)
    return values


@triton.jit
def separable(row, leak, gain_0, gains, gain_row, J, inside):
    """The leaks' Σ g·E/C_m plus Σ gain · waveform, this row of it, in the order of j."""
    I_ext = tl.fma(gain_0, tl.load(row), leak)
    for j in range(1, J):
        gain = tl.load(gains + j * gain_row, mask=inside)
        I_ext = tl.fma(gain, tl.load(row + j), I_ext)
    return I_ext


# A branch round what is rarely done, which Triton itself cannot say: 7 % at 8 M neurons (H100).
# $0 spikes ← $1; $2 V, $3 V of the next step, $4 threshold, $5 and $6 mV per step at both ends, $7
# i, $8 k; then the arrays, room, and the array of ordinals. `crossing` below is the same in Triton.
NOTE_SPIKE = """{
  .reg .pred up, more, under, inside;
  .reg .b32 at, newton;
  .reg .b64 place;
  .reg .real rise, change, b, c, s, low, high, value, error, twice, thrice, slope;
  mov.b32 $0, $1;
  setp.lt.real up, $2, $4;
  setp.ge.and.real up, $3, $4, up;
  @!up bra DONE;
  add.s32 $0, $0, 1;
  atom.relaxed.gpu.global.add.u32 at, [$9], 1;
  setp.lt.u32 up, at, $13;
  @!up bra DONE;
  mad.wide.s32 place, at, 4, $10;
  st.global.b32 [place], $7;
  mad.wide.s32 place, at, 4, $11;
  st.global.b32 [place], $8;
  mad.wide.s32 place, at, 4, $14;
  st.global.b32 [place], $1;
  sub.real rise, $4, $2;
  sub.real change, $3, $2;
  add.real c, $5, $6;
  sub.real c, c, change;
  sub.real c, c, change;
  sub.real b, change, $5;
  sub.real b, b, c;
  add.real twice, b, b;
  add.real thrice, c, c;
  add.real thrice, thrice, c;
  mov.real low, ZERO;
  mov.real high, ONE;
  divide.real s, rise, change;
  mov.b32 newton, STEPS;
AGAIN:
  fma.rn.real value, s, c, b;
  fma.rn.real value, s, value, $5;
  neg.real error, rise;
  fma.rn.real error, s, value, error;
  fma.rn.real slope, s, thrice, twice;
  fma.rn.real slope, s, slope, $5;
  setp.lt.real under, error, ZERO;
  @under mov.real low, s;
  @!under mov.real high, s;
  divide.real error, error, slope;
  sub.real s, s, error;
  setp.le.real inside, low, s;
  setp.le.and.real inside, s, high, inside;
  @!inside add.real s, low, high;
  @!inside mul.real s, s, HALF;
  sub.s32 newton, newton, 1;
  setp.gt.s32 more, newton, 0;
  @more bra AGAIN;
  mad.wide.s32 place, at, size, $12;
  st.global.real [place], s;
DONE:
}""".replace("STEPS", str(NEWTON_STEPS))


def _for(real, divide, size, **literals):
    """The instructions in a precision."""
    text = NOTE_SPIKE.replace("divide", divide).replace(".real", real).replace("size", size)
    for name, literal in literals.items():
        text = text.replace(name, literal)
    return tl.constexpr(text)


NOTE_SPIKE_32 = _for(
    ".f32", "div.full", "4", ZERO="0f00000000", ONE="0f3F800000", HALF="0f3F000000"
)
NOTE_SPIKE_64 = _for(
    ".f64", "div.rn", "8",
    ZERO="0d0000000000000000", ONE="0d3FF0000000000000", HALF="0d3FE0000000000000",
)  # fmt: skip


@triton.jit
def note_spikes(
    spikes, V, V_next, threshold, slope, end_slope, i, k,
    total, neuron, step, fraction, room, ordinal, FAST: tl.constexpr,
):  # fmt: skip
    """Count the neurons that cross the threshold upwards, and keep where and when."""
    if FAST and V.dtype == tl.float32:
        spikes = tl.inline_asm_elementwise(
            NOTE_SPIKE_32, "=&r,r,f,f,f,f,f,r,r,l,l,l,l,r,l",
            [spikes, V, V_next, threshold, slope, end_slope, i, k,
             total, neuron, step, fraction, room, ordinal],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
    elif FAST:
        spikes = tl.inline_asm_elementwise(
            NOTE_SPIKE_64, "=&r,r,d,d,d,d,d,r,r,l,l,l,l,r,l",
            [spikes, V, V_next, threshold, slope, end_slope, i, k,
             total, neuron, step, fraction, room, ordinal],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
    else:
        crossed = (V < threshold) & (V_next >= threshold)
        if tl.max(crossed.to(tl.int32)) > 0:
            at = tl.atomic_add(total + tl.zeros_like(i), 1, mask=crossed, sem="relaxed")
            fits = crossed & (at < room)
            tl.store(neuron + at, i, mask=fits)
            tl.store(step + at, k, mask=fits)
            tl.store(ordinal + at, spikes, mask=fits)
            spikes += crossed.to(tl.int32)
            # Where V doesn't cross, the quotients may be anything.
            tl.store(
                fraction + at, crossing(threshold - V, V_next - V, slope, end_slope), mask=fits
            )
    return spikes


@triton.jit
def deviate(word, quantiles):
    """The standard normal deviate of a word, as `hhplug.currents.noise` describes it."""
    f = ((word & 0x7FFFFFFF) | 1).to(tl.float32)
    piece = (f.to(tl.int32, bitcast=True) >> 18) - (127 << 5)
    # A and B of a piece by one access; its lower half is A.
    both = tl.load(quantiles.to(tl.pointer_type(tl.int64)) + piece)
    A = both.to(tl.int32).to(tl.float32, bitcast=True)
    B = (both >> 32).to(tl.int32).to(tl.float32, bitcast=True)
    x = A + B * f
    return (x.to(tl.uint32, bitcast=True) ^ (word & 0x80000000)).to(tl.float32, bitcast=True)


@triton.jit
def words_of(four, low, high, seed, stream):
    """The words of four steps that share a counter, 4·four and the next ones."""
    zero = tl.zeros_like(low)
    return tl.philox(seed, zero + four, low, high, zero + stream)


@triton.jit
def word_of(step, words):
    """That of the four words which is the step's."""
    w0, w1, w2, w3 = words
    j = step & 3
    return tl.where(j < 2, tl.where(j == 0, w0, w1), tl.where(j == 2, w2, w3))


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
    current,  # ARRAY: (steps, N) or (steps, 1), else a waveform, (steps, J)
    array_per_neuron: tl.int32,
    samples,  # a tuple with an array (samples, columns) for each state
    recorded: tl.int32,  # bits, the first state's is 1: in which of them samples are kept
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
    HELD: tl.constexpr,  # the rows of the waveform are all alike
    ARRAY: tl.constexpr,
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
    y = loaded(state + i, N, STATES, inside)
    own = loaded(rows + i * per_neuron, tl.where(per_neuron != 0, N, 1), ROWS, inside)
    leak, per_C_m, most_open = own[0], own[1], own[2]
    threshold = tl.where(inside, tl.load(table), float("inf"))  # that no V beyond N crosses
    per_step = tl.load(table + 1)
    scalars = loaded(table + 2, 1, SCALARS, None)
    constants = loaded(table + 2 + SCALARS, 1, CONSTANTS, None)
    if ARRAY:
        next_row = current + i * array_per_neuron
        length = tl.where(array_per_neuron != 0, N, 1)
        I_next = tl.load(next_row, mask=inside)
    else:
        gains = gain + i * gain_per_neuron
        gain_row = tl.where(gain_per_neuron != 0, N, 1)
        gain_0 = tl.load(gains, mask=inside)
        waveform = current
        I = separable(waveform, leak, gain_0, gains, gain_row, J, inside)  # noqa: E741
    if NOISE:
        own_process = loaded(
            process + i * process_per_neuron, tl.where(process_per_neuron != 0, N, 1), 3, inside
        )
        decay, kick, sigma = own_process
        number = first_neuron + i
        low, high = number.to(tl.int32), (number >> 32).to(tl.int32)
        if some_neurons != 0:
            low = tl.load(neurons + i, mask=inside, other=0)
            high = tl.load(neurons + N + i, mask=inside, other=0)
        x = tl.load(state + STATES * N + i, mask=inside)
        if begins != 0:
            word = word_of(phase, words_of(first_four, low, high, seed, noise_stream))
            scale = tl.load(table + 2 + SCALARS + CONSTANTS)
            x = scale * deviate(word, quantiles).to(x.dtype)
        w0, w1, w2, w3 = words_of(first_four + ((phase + 1) >> 2), low, high, seed, noise_stream)
    at = tl.where(inside, i, -1)
    if some != 0:
        at = tl.load(column + i, mask=inside, other=-1).to(tl.int64)
    sampled = at >= 0
    at += before
    next_sample = first
    spikes = tl.zeros([BLOCK], tl.int32)
    invalid_from = spikes + 0x7FFFFFFF
    if spike_count is not None:
        spikes = tl.load(spike_count + i, mask=inside, other=0)
    if FEATURES:
        onset_rise = tl.load(table + 2 + SCALARS + CONSTANTS + (1 if NOISE else 0))
        summed, previous = load_sums(y[0], in_dtype, i, N, inside, FEATURES)
        if (sums_first < 0) & (sums_last >= 0):
            summed = sum_sample(summed, previous, y[0], onset_rise, FEATURES)
            if SHAPE & FEATURES:
                summed = sum_crossings(
                    summed, (previous < threshold) != (y[0] < threshold), previous, y[0], threshold,
                    0, sums, i, N, sums_step, sums_first, sums_last, FEATURES,
                )  # fmt: skip
        event = next_event(sums_step, -1, sums_first, sums_last)

    for k in tl.range(0, steps, loop_unroll_factor=UNROLL):
        if ARRAY:
            I = tl.fma(I_next, per_C_m, leak)  # noqa: E741
            next_row += tl.where(k + 1 < steps, length, 0)
            I_next = tl.load(next_row, mask=inside)  # on its way while this step is computed
        elif not HELD:
            I = separable(waveform, leak, gain_0, gains, gain_row, J, inside)  # noqa: E741
            waveform += J
        if RECORD:  # noqa: SIM102 (the one is known to the compiler)
            if k == next_sample:
                for s in tl.static_range(STATES):
                    if recorded & (1 << s):
                        tl.store(samples[s] + at, y[s], mask=sampled)
                at += columns
                next_sample += every
        if FEATURES:  # noqa: SIM102 (the one is known to the compiler)
            if k == event:  # V is the sample of step k, which has been taken
                if k == sums_first:
                    summed = begin_sums(y[0], sums, here(i, FAST), N, inside, FEATURES)
                if (sums_first <= k) & (k <= sums_last) & (k == end_of_stretch(sums_step, k - 1)):
                    samples_of_it = tl.minimum(k - sums_first + 1, STRETCH)
                    summed = end_stretch(
                        summed, y[0], samples_of_it, sums, here(i, FAST), N, inside, FEATURES
                    )
                if k == sums_last:
                    store_sums(summed, y[0], in_dtype, here(i, FAST), N, inside, FEATURES)
                event = next_event(sums_step, k, sums_first, sums_last)
        V, I_ext = y[0], I
        if NOISE:
            I_ext = tl.fma(sigma, x, I)
            after = phase + k + 1
            if (after & 3) == 0:
                four = first_four + (after >> 2)
                w0, w1, w2, w3 = words_of(four, low, high, seed, noise_stream)
            word = word_of(after, (w0, w1, w2, w3))
            x = decay * x + kick * deviate(word, quantiles).to(x.dtype)
        y, slope, end_slope, conductance = membrane_step(y, I_ext, own, scalars, constants, FAST)
        # The comparison is false for NaN.
        invalid_from = tl.where(conductance <= most_open, invalid_from, tl.minimum(invalid_from, k))
        if FEATURES:
            summed = sum_sample(summed, V, y[0], onset_rise, FEATURES)
        if (SPIKES | SHAPE) & FEATURES:
            spikes, summed = note_crossings(
                spikes, summed, V, y[0], threshold, slope * per_step, end_slope * per_step, i, k,
                total, neuron, step, fraction, room,
                sums, N, sums_step, sums_first, sums_last, NOTE, FEATURES,
            )  # fmt: skip
        elif neuron is not None:
            spikes = note_spikes(
                spikes, V, y[0], threshold, slope * per_step, end_slope * per_step,
                i.to(tl.int32), k, total, neuron, step, fraction, room, ordinal, FAST,
            )  # fmt: skip
        elif spike_count is not None:
            spikes += ((V < threshold) & (y[0] >= threshold)).to(tl.int32)

    for s in tl.static_range(STATES):
        tl.store(state + s * N + i, y[s], mask=inside)
    if NOISE:
        tl.store(state + STATES * N + i, x, mask=inside)
    if spike_count is not None:
        tl.store(spike_count + i, spikes, mask=inside)
    if any_invalid is not None:
        sum_of = y[0]
        for s in tl.static_range(1, STATES):
            sum_of += y[s]
        finite = sum_of - sum_of == 0.0
        invalid_from = tl.where(finite, invalid_from, tl.minimum(invalid_from, steps))
        invalid = inside & (invalid_from <= steps)
        tl.store(any_invalid + tl.zeros_like(i), 1, mask=invalid)
        tl.store(first_invalid + i, invalid_from + 1, mask=invalid)
