"""Hodgkin-Huxley neurons by classic RK4 on a CPU, vectorised by LLVM, without the interpreter lock.

A group of up to WIDTH neurons is one flat array: ROWS rows (V m h n, the stage, the sum of slopes,
the parameters), each STRIDE apart, so that a step stays in the first-level cache. A step is four
stages of two short loops over the neurons: one for the two exponentials, one for the rest. In a
long body the chain of dependent operations bounds the speed: one loop for the whole step takes 1.5
times as long (AMD Zen 5).

Rounding is the same for every neuron wherever it stands, whatever LLVM makes of a loop: a product
that is to be fused with a sum is written `fma`, nothing else may be fused or reordered (no
fastmath), there are no library functions. So vector body, remainder and scalar code agree, and so
do CPUs.

Row distances are constants, else LLVM cannot tell that rows do not overlap.

Units: mV, ms, µA/cm², mS/cm², µF/cm². Conductances and currents are over C_m.
"""

import math

import numpy as np
from numba import njit

from hhplug_numba.compiler import cached_njit
from hhplug_numba.intrinsics import (
    constant,
    fma,
    kept_apart,
    polynomial,
    real,
    times_power_of_two,
    widest_vectors,
)

WIDTH = {"float32": 256, "float64": 128}  # neurons of a group: 22 kB, for caches of 32 kB
LANES = 16  # a group's width is a multiple: a cache line of float32, two of float64
STRIDE = 256 + LANES  # between rows; not a power of two, whose multiples share a cache set

(
    V_, m_, h_, n_,
    stage_V, stage_m, stage_h, stage_n,
    sum_V, sum_m, sum_h, sum_n,
    z_, beta_m_,
    I_ext_, g_Na_, g_K_, g_L_, E_Na_, E_K_, leak_, per_C_m_,
) = (row * STRIDE for row in range(22))  # fmt: skip
ROWS = 22
STATE = slice(0, 4)
PARAMETERS = slice(15, 22)
# What these rows hold, by the names of `hhplug.membranes.derived`.
PARAMETER_ROWS = ("g_Na", "g_K", "g_L", "E_Na", "E_K", "leak", "per_C_m")

# No reference counts (_nrt): passing an array on would cost atomic operations at every step. A
# division by zero gives infinity and takes no branch (error_model).
HOT = {"_nrt": False, "error_model": "numpy", "nogil": True}
INLINE = {"_nrt": False, "error_model": "numpy", "forceinline": True}

LOG2_E = math.log2(math.e)

# 2^f for |f| ≤ 1/2, least greatest relative error: 7.5e-8, 1.3e-14, 2.1e-16.
POWER_5 = [1.0000000716547142, 0.6931469670650352, 0.2402211972371072, 0.055507132718556444,
           0.009675541343121328, 0.0013276472631950876]  # fmt: skip
POWER_9 = [1.0000000000000127, 0.693147180559871, 0.24022650695649653, 0.05550410866868558,
           0.009618129192067202, 0.0013333557617609879, 0.00015403434948081424,
           1.5252984835578367e-05, 1.3259405611204192e-06, 1.0150337260976417e-07]  # fmt: skip
POWER_10 = [1.0, 0.6931471805599497, 0.24022650695908768, 0.05550410866445883, 0.00961812910803459,
            0.0013333558228561476, 0.00015403529961135955, 1.5252658116561384e-05,
            1.3215662831846104e-06, 1.0208537904552164e-07, 7.037279530582804e-09]  # fmt: skip


def _exponential(per_mV: float, offset: float, float32: list[float], float64: list[float]):
    """slope and polynomial for 2^(per_mV·V + offset); the offset goes into the coefficients.

    A float32 slope is off by up to 5e-8; the offset makes up for it at −47.5 mV, between the two
    voltages around which precision counts.
    """
    slope = float(np.float32(per_mV))
    scale32, scale64 = 2.0 ** (offset + (per_mV - slope) * -47.5), 2.0**offset
    return constant(slope, per_mV), polynomial(
        [scale32 * c for c in float32], [scale64 * c for c in float64]
    )


