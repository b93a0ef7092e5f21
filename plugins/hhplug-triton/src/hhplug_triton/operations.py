"""Operations of the printed equations that Triton hasn't, or for which NVIDIA's are better.

A constant of float64 is made by `real`: Triton 3.6 takes a literal for one of float32. FAST takes
NVIDIA's instructions where they pay; without it the same is said in plain Triton, for the
interpreter and for other devices.
"""

import triton
import triton.language as tl


@triton.jit
def real(value: tl.constexpr, like):
    """A constant in the precision of `like`."""
    return tl.full((), value, like.dtype)


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
        e = tl.fma(-1.0 * x, y, 1.0)
        y = tl.fma(y, tl.fma(e, e, e), y)
    return y


@triton.jit
def exp2(x):
    """2^x."""
    if x.dtype == tl.float64:
        return exp2_64(x)
    else:  # noqa: RET505 (Triton would compile both)
        return tl.exp2(x)


@triton.jit
def exp2_64(x):
    """2^x: 2^k by the exponent's bits, 2^f by interpolation at Chebyshev nodes (3e-17).

    Where it is smaller than 2^−1021 or larger than 2^1023, it is about that.
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
    p = tl.fma(p, f, 1.0)
    k = k_plus_magic.to(tl.int64, bitcast=True).to(tl.int32)
    k = tl.minimum(tl.maximum(k, -1021), 1023)
    return (p.to(tl.int64, bitcast=True) + (k.to(tl.int64) << 52)).to(tl.float64, bitcast=True)


@triton.jit
def log2(x, FAST: tl.constexpr):
    """log₂ x; fast, to 2^−22 between ½ and 2, where plain log2 takes 25 instructions more."""
    if FAST and x.dtype == tl.float32:
        return tl.inline_asm_elementwise(
            "lg2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1
        )
    else:  # noqa: RET505 (Triton would compile both)
        return tl.log2(x)
