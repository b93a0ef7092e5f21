"""LLVM instructions, function attributes and typed constants that Numba doesn't offer."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


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
def real(_, constant, x):
    """The constant, converted to the type of x."""

    def generate(context, builder, signature, args):
        return context.cast(builder, args[0], signature.args[0], x)

    return x(constant, x), generate


@intrinsic
def times_power_of_two(_, x, k_plus_magic):
    """x·2^k, where k is in the low bits of k_plus_magic."""
    bits, mantissa = {types.float32: (32, 23), types.float64: (64, 52)}[x]

    def generate(context, builder, signature, args):
        integer = ir.IntType(bits)
        k = builder.shl(builder.bitcast(args[1], integer), integer(mantissa))
        return builder.bitcast(builder.add(builder.bitcast(args[0], integer), k), args[0].type)

    return x(x, k_plus_magic), generate


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


def constant(float32: float, float64: float):
    """A function of x that returns the constant of x's type."""

    @intrinsic
    def value(_, x):
        def generate(context, builder, signature, args):
            return context.get_constant(x, {types.float32: float32, types.float64: float64}[x])

        return x(x), generate

    return value


def polynomial(float32: list[float], float64: list[float]):
    """A function that evaluates a polynomial by Horner's rule, with the coefficients of x's type.

    The coefficient of x⁰ is the first.
    """

    @intrinsic
    def value(_, x):
        def generate(context, builder, signature, args):
            own = {types.float32: float32, types.float64: float64}[x]
            *rest, p = (context.get_constant(x, c) for c in own)
            for c in reversed(rest):
                p = builder.fma(p, args[0], c)
            return p

        return x(x), generate

    return value