# One exponential serves five rates: with z⁴ = α_h = 0.07 e^{−(V+65)/20}, β_n is a multiple of z and
# every e^{−(V+v)/10} one of z⁸. β_m needs a second.
slope_z, power_z = _exponential(
    -LOG2_E / 80, math.log2(0.07) / 4 - LOG2_E * 65 / 80, POWER_5, POWER_10
)
slope_m, power_m = _exponential(-LOG2_E / 18, 2 - LOG2_E * 65 / 18, POWER_5, POWER_9)
BETA_N = 0.2430163552267455  # β_n / z
Z8_M = 2486.223257286423  # e^{−(V+40)/10} / z⁸
Z8_H = 4099.089167997483  # e^{−(V+35)/10} / z⁸
Z8_N = 554.7513935630705  # e^{−(V+55)/10} / z⁸

magic = constant(1.5 * 2.0**23, 1.5 * 2.0**52)  # a sum with it is rounded to an integer

# x/(1 − e^{−x}) near x = 0, less x/2: even; in u² = (10 x)², least greatest error for |x| < 1
# (float32, 9e-7), 0.2 (float64, 1.6e-14).
near = constant(10.0, 2.0)
_EVEN_32 = [1.0000009452639311, 0.08331579168422663e-2, -0.0013410528323866144e-4]
_EVEN_64 = [1.0000000000000164, 0.08333333332014817e-2, -0.0013888872395241682e-4,
            3.3002755119811386e-05 * 1e-6]  # fmt: skip
even_m = polynomial(_EVEN_32, _EVEN_64)
even_n = polynomial([0.1 * c for c in _EVEN_32], [0.1 * c for c in _EVEN_64])


@njit(**INLINE)
def exponentials(V):
    """z and β_m; beyond ±1000 mV, where exponents would overflow, as at ±1000 mV."""
    lowest, highest = real(-1000.0, V), real(1000.0, V)
    V = lowest if lowest > V else V  # a NaN stays
    V = highest if highest < V else V
    k_plus_magic = fma(V, slope_z(V), magic(V))
    z = power_z(fma(V, slope_z(V), magic(V) - k_plus_magic))
    z = times_power_of_two(z, k_plus_magic)
    k_plus_magic = fma(V, slope_m(V), magic(V))
    beta_m = power_m(fma(V, slope_m(V), magic(V) - k_plus_magic))
    return z, times_power_of_two(beta_m, k_plus_magic)


@njit(**INLINE)
def other_rates(V, z):
    """α_m α_h β_h α_n."""
    z2 = z * z
    alpha_h = z2 * z2
    z8 = alpha_h * alpha_h
    beta_h = real(1.0, V) / fma(z8, Z8_H, 1.0)
    u_m = V + real(40.0, V)
    u_n = V + real(55.0, V)
    alpha_m = u_m / fma(z8, -10.0 * Z8_M, 10.0)
    alpha_n = u_n / fma(z8, -100.0 * Z8_N, 100.0)
    if abs(u_m) < near(V):
        alpha_m = fma(u_m, 0.05, even_m(u_m * u_m))
    if abs(u_n) < near(V):
        alpha_n = fma(u_n, 0.005, even_n(u_n * u_n))
    return alpha_m, alpha_h, beta_h, alpha_n


@njit(**INLINE)
def derivative(V, m, h, n, z, beta_m, I_ext, g_Na, g_K, g_L, E_Na, E_K):
    """dV/dt = I_ext − g_Na m³h (V−E_Na) − g_K n⁴ (V−E_K) − g_L (V−E_L), dx/dt = α − (α + β) x.

    E_L is in the current, which holds g_L·E_L.
    """
    alpha_m, alpha_h, beta_h, alpha_n = other_rates(V, z)
    m2 = m * m
    n2 = n * n
    dV = fma(-g_L, V, I_ext)
    dV = fma(-((m2 * m) * (g_Na * h)), V - E_Na, dV)
    dV = fma(-((n2 * n2) * g_K), V - E_K, dV)
    dm = fma(-(alpha_m + beta_m), m, alpha_m)
    dh = fma(-(alpha_h + beta_h), h, alpha_h)
    dn = fma(-fma(z, BETA_N, alpha_n), n, alpha_n)
    return dV, dm, dh, dn


@njit(**INLINE)
def find_exponentials(g, V, width):
    widest_vectors()
    for i in range(width):
        g[i + z_], g[i + beta_m_] = exponentials(g[i + V])


