"""One Hodgkin-Huxley neuron by classic RK4, in Triton: rates, derivative, a step.

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
    """2^x: 2^k by the exponent's bits, 2^f by interpolation at Chebyshev nodes (3e-17).

    |x| < 1022: V within ±12,000 mV, from beyond which no neuron comes back.
    """
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
