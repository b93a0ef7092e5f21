"""Memory access: a value of each neuron is read or written, if it is inside a set of neurons.

FAST takes NVIDIA's instructions as text. Triton's pass TritonGPUCoalesce searches the whole kernel
once for each operation that it knows to access memory, which took nine tenths of the time of
compilation. There is nothing for it to find, since neighboring threads own neighboring neurons, and
it does not look into text.
"""

import triton
import triton.language as tl

READ = """{
  .reg .pred inside;
  mov.real $0, 0;
  setp.ne.s32 inside, $1, 0;
  @inside ld.global.real $0, [$2];
}"""
WRITE = """{
  .reg .pred inside;
  mov.b32 $0, 0;
  setp.ne.s32 inside, $1, 0;
  @inside st.global.real [$3], $2;
}"""
READ_32, READ_64 = (tl.constexpr(READ.replace("real", real)) for real in ("b32", "b64"))
WRITE_32, WRITE_64 = (tl.constexpr(WRITE.replace("real", real)) for real in ("b32", "b64"))


@triton.jit
def read(at, inside, FAST: tl.constexpr):
    """The values at addresses, and 0 where a neuron is not inside, whose address is not read."""
    if not FAST:
        values = tl.load(at, mask=inside, other=0)
    elif at.dtype.element_ty == tl.float32:
        values = tl.inline_asm_elementwise(
            READ_32, "=&f,r,l", [inside.to(tl.int32), at], tl.float32, is_pure=False, pack=1
        )
    elif at.dtype.element_ty == tl.float64:
        values = tl.inline_asm_elementwise(
            READ_64, "=&d,r,l", [inside.to(tl.int32), at], tl.float64, is_pure=False, pack=1
        )
    else:
        values = tl.inline_asm_elementwise(
            READ_32, "=&r,r,l", [inside.to(tl.int32), at], tl.int32, is_pure=False, pack=1
        )
    return values


@triton.jit
def write(at, values, inside, FAST: tl.constexpr):
    """Write the values of neurons that are inside."""
    if not FAST:
        tl.store(at, values, mask=inside)
    elif values.dtype == tl.float32:
        tl.inline_asm_elementwise(
            WRITE_32, "=&r,r,f,l", [inside.to(tl.int32), values, at],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
    elif values.dtype == tl.float64:
        tl.inline_asm_elementwise(
            WRITE_64, "=&r,r,d,l", [inside.to(tl.int32), values, at],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
    else:
        tl.inline_asm_elementwise(
            WRITE_32, "=&r,r,r,l", [inside.to(tl.int32), values, at],
            tl.int32, is_pure=False, pack=1,
        )  # fmt: skip


@triton.jit
def read_pair(at, FAST: tl.constexpr):
    """The two float32 at each address, which is a multiple of 8, in memory that does not change."""
    if FAST:
        return tl.inline_asm_elementwise(
            "ld.global.nc.v2.f32 {$0, $1}, [$2];", "=f,=f,l", [at],
            (tl.float32, tl.float32), is_pure=True, pack=1,
        )  # fmt: skip
    else:  # noqa: RET505 (Triton would compile both)
        both = tl.load(at.to(tl.pointer_type(tl.int64)))
        first = both.to(tl.int32).to(tl.float32, bitcast=True)
        return first, (both >> 32).to(tl.int32).to(tl.float32, bitcast=True)