@njit(**INLINE)
def slope(g, i, V, m, h, n):
    """The derivative of neuron i at the state in the rows V, m, h, n."""
    return derivative(
        g[i + V], g[i + m], g[i + h], g[i + n], g[i + z_], g[i + beta_m_],
        g[i + I_ext_], g[i + g_Na_], g[i + g_K_], g[i + g_L_], g[i + E_Na_], g[i + E_K_],
    )  # fmt: skip


@njit(**INLINE)
def next_stage(g, i, a, dV, dm, dh, dn):
    """state + a·slope."""
    g[i + stage_V] = fma(a, dV, g[i + V_])
    g[i + stage_m] = fma(a, dm, g[i + m_])
    g[i + stage_h] = fma(a, dh, g[i + h_])
    g[i + stage_n] = fma(a, dn, g[i + n_])


@njit(**INLINE)
def middle_stage(g, a, width):
    """Add twice the slope at the stage to the sum; the next stage is a·slope away."""
    widest_vectors()
    find_exponentials(g, stage_V, width)
    for i in range(width):
        dV, dm, dh, dn = slope(g, i, stage_V, stage_m, stage_h, stage_n)
        g[i + sum_V] = fma(2.0, dV, g[i + sum_V])
        g[i + sum_m] = fma(2.0, dm, g[i + sum_m])
        g[i + sum_h] = fma(2.0, dh, g[i + sum_h])
        g[i + sum_n] = fma(2.0, dn, g[i + sum_n])
        next_stage(g, i, a, dV, dm, dh, dn)


@njit(**HOT)
def rk4_step(g, dt, threshold, width):
    """One step, the current held. True if any V crosses the threshold; stage_V holds V before."""
    kept_apart()
    widest_vectors()
    width = width // LANES * LANES  # so that LLVM knows: no remainder, which would be slow
    half = real(0.5, dt) * dt
    sixth = dt / real(6.0, dt)
    find_exponentials(g, V_, width)
    for i in range(width):
        dV, dm, dh, dn = slope(g, i, V_, m_, h_, n_)
        g[i + sum_V], g[i + sum_m], g[i + sum_h], g[i + sum_n] = dV, dm, dh, dn
        next_stage(g, i, half, dV, dm, dh, dn)
    middle_stage(g, half, width)
    middle_stage(g, dt, width)
    find_exponentials(g, stage_V, width)
    crossed = False
    for i in range(width):
        dV, dm, dh, dn = slope(g, i, stage_V, stage_m, stage_h, stage_n)
        V = g[i + V_]
        V_next = fma(sixth, g[i + sum_V] + dV, V)
        g[i + V_] = V_next
        g[i + m_] = fma(sixth, g[i + sum_m] + dm, g[i + m_])
        g[i + h_] = fma(sixth, g[i + sum_h] + dh, g[i + h_])
        g[i + n_] = fma(sixth, g[i + sum_n] + dn, g[i + n_])
        g[i + stage_V] = V
        crossed |= (V < threshold) & (V_next >= threshold)
    return crossed


@njit(**INLINE)
def take_current(g, k, gain, waveform, width):
    """g_L·E_L plus the current during step k, a sum of gain × waveform."""
    for i in range(width):
        g[i + I_ext_] = g[i + leak_]
    for j in range(len(gain)):
        w = waveform[k, j]
        for i in range(width):
            g[i + I_ext_] = fma(gain[j, i], w, g[i + I_ext_])


@njit(**INLINE)
def take_array_current(g, k, array, first, neurons):
    if array.shape[1] == 1:
        for i in range(neurons):
            g[i + I_ext_] = fma(array[k, 0], g[i + per_C_m_], g[i + leak_])
    else:
        mine = array[k, first : first + neurons]  # from 0 on: no wrapping of negative indices
        for i in range(neurons):
            g[i + I_ext_] = fma(mine[i], g[i + per_C_m_], g[i + leak_])


@njit(**INLINE)
def take_sample(out, row, g, variable, first, neurons, chosen, column, lane):
    """A row of out, if there is any: all of the group's neurons side by side, or those in lane."""
    if not len(out):
        return
    if chosen:
        for c in range(len(column)):
            out[row, column[c]] = g[lane[c] + variable]
    else:
        mine = out[row, first : first + neurons]
        for i in range(neurons):
            mine[i] = g[i + variable]


