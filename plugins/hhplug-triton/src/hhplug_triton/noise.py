"""Noise: the random numbers of `hhplug.currents.noise`, bit for bit."""

import triton
import triton.language as tl

from hhplug_triton.memory import read_pair

PRODUCT = tl.constexpr("""{
  .reg .b64 both;
  mul.wide.u32 both, $2, $3;
  mov.b64 {$1, $0}, both;
}""")


@triton.jit
def deviate(word, quantiles, FAST: tl.constexpr):
    """The standard normal deviate of a word, as `hhplug.currents.noise` describes it."""
    f = ((word & 0x7FFFFFFF) | 1).to(tl.float32)
    # The table's first piece is that of f = 1, whose exponent is 127. An unsigned number of a piece
    # saves two instructions of its address.
    zeroth = quantiles.to(tl.pointer_type(tl.int64)) - (127 << 5)
    A, B = read_pair(zeroth + (f.to(tl.uint32, bitcast=True) >> 18), FAST)
    x = A + B * f
    return (x.to(tl.uint32, bitcast=True) ^ (word & 0x80000000)).to(tl.float32, bitcast=True)


@triton.jit
def product(word, factor: tl.constexpr, FAST: tl.constexpr):
    """The high and the low 32 bits of a product.

    Triton's `tl.philox` computes them one by one. Of a product of 64 bits, ptxas makes an addition
    of zero more.
    """
    if FAST:
        return tl.inline_asm_elementwise(
            PRODUCT, "=r,=r,r,r", [word, tl.full((), factor, tl.uint32)],
            (tl.uint32, tl.uint32), is_pure=True, pack=1,
        )  # fmt: skip
    else:  # noqa: RET505 (Triton would compile both)
        both = word.to(tl.uint64) * factor
        return (both >> 32).to(tl.uint32), both.to(tl.uint32)


@triton.jit
def words_of(four, low, high, seed, stream, FAST: tl.constexpr):
    """The words of the steps 4·four to 4·four + 3, by Philox 4×32-10."""
    w0, w1 = four.to(tl.uint32), low.to(tl.uint32)
    w2, w3 = high.to(tl.uint32), stream.to(tl.uint32)
    k0, k1 = seed.to(tl.uint32), (seed >> 32).to(tl.uint32)
    for _ in tl.static_range(10):
        high_0, low_0 = product(w0, 0xD2511F53, FAST)
        high_1, low_1 = product(w2, 0xCD9E8D57, FAST)
        w0, w1, w2, w3 = high_1 ^ w1 ^ k0, low_1, high_0 ^ w3 ^ k1, low_0
        k0, k1 = k0 + 0x9E3779B9, k1 + 0xBB67AE85
    return w0, w1, w2, w3


@triton.jit
def word_of(step, words):
    """That of the four words which is the step's."""
    w0, w1, w2, w3 = words
    j = step & 3
    return tl.where(j < 2, tl.where(j == 0, w0, w1), tl.where(j == 2, w2, w3))
