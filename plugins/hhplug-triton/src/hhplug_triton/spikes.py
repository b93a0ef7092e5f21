"""Spikes: those that cross the threshold upwards in a step are counted, or noted with their time.

FAST takes NVIDIA's instructions as text.
"""

import triton
import triton.language as tl

from hhplug.crossings import NEWTON_STEPS
from hhplug_triton.crossings import crossing

# A branch round what is rarely done, which Triton itself cannot say: 7 % at 8 M neurons (H100).
# $0 spikes ← $1, which are in one register; $2 V, $3 V of the next step, $4 threshold, $5 and $6 mV
# per step at both ends, $7 i, $8 k; then the arrays, room and the array of ordinals. `crossing` is
# the same in Triton.
NOTE_SPIKE = """{
  .reg .pred up, more, under, inside;
  .reg .b32 at, newton, earlier;
  .reg .b64 place;
  .reg .real rise, change, b, c, s, low, high, value, error, twice, thrice, slope, before;
  mov.b32 $0, $1;
  setp.lt.real up, $2, $4;
  setp.ge.and.real up, $3, $4, up;
  @!up bra DONE;
  mov.b32 earlier, $0;
  add.s32 $0, $0, 1;
  atom.relaxed.gpu.global.add.u32 at, [$9], 1;
  setp.lt.u32 up, at, $13;
  @!up bra DONE;
  mad.wide.s32 place, at, 4, $10;
  st.global.b32 [place], $7;
  mad.wide.s32 place, at, 4, $11;
  st.global.b32 [place], $8;
  mad.wide.s32 place, at, 4, $14;
  st.global.b32 [place], earlier;
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
  mov.real before, s;
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
  setp.neu.real more, s, before;
  sub.s32 newton, newton, 1;
  setp.gt.and.s32 more, newton, 0, more;
  @more bra AGAIN;
  mad.wide.s32 place, at, size, $12;
  st.global.real [place], s;
DONE:
}""".replace("STEPS", str(NEWTON_STEPS))

# $0 spikes ← $1, as above; $2 V, $3 V of the next step, $4 threshold. In plain Triton it takes two
# instructions more.
COUNT_SPIKE = """{
  .reg .pred up;
  mov.b32 $0, $1;
  setp.lt.real up, $2, $4;
  setp.ge.and.real up, $3, $4, up;
  @up add.s32 $0, $0, 1;
}"""
COUNT_SPIKE_32, COUNT_SPIKE_64 = (
    tl.constexpr(COUNT_SPIKE.replace(".real", real)) for real in (".f32", ".f64")
)


def _for(real, divide, size, **literals):
    """The instructions in a precision."""
    text = NOTE_SPIKE.replace("divide", divide).replace(".real", real).replace("size", size)
    for name, literal in literals.items():
        text = text.replace(name, literal)
    return tl.constexpr(text)


OPERANDS_32 = tl.constexpr("=&r,0,f,f,f,f,f,r,r,l,l,l,l,r,l")
OPERANDS_64 = tl.constexpr("=&r,0,d,d,d,d,d,r,r,l,l,l,l,r,l")
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
    if FAST:
        single: tl.constexpr = V.dtype == tl.float32
        spikes = tl.inline_asm_elementwise(
            NOTE_SPIKE_32 if single else NOTE_SPIKE_64,
            OPERANDS_32 if single else OPERANDS_64,
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
def count_spikes(spikes, V, V_next, threshold, FAST: tl.constexpr):
    """Count the neurons that cross the threshold upwards."""
    if FAST and V.dtype == tl.float32:
        spikes = tl.inline_asm_elementwise(
            COUNT_SPIKE_32, "=&r,0,f,f,f", [spikes, V, V_next, threshold],
            tl.int32, is_pure=True, pack=1,
        )  # fmt: skip
    elif FAST:
        spikes = tl.inline_asm_elementwise(
            COUNT_SPIKE_64, "=&r,0,d,d,d", [spikes, V, V_next, threshold],
            tl.int32, is_pure=True, pack=1,
        )  # fmt: skip
    else:
        spikes += ((V < threshold) & (V_next >= threshold)).to(tl.int32)
    return spikes