@njit(**INLINE)
def note_spikes(g, k, threshold, first, neurons, count, neuron, step, fraction, found):
    mine = count[first : first + neurons]
    for i in range(neurons):
        if g[i + V_] >= threshold and g[i + stage_V] < threshold:  # the rarer one first
            mine[i] += 1
            if len(neuron):
                V, V_next = g[i + stage_V], g[i + V_]
                neuron[found], step[found] = first + i, k
                fraction[found] = (threshold - V) / (V_next - V)
                found += 1
    return found


@njit(**HOT)
def advance_group(
    g, first, neurons, start, stop, dt,
    gain, waveform, array,
    V_out, m_out, h_out, n_out, sample, every, chosen, column, lane,
    threshold, count, neuron, step, fraction, found,
):  # fmt: skip
    """The step that a group reached, and the spikes noted so far."""
    width = (neurons + LANES - 1) // LANES * LANES
    row = max(0, -((sample - start) // every))  # of the next sample, and …
    sample += row * every  # … its step
    for k in range(start, stop):
        if len(neuron) and found + neurons > len(neuron):
            return k, found
        if k == sample:  # of every variable that is recorded
            take_sample(V_out, row, g, V_, first, neurons, chosen, column, lane)
            take_sample(m_out, row, g, m_, first, neurons, chosen, column, lane)
            take_sample(h_out, row, g, h_, first, neurons, chosen, column, lane)
            take_sample(n_out, row, g, n_, first, neurons, chosen, column, lane)
            row += 1
            sample += every
        if len(array):
            take_array_current(g, k, array, first, neurons)
        else:
            new = k == start
            for j in range(len(gain)):
                new |= waveform[k, j] != waveform[k - 1, j]
            if new:
                take_current(g, k, gain, waveform, width)
        if rk4_step(g, dt, threshold, width) and len(count):
            found = note_spikes(
                g, k, threshold, first, neurons, count, neuron, step, fraction, found
            )
    return stop, found


@cached_njit(**HOT)
def advance(
    groups, at, N, width, group, share, k, stop, dt,
    gain, waveform, array,
    V_out, m_out, h_out, n_out, sample, every, starts, column, lane,
    threshold, count, neuron, step, fraction,
):  # fmt: skip
    """Take a group, and every share-th after it, from step k of a block to its end, `stop`.

    Returns the group and the step reached, and the spikes noted. It stops early, and is to be
    called again from there, when the spikes of another step may not fit.

    groups: elements, of which a group's begin at[group]; of N neurons each has `width`, the last
    what is left, up to a multiple of LANES filled with copies.
    gain (groups, J, width) and waveform (steps, J); or array (steps, N) or (steps, 1), else (0, 0).
    V_out …: (samples, columns), or (0, 0): sampled at step `sample` and every further `every`.
    starts (groups + 1): where each group's begin in column, of V_out …, and lane, its neurons; or
    empty: all neurons are sampled.
    count (N): upward crossings are added; or empty. neuron, step, fraction: the spikes; or empty.
    """
    found = 0
    while group < len(at):
        first = group * width
        neurons = min(width, N - first)
        mine = slice(0, 0)
        if len(starts):
            mine = slice(starts[group], starts[group + 1])
        k, found = advance_group(
            groups[at[group] :], first, neurons, k, stop, dt,
            gain[group], waveform, array,
            V_out, m_out, h_out, n_out, sample, every, len(starts) > 0, column[mine], lane[mine],
            threshold, count, neuron, step, fraction, found,
        )  # fmt: skip
        if k < stop:
            break
        group += share
        k = 0
    return group, k, found


@cached_njit(**HOT)
def six_rates(V, out):
    """For tests: α_m β_m α_h β_h α_n β_n at each voltage, (6, len(V))."""
    for i in range(len(V)):
        z, beta_m = exponentials(V[i])
        alpha_m, alpha_h, beta_h, alpha_n = other_rates(V[i], z)
        out[0, i], out[1, i], out[2, i], out[3, i] = alpha_m, beta_m, alpha_h, beta_h
        out[4, i], out[5, i] = alpha_n, real(BETA_N, z) * z
