"""LLVM instructions, function attributes and typed constants that Numba doesn't offer."""

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from hhplug.currents.noise import MULTIPLIERS, ROUNDS

__all__ = ["exp2", "exponential", "fma", "kept_apart", "log2", "widest_vectors", "within"]
"""The functions that the source of a step may use."""


def _precision(*given):
    return types.float32 if types.float32 in given else types.float64


@intrinsic
def fma(_, a, b, c):
    """a·b + c, rounded once. Constants take the variables' type."""
    result = _precision(a, b, c)

    def generate(context, builder, signature, args):
        pairs = zip(args, signature.args, strict=True)
        return builder.fma(*(context.cast(builder, x, t, result) for x, t in pairs))

    return result(a, b, c), generate


@intrinsic
def widest_vectors(_):
    """Let LLVM use 512-bit vectors, which it avoids on Intel, in the function that calls this.

    Each function with a loop must call it, since Numba vectorises a function before inlining it.
    """

    def generate(context, builder, signature, args):
        # llvmlite doesn't support string attributes, but it prints every element of the set.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def kept_apart(_):
    """Never inline the function that calls this, since LLVM reloads constants in a larger one."""

    def generate(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        builder.function.attributes.alignstack = 64  # a spilled vector is in one cache line
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def within(_, x, farthest):
    """x, or ±farthest if it is beyond. A NaN stays."""

    def generate(context, builder, signature, args):
        x, farthest = args[0], context.cast(builder, args[1], signature.args[1], signature.args[0])
        return _within(builder, x, farthest)

    return x(x, farthest), generate


def _within(builder, x, farthest):
    lowest = builder.fneg(farthest)
    x = builder.select(builder.fcmp_ordered(">", lowest, x), lowest, x)
    return builder.select(builder.fcmp_ordered("<", farthest, x), farthest, x)


# 2^f for |f| ≤ 1/2, least greatest relative error: 7.5e-8, 2.1e-16. The coefficient of f⁰ is first.
POWER_OF_TWO = {
    types.float32: [1.0000000716547142, 0.6931469670650352, 0.2402211972371072,
                    0.055507132718556444, 0.009675541343121328, 0.0013276472631950876],
    types.float64: [1.0, 0.6931471805599497, 0.24022650695908768, 0.05550410866445883,
                    0.00961812910803459, 0.0013333558228561476, 0.00015403529961135955,
                    1.5252658116561384e-05, 1.3215662831846104e-06, 1.0208537904552164e-07,
                    7.037279530582804e-09],
}  # fmt: skip
MAGIC = {types.float32: 1.5 * 2.0**23, types.float64: 1.5 * 2.0**52}
"""A sum with it is rounded to an integer, which stands in its low bits."""
LARGEST_EXPONENT = {types.float32: 126.0, types.float64: 1022.0}


def _horner(context, builder, x, of, coefficients):
    *rest, p = (context.get_constant(x, c) for c in coefficients)
    for c in reversed(rest):
        p = builder.fma(p, of, c)
    return p


def _scaled(builder, x, mantissa, k_plus_magic):
    """mantissa·2^k, where k is in the low bits of k_plus_magic."""
    bits, shift = {types.float32: (32, 23), types.float64: (64, 52)}[x]
    integer = ir.IntType(bits)
    k = builder.shl(builder.bitcast(k_plus_magic, integer), integer(shift))
    return builder.bitcast(builder.add(builder.bitcast(mantissa, integer), k), mantissa.type)


@intrinsic
def exp2(_, x):
    """2^x; beyond exponents of ±126 (float64: ±1022) as there."""

    def generate(context, builder, signature, args):
        magic = context.get_constant(x, MAGIC[x])
        within = _within(builder, args[0], context.get_constant(x, LARGEST_EXPONENT[x]))
        k_plus_magic = builder.fadd(within, magic)
        f = builder.fsub(within, builder.fsub(k_plus_magic, magic))
        mantissa = _horner(context, builder, x, f, POWER_OF_TWO[x])
        return _scaled(builder, x, mantissa, k_plus_magic)

    return x(x), generate


def exponential(slope: float, offset: float):
    """A function of x that returns 2^(slope·x + offset), whose exponent must not overflow.

    It takes no operation more than 2^x: the offset goes into the coefficients.
    """

    @intrinsic
    def value(_, x):
        def generate(context, builder, signature, args):
            magic, per_x = (context.get_constant(x, c) for c in (MAGIC[x], slope))
            k_plus_magic = builder.fma(args[0], per_x, magic)
            f = builder.fma(args[0], per_x, builder.fsub(magic, k_plus_magic))
            coefficients = [2.0**offset * c for c in POWER_OF_TWO[x]]
            return _scaled(builder, x, _horner(context, builder, x, f, coefficients), k_plus_magic)

        return x(x), generate

    return value


# log₂ m = s·(c₀ + c₁ s² + …) with s = (m − 1)/(m + 1), for √½ ≤ m < √2: |s| ≤ 0.1716. The terms of
# the series, 2/(ln 2·(2k + 1)), leave out 1e-9 (float32) and 4e-18 of log₂ m.
TERMS = {types.float32: 5, types.float64: 11}


@intrinsic
def log2(_, x):
    """log₂ x for a normal number x above zero; a NaN or infinity where x is none."""

    def generate(context, builder, signature, args):
        def real(value):
            return context.get_constant(x, value)

        bits, shift = {types.float32: (32, 23), types.float64: (64, 52)}[x]
        integer = ir.IntType(bits)
        given = builder.bitcast(args[0], integer)
        least = builder.bitcast(real(math.sqrt(0.5)), integer)
        k = builder.ashr(builder.sub(given, least), integer(shift))
        m = builder.bitcast(builder.sub(given, builder.shl(k, integer(shift))), args[0].type)
        magic = real(MAGIC[x])
        whole = builder.fsub(
            builder.bitcast(builder.add(builder.bitcast(magic, integer), k), args[0].type), magic
        )
        s = builder.fdiv(builder.fsub(m, real(1.0)), builder.fadd(m, real(1.0)))
        terms = [2.0 / (math.log(2.0) * (2 * k + 1)) for k in range(TERMS[x])]
        series = _horner(context, builder, x, builder.fmul(s, s), terms)
        found = builder.fma(s, series, whole)
        valid = builder.fcmp_ordered(">", args[0], real(0.0))
        zero = builder.fcmp_ordered("==", args[0], real(0.0))
        other = builder.select(zero, real(-math.inf), real(math.nan))
        return builder.select(valid, found, other)

    return x(x), generate


@intrinsic
def bits_of(_, x):
    """The bits of a float32 as a uint32."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return (types.uint32(x), generate) if x == types.float32 else None


@intrinsic
def float_of(_, bits):
    """The float32 that has these bits, a uint32."""

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return (types.float32(bits), generate) if bits == types.uint32 else None


def _apart(builder):
    """The list of one scope for LLVM's alias.scope and noalias: that of tables."""
    module = builder.module
    domain = module.add_metadata(["hhplug"])
    return module.add_metadata([module.add_metadata(["table", domain])])


def _element(context, builder, array_type, array, index):
    data = make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _looked_up(context, builder, table_type, table, place):
    value = builder.load(_element(context, builder, table_type, table, place))
    value.set_metadata("alias.scope", _apart(builder))
    return value


@intrinsic
def looked_up(_, table, place):
    """table[place] of a contiguous table, to which no `put` writes.

    LLVM can't tell where in memory a place is that was computed, so it doesn't vectorise a loop
    that also writes, unless it is told that what is written is no table.
    """

    def generate(context, builder, signature, args):
        return _looked_up(context, builder, table, *args)

    return table.dtype(table, place), generate


@intrinsic
def put(_, array, place, value):
    """array[place] = value, in a contiguous array that is no table of `looked_up`."""

    def generate(context, builder, signature, args):
        store = builder.store(args[2], _element(context, builder, array, args[0], args[1]))
        store.set_metadata("noalias", _apart(builder))
        return context.get_dummy_value()

    return types.void(array, place, array.dtype), generate


@intrinsic
def philox(_, c0, c1, c2, c3, key):
    """The four words of `hhplug.currents.noise.philox`, all uint32; key: two for each round."""

    def generate(context, builder, signature, args):
        word, twice, half = ir.IntType(32), ir.IntType(64), ir.IntType(64)(32)
        *c, keys = args
        for r in range(ROUNDS):
            k = [
                _looked_up(context, builder, key, keys, context.get_constant(types.intp, 2 * r + j))
                for j in range(2)
            ]
            products = [
                builder.mul(builder.zext(x, twice), twice(m))
                for x, m in zip(c[::2], MULTIPLIERS, strict=True)
            ]
            low = [builder.trunc(p, word) for p in products]
            high = [builder.trunc(builder.lshr(p, half), word) for p in products]
            c = [
                builder.xor(builder.xor(high[1], c[1]), k[0]), low[1],
                builder.xor(builder.xor(high[0], c[3]), k[1]), low[0],
            ]  # fmt: skip
        return context.make_tuple(builder, signature.return_type, c)

    return types.UniTuple(types.uint32, 4)(c0, c1, c2, c3, key), generate
