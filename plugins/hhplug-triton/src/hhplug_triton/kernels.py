"""Hodgkin-Huxley neurons by classic RK4, in Triton.

A program owns BLOCK neurons for a block of steps and keeps their V, m, h, n and their parameters in
registers; memory is touched for samples, for spikes, and for a current that changes. Arrays have
the neuron fastest: (4, N), (samples, N), (J, N).

A product that is to be fused with a sum is written `fma`, and the compiler fuses no other
(`enable_fp_fusion=False`), so that all choices round alike. A constant is made in the precision of
the run, by `real` or in the table: Triton's own literals pass through float32.

FAST takes NVIDIA's instructions where they pay; without it the same is said in plain Triton, for
the interpreter and for other devices.

Units: mV, ms, µA/cm², mS/cm², µF/cm². Conductances and currents are over C_m.
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)

# One exponential serves five rates: with z⁴ = α_h = 0.07 e^{−(V+65)/20}, β_n is a multiple of z and
# every e^{−(V+v)/10} one of z⁸. β_m needs a second.
OFFSET_Z = tl.constexpr(-0.9591253169292802 - 1.4426950408889634 * 65 / 80)
OFFSET_M = tl.constexpr(2 - 1.4426950408889634 * 65 / 18)
BETA_N = tl.constexpr(0.2430163552267455)
Z8_M = tl.constexpr(2486.223257286423)  # e^{−(V+40)/10} / z⁸
Z8_H = tl.constexpr(4099.089167997483)  # e^{−(V+35)/10} / z⁸
Z8_N = tl.constexpr(554.7513935630705)  # e^{−(V+55)/10} / z⁸

# α = x/(1 − e^{−x}), near x = 0 its series. In float64 to x⁶: at the border what it leaves out is
# 8e-15, and what cancellation costs the quotient 5e-14. In float32 to u² (u = 10 x, in mV): there
# both are 6e-6.
NEAR_X = tl.constexpr(0.1)
NEAR_U = tl.constexpr(2.5)


def constants(dt: float, threshold: float) -> list[float]:
    """The table that `hh` reads: an instruction holds one literal, a second comes from a register.

    Read from memory they stay in registers; as literals they are moved there again and again.
    """
    offsets = [OFFSET_Z.value, OFFSET_M.value]
    return [dt / 2, dt, dt / 6, threshold, *offsets, 1.0, 10.0, 100.0, 1 / 20, 1 / 200, 0.1]


@triton.jit
def real(value: tl.constexpr, like):
    """A constant in the precision of `like`."""
    return tl.full((), value, like.dtype)


@triton.jit
def minus(x):
    """−x: Triton 3.6 makes an instruction of a minus sign, 0 − x, and a sign of this product."""
    return x * real(-1.0, x)


@triton.jit
def reciprocal(x, FAST: tl.constexpr):
    """1/x, to 1 ulp; in float64 a step of third order makes 60 bits of an estimate's 20."""
    if not FAST:
        y = 1.0 / x
    elif x.dtype == tl.float32:
        y = tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1
        )
    else:
        y = tl.inline_asm_elementwise(
            "rcp.approx.ftz.f64 $0, $1;", "=d,d", [x], tl.float64, is_pure=True, pack=1
        )
        e = tl.fma(minus(x), y, real(1.0, x))
        y = tl.fma(y, tl.fma(e, e, e), y)
    return y


@triton.jit
def exp2_64(x):
    """2^x: 2^k by the exponent's bits, 2^f by interpolation at Chebyshev nodes (3e-17)."""
    magic = real(6755399441055744.0, x)  # 1.5·2^52: a sum with it is rounded to an integer
    k_plus_magic = x + magic
    f = x - (k_plus_magic - magic)
    p = tl.fma(f, real(4.455930741563682e-10, x), real(7.074197066047615e-09, x))
    p = tl.fma(p, f, real(1.0178056472371986e-07, x))
    p = tl.fma(p, f, real(1.3215432520547035e-06, x))
    p = tl.fma(p, f, real(1.5252733842758916e-05, x))
    p = tl.fma(p, f, real(0.0001540353046375614, x))
    p = tl.fma(p, f, real(0.0013333558146405434, x))
    p = tl.fma(p, f, real(0.009618129107587223, x))
    p = tl.fma(p, f, real(0.05550410866482163, x))
    p = tl.fma(p, f, real(0.2402265069591016, x))
    p = tl.fma(p, f, real(0.6931471805599453, x))
    p = tl.fma(p, f, real(1.0, x))
    exponent = k_plus_magic.to(tl.int64, bitcast=True) << 52
    return (p.to(tl.int64, bitcast=True) + exponent).to(tl.float64, bitcast=True)


@triton.jit
def series(x):
    """1 + x/2 + x²/12 − x⁴/720 + x⁶/30240, in float64."""
    u = x * x
    even = tl.fma(u, real(1.0 / 30240, x), real(-1.0 / 720, x))
    even = tl.fma(tl.fma(even, u, real(1.0 / 12, x)), u, real(1.0, x))
    return tl.fma(x, real(0.5, x), even)


