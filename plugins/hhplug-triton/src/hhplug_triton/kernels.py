"""The kernel: Hodgkin-Huxley neurons through a block of steps, in Triton.

A program owns BLOCK neurons for a block of steps and keeps their V, m, h, n and their parameters in
registers; memory is touched for samples, for spikes, and for a current that changes. Arrays have
the neuron fastest: (4, N), (samples, N), (J, N).
"""

import triton
import triton.language as tl

from hhplug_triton.equations import BETA_N, rates, real, rk4_step


@triton.jit
def separable(row, leak, gain_0, gains, gain_row, J, inside):
    """g_L·E_L plus Σ gain · waveform, this row of it, in the order of j."""
    I_ext = tl.fma(gain_0, tl.load(row), leak)
    for j in range(1, J):
        gain = tl.load(gains + j * gain_row, mask=inside)
        I_ext = tl.fma(gain, tl.load(row + j), I_ext)
    return I_ext


# A branch round what is rarely done, which Triton itself cannot say: 7 % at 8 M neurons (H100).
# $0 spikes ← $1; $2 V, $3 V of the next step, $4 threshold, $5 i, $6 k; then the arrays and room.
NOTE_SPIKE = """{
  .reg .pred up;
  .reg .b32 at;
  .reg .b64 place;
  .reg .real part, whole;
  mov.b32 $0, $1;
  setp.lt.real up, $2, $4;
  setp.ge.and.real up, $3, $4, up;
  @!up bra DONE;
  add.s32 $0, $0, 1;
  atom.relaxed.gpu.global.add.u32 at, [$7], 1;
  setp.lt.u32 up, at, $11;
  @!up bra DONE;
  mad.wide.s32 place, at, 4, $8;
  st.global.b32 [place], $5;
  mad.wide.s32 place, at, 4, $9;
  st.global.b32 [place], $6;
  sub.real part, $4, $2;
  sub.real whole, $3, $2;
  divide.real part, part, whole;
  mad.wide.s32 place, at, size, $10;
  st.global.real [place], part;
DONE:
}"""
NOTE_SPIKE_32 = tl.constexpr(
    NOTE_SPIKE.replace("divide", "div.full").replace(".real", ".f32").replace("size", "4")
)
NOTE_SPIKE_64 = tl.constexpr(
    NOTE_SPIKE.replace("divide", "div.rn").replace(".real", ".f64").replace("size", "8")
)