@triton.jit
def rates_64(V, FAST: tl.constexpr):
    z = exp2_64(tl.fma(V, real(-LOG2_E / 80, V), real(OFFSET_Z, V)))
    z2 = z * z
    alpha_h = z2 * z2
    beta_m = exp2_64(tl.fma(V, real(-LOG2_E / 18, V), real(OFFSET_M, V)))
    z8 = alpha_h * alpha_h
    one = real(1.0, V)
    x_m = tl.fma(V, real(0.1, V), real(4.0, V))
    x_n = tl.fma(V, real(0.1, V), real(5.5, V))
    near_m = tl.abs(x_m) < real(NEAR_X, V)
    near_n = tl.abs(x_n) < real(NEAR_X, V)
    under_m = tl.where(near_m, one, tl.fma(z8, real(-Z8_M, V), one))
    under_n = tl.where(near_n, one, tl.fma(z8, real(-Z8_N, V), one))
    under_h = tl.fma(z8, real(Z8_H, V), one)
    # One division for three reciprocals.
    under_mn = under_m * under_n
    over = reciprocal(under_mn * under_h, FAST)
    over_mn = over * under_h
    beta_h = over * under_mn
    alpha_m = tl.where(near_m, series(x_m), x_m * (over_mn * under_n))
    alpha_n = real(0.1, V) * tl.where(near_n, series(x_n), x_n * (over_mn * under_m))
    return alpha_m, beta_m, alpha_h, beta_h, alpha_n, z


@triton.jit
def rates_32(V, c, FAST: tl.constexpr):
    offset_z, offset_m, one, ten, hundred, twentieth, two_hundredth, tenth = c
    z = tl.exp2(tl.fma(V, real(-LOG2_E / 80, V), offset_z))
    z2 = z * z
    alpha_h = z2 * z2
    beta_m = tl.exp2(tl.fma(V, real(-LOG2_E / 18, V), offset_m))
    z8 = alpha_h * alpha_h
    beta_h = reciprocal(tl.fma(z8, real(Z8_H, V), one), FAST)
    u_m = V + 40.0
    u_n = V + 55.0
    over_m = reciprocal(tl.fma(z8, real(-10 * Z8_M, V), ten), FAST)
    over_n = reciprocal(tl.fma(z8, real(-100 * Z8_N, V), hundred), FAST)
    alpha_m = tl.fma(tl.fma(u_m, real(1.0 / 1200, V), twentieth), u_m, one)
    alpha_n = tl.fma(tl.fma(u_n, real(1.0 / 12000, V), two_hundredth), u_n, tenth)
    alpha_m = tl.where(tl.abs(u_m) > NEAR_U, u_m * over_m, alpha_m)
    alpha_n = tl.where(tl.abs(u_n) > NEAR_U, u_n * over_n, alpha_n)
    return alpha_m, beta_m, alpha_h, beta_h, alpha_n, z


@triton.jit
def rates(V, c, FAST: tl.constexpr):
    """α_m β_m α_h β_h α_n and z, of which β_n is BETA_N times."""
    if V.dtype == tl.float64:
        return rates_64(V, FAST)
    else:  # noqa: RET505 (Triton would compile both)
        return rates_32(V, c, FAST)


@triton.jit
def derivative(V, m, h, n, I_ext, p, c, FAST: tl.constexpr):
    """dV/dt = I_ext − g_Na m³h (V−E_Na) − g_K n⁴ (V−E_K) − g_L (V−E_L), dx/dt = α − (α+β) x."""
    p_g_Na, p_g_K, p_g_L, E_Na, E_K = p
    alpha_m, beta_m, alpha_h, beta_h, alpha_n, z = rates(V, c, FAST)
    m2 = m * m
    n2 = n * n
    g_Na = (m2 * m) * (p_g_Na * h)
    g_K = (n2 * n2) * p_g_K
    dV = tl.fma(minus(p_g_L), V, I_ext)  # E_L is in the current, which holds g_L·E_L
    dV = tl.fma(minus(g_Na), V - E_Na, dV)
    dV = tl.fma(minus(g_K), V - E_K, dV)
    dm = tl.fma(minus(alpha_m + beta_m), m, alpha_m)
    dh = tl.fma(minus(alpha_h + beta_h), h, alpha_h)
    dn = tl.fma(minus(tl.fma(z, real(BETA_N, V), alpha_n)), n, alpha_n)
    return dV, dm, dh, dn


@triton.jit
def moved(V, m, h, n, a, dV, dm, dh, dn):
    """y + a·k."""
    return tl.fma(a, dV, V), tl.fma(a, dm, m), tl.fma(a, dh, h), tl.fma(a, dn, n)


@triton.jit
def rk4_step(V, m, h, n, dt, I_ext, p, c, FAST: tl.constexpr):
    """Classic RK4, the current held throughout."""
    half, whole, sixth = dt
    two = real(2.0, V)
    V1, m1, h1, n1 = derivative(V, m, h, n, I_ext, p, c, FAST)
    Vk, mk, hk, nk = moved(V, m, h, n, half, V1, m1, h1, n1)
    V2, m2, h2, n2 = derivative(Vk, mk, hk, nk, I_ext, p, c, FAST)
    Vk, mk, hk, nk = moved(V, m, h, n, half, V2, m2, h2, n2)
    V3, m3, h3, n3 = derivative(Vk, mk, hk, nk, I_ext, p, c, FAST)
    Vk, mk, hk, nk = moved(V, m, h, n, whole, V3, m3, h3, n3)
    V4, m4, h4, n4 = derivative(Vk, mk, hk, nk, I_ext, p, c, FAST)
    Vk, mk, hk, nk = moved(V1, m1, h1, n1, two, V2, m2, h2, n2)
    Vk, mk, hk, nk = moved(Vk, mk, hk, nk, two, V3, m3, h3, n3)
    return moved(V, m, h, n, sixth, Vk + V4, mk + m4, hk + h4, nk + n4)


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
  setp.lt.s32 up, at, $11;
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