@triton.jit
def note_spikes(
    spikes, V, V_next, threshold, i, k, total, neuron, step, fraction, room, FAST: tl.constexpr
):
    """Count those that cross the threshold upwards, and keep neuron, step and fraction of it."""
    if FAST and V.dtype == tl.float32:
        spikes = tl.inline_asm_elementwise(
            NOTE_SPIKE_32, "=&r,r,f,f,f,r,r,l,l,l,l,r",
            [spikes, V, V_next, threshold, i, k, total, neuron, step, fraction, room],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
    elif FAST:
        spikes = tl.inline_asm_elementwise(
            NOTE_SPIKE_64, "=&r,r,d,d,d,r,r,l,l,l,l,r",
            [spikes, V, V_next, threshold, i, k, total, neuron, step, fraction, room],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
    else:
        crossed = (V < threshold) & (V_next >= threshold)
        spikes += crossed.to(tl.int32)
        at = tl.atomic_add(total + tl.zeros_like(i), 1, mask=crossed, sem="relaxed")
        fits = crossed & (at < room)
        tl.store(neuron + at, i, mask=fits)
        tl.store(step + at, k, mask=fits)
        tl.store(fraction + at, (threshold - V) / (V_next - V), mask=fits)
    return spikes


# What Triton must not compile anew for: 1 and multiples of 16, and addresses that are such.
NUMBERS = ["N", "steps", "per_neuron", "gain_per_neuron", "array_per_neuron", "J"]
NUMBERS += ["recorded", "some", "columns", "first", "every", "room"]
ARRAYS = ["V_out", "m_out", "h_out", "n_out", "current"]


@triton.jit(do_not_specialize=NUMBERS, do_not_specialize_on_alignment=ARRAYS)
def hh(
    N: tl.int64,
    steps: tl.int32,
    state,  # (4, N): V m h n, in and out
    parameters,  # (7, N) or (7, 1): g_Na g_K g_L E_Na E_K g_L·E_L 1/C_m
    per_neuron: tl.int32,  # 1: (7, N), 0: (7, 1)
    table,  # of `constants`
    gain,  # (J, N) or (J, 1), over C_m
    gain_per_neuron: tl.int32,
    J: tl.int32,
    current,  # ARRAY: (steps, N) or (steps, 1), else a waveform, (steps, J)
    array_per_neuron: tl.int32,
    V_out, m_out, h_out, n_out,  # (samples, columns), of variables in `recorded`
    recorded: tl.int32,  # bits: V 1, m 2, h 4, n 8
    column,  # (N,): of each neuron, −1 for none
    some: tl.int32,  # 1: as `column` says, 0: neuron i is in column i
    columns: tl.int64,
    first: tl.int32,  # step of the block that is sampled first …
    every: tl.int32,  # … and from one to the next
    spike_count,  # (N,): in this block; None: not wanted
    total,  # (1,): spikes found, those for which there was no room too
    neuron, step, fraction,  # (room,): of the population, the block, the step; None: not wanted
    room: tl.int32,
    HELD: tl.constexpr,  # the rows of the waveform are all alike
    ARRAY: tl.constexpr,
    RECORD: tl.constexpr,
    FAST: tl.constexpr,
    UNROLL: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < N
    V = tl.load(state + i, mask=inside)
    m = tl.load(state + N + i, mask=inside)
    h = tl.load(state + 2 * N + i, mask=inside)
    n = tl.load(state + 3 * N + i, mask=inside)

    own = parameters + i * per_neuron
    row = tl.where(per_neuron != 0, N, 1)
    p = (
        tl.load(own, mask=inside),
        tl.load(own + row, mask=inside),
        tl.load(own + 2 * row, mask=inside),
        tl.load(own + 3 * row, mask=inside),
        tl.load(own + 4 * row, mask=inside),
    )
    leak = tl.load(own + 5 * row, mask=inside)
    dt = (tl.load(table), tl.load(table + 1), tl.load(table + 2))
    threshold = tl.where(inside, tl.load(table + 3), float("inf"))  # that no V beyond N crosses
    c = (
        tl.load(table + 4), tl.load(table + 5), tl.load(table + 6), tl.load(table + 7),
        tl.load(table + 8), tl.load(table + 9), tl.load(table + 10), tl.load(table + 11),
    )  # fmt: skip
    if ARRAY:
        per_C_m = tl.load(own + 6 * row, mask=inside)
        next_row = current + i * array_per_neuron
        length = tl.where(array_per_neuron != 0, N, 1)
        I_next = tl.load(next_row, mask=inside)
    else:
        gains = gain + i * gain_per_neuron
        gain_row = tl.where(gain_per_neuron != 0, N, 1)
        gain_0 = tl.load(gains, mask=inside)
        waveform = current
        I_ext = separable(waveform, leak, gain_0, gains, gain_row, J, inside)
    at = tl.where(inside, i, -1)
    if some != 0:
        at = tl.load(column + i, mask=inside, other=-1).to(tl.int64)
    sampled = at >= 0
    next_sample = first
    spikes = tl.zeros([BLOCK], tl.int32)

    for k in tl.range(0, steps, loop_unroll_factor=UNROLL):
        if ARRAY:
            I_ext = tl.fma(I_next, per_C_m, leak)
            next_row += tl.where(k + 1 < steps, length, 0)
            I_next = tl.load(next_row, mask=inside)  # on its way while this step is computed
        elif not HELD:
            I_ext = separable(waveform, leak, gain_0, gains, gain_row, J, inside)
            waveform += J
        if RECORD:  # noqa: SIM102 (the one is known to the compiler)
            if k == next_sample:
                if recorded & 1:
                    tl.store(V_out + at, V, mask=sampled)
                if recorded & 2:
                    tl.store(m_out + at, m, mask=sampled)
                if recorded & 4:
                    tl.store(h_out + at, h, mask=sampled)
                if recorded & 8:
                    tl.store(n_out + at, n, mask=sampled)
                at += columns
                next_sample += every
        V_before = V
        V, m, h, n = rk4_step(V, m, h, n, dt, I_ext, p, c, FAST)
        if neuron is not None:
            spikes = note_spikes(
                spikes, V_before, V, threshold, i.to(tl.int32), k,
                total, neuron, step, fraction, room, FAST,
            )  # fmt: skip
        elif spike_count is not None:
            spikes += ((V_before < threshold) & (V >= threshold)).to(tl.int32)

    tl.store(state + i, V, mask=inside)
    tl.store(state + N + i, m, mask=inside)
    tl.store(state + 2 * N + i, h, mask=inside)
    tl.store(state + 3 * N + i, n, mask=inside)
    if spike_count is not None:
        tl.store(spike_count + i, spikes, mask=inside)


@triton.jit
def six_rates(N, table, V, out, FAST: tl.constexpr, BLOCK: tl.constexpr):
    """For tests: α_m β_m α_h β_h α_n β_n at each voltage, (6, N)."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < N
    c = (
        tl.load(table + 4), tl.load(table + 5), tl.load(table + 6), tl.load(table + 7),
        tl.load(table + 8), tl.load(table + 9), tl.load(table + 10), tl.load(table + 11),
    )  # fmt: skip
    v = tl.load(V + i, mask=inside)
    alpha_m, beta_m, alpha_h, beta_h, alpha_n, z = rates(v, c, FAST)
    tl.store(out + i, alpha_m, mask=inside)
    tl.store(out + N + i, beta_m, mask=inside)
    tl.store(out + 2 * N + i, alpha_h, mask=inside)
    tl.store(out + 3 * N + i, beta_h, mask=inside)
    tl.store(out + 4 * N + i, alpha_n, mask=inside)
    tl.store(out + 5 * N + i, real(BETA_N, v) * z, mask=inside)
