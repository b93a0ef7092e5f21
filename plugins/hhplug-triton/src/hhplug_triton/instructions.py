"""NVIDIA's instructions for what is rarely done, so that a branch goes round it.

Triton itself has no branch for a part of a program. These are the instructions of a crossing of the
threshold where features are computed, as `note_crossings` of `features` has it in plain Triton;
`kernels` has those of a spike without features.
"""

import re
from functools import cache

from hhplug_triton.features import MEAN, SHAPE, SPIKES
from hhplug_triton.spikes import NOTE_SPIKE

PRECISION = {
    "float32": {
        ".real": ".f32", "divide": "div.full", "size": "4", "TO_DOUBLE": "cvt.f64.f32",
        "ZERO": "0f00000000", "ONE": "0f3F800000", "HALF": "0f3F000000", "NAN": "0f7FC00000",
    },
    "float64": {
        ".real": ".f64", "divide": "div.rn", "size": "8", "TO_DOUBLE": "mov.f64",
        "ZERO": "0d0000000000000000", "ONE": "0d3FF0000000000000", "HALF": "0d3FE0000000000000",
        "NAN": "0d7FF8000000000000",
    },
}  # fmt: skip

# What stands in NOTE_SPIKE, and the same here: its operands, and the label of the end.
SAME = {f"${theirs}": f"${theirs + 6}" for theirs in range(2, 14)} | {"DONE": "AFTER"}


def _of_note_spike(first: str, after: str) -> str:
    """The instructions of NOTE_SPIKE from one on, up to another."""
    begin, end = (NOTE_SPIKE.index(f"\n  {start}") + 1 for start in (first, after))
    return re.sub(r"\$\d+|DONE", lambda found: SAME[found[0]], NOTE_SPIKE[begin:end])


NEWTON = _of_note_spike("sub.real rise", "mad.wide.s32 place, at, size")  # from rise to s
STORE_PLACE = "\n" + _of_note_spike("atom.relaxed", "mad.wide.s32 place, at, 4, $14")


# Operands: $0 spikes, $1 onset, $2 peak and $3 trough ← $4 … $7, which are in the same registers;
# $8 V, $9 V of the next step, $10 threshold, $11 and $12 mV per step at both ends, $13 i, $14 k;
# $15 total, $16 neuron, $17 step, $18 fraction, $19 room; $20 sums, $21 N, $22 the block's first
# step, $23 first and $24 last of the window. The 64-bit register rowK is the address of the K-th
# sum of a group.
HEAD = """{
  .reg .pred above, up, more, under, inside, sampled, complete;
  .reg .b32 at, newton;
  .reg .b64 place, apart, own, moment;
  .reg .b64 row<7>;
  .reg .real rise, change, b, c, s, low, high, value, error, twice, thrice, slope, before;
  .reg .f64 time, term, sum, onset, undefined;
  mov.b32 $0, $4;
  mov.real $1, $5;
  mov.real $2, $6;
  mov.real $3, $7;
  setp.ge.real above, $9, $10;
  setp.COMPARED.real up, $8, $10, above;
  @!up bra AFTER;
  shl.b64 apart, $21, 3;
  mad.wide.s32 own, $13, 8, $20;
  cvt.s64.s32 moment, $14;
  add.s64 moment, moment, $22;
"""

SUM_CROSSING = """
  setp.le.s32 sampled, $23, $14;
  setp.lt.and.s32 sampled, $14, $24, sampled;
  @!sampled bra SUMMED_CROSSING;
  sub.real rise, $10, $8;
  sub.real change, $9, $8;
  TO_DOUBLE time, rise;
  TO_DOUBLE term, change;
  div.rn.f64 term, time, term;
  cvt.rn.f64.s64 time, moment;
  add.rn.f64 time, time, term;
  mul.lo.s64 place, apart, SHAPE_ROW;
  add.s64 row0, own, place;
  add.s64 row1, row0, apart;
  add.s64 row2, row1, apart;
  add.s64 row3, row2, apart;
  add.s64 row4, row3, apart;
  add.s64 row5, row4, apart;
  add.s64 row6, row5, apart;
  mov.f64 undefined, 0d7FF8000000000000;
  @!above bra DOWN;
  ld.global.f64 onset, [row5];
  TO_DOUBLE term, $3;
  sub.rn.f64 term, onset, term;
  setp.num.f64 complete, term, term;
  ld.global.f64 sum, [row6];
  add.rn.f64 sum, sum, term;
  @complete st.global.f64 [row6], sum;
  st.global.f64 [row5], undefined;
  TO_DOUBLE onset, $1;
  st.global.f64 [row0], onset;
  st.global.f64 [row1], time;
  mov.real $2, $9;
  bra SUMMED_CROSSING;
DOWN:
  ld.global.f64 onset, [row0];
  setp.num.f64 complete, onset, onset;
  @!complete bra INCOMPLETE;
  ld.global.f64 sum, [row2];
  add.rn.f64 sum, sum, 0d3FF0000000000000;
  st.global.f64 [row2], sum;
  TO_DOUBLE term, $2;
  sub.rn.f64 term, term, onset;
  ld.global.f64 sum, [row3];
  add.rn.f64 sum, sum, term;
  st.global.f64 [row3], sum;
  ld.global.f64 term, [row1];
  sub.rn.f64 term, time, term;
  ld.global.f64 sum, [row4];
  add.rn.f64 sum, sum, term;
  st.global.f64 [row4], sum;
  st.global.f64 [row5], onset;
INCOMPLETE:
  st.global.f64 [row0], undefined;
  mov.real $1, NAN;
  mov.real $3, $9;
SUMMED_CROSSING:
  @!above bra AFTER;
"""

COUNT = """
  add.s32 $0, $0, 1;
"""

SUM_SPIKE = """
  setp.le.s32 sampled, $23, $14;
  setp.le.and.s32 sampled, $14, $24, sampled;
  @!sampled bra SUMMED_SPIKE;
  mul.lo.s64 place, apart, SPIKES_ROW;
  add.s64 row0, own, place;
  add.s64 row1, row0, apart;
  add.s64 row2, row1, apart;
  add.s64 row3, row2, apart;
  add.s64 row4, row3, apart;
  cvt.rn.f64.s64 time, moment;
  TO_DOUBLE term, s;
  add.rn.f64 time, time, term;
  ld.global.f64 term, [row2];
  sub.rn.f64 term, time, term;
  st.global.f64 [row2], time;
  ld.global.f64 sum, [row0];
  add.rn.f64 onset, sum, 0d3FF0000000000000;
  st.global.f64 [row0], onset;
  setp.eq.f64 complete, sum, 0d0000000000000000;
  @complete st.global.f64 [row1], time;
  @complete bra SUMMED_SPIKE;
  setp.eq.f64 complete, sum, 0d3FF0000000000000;
  @complete st.global.f64 [row3], term;
  @complete bra SUMMED_SPIKE;
  ld.global.f64 sum, [row3];
  sub.rn.f64 term, term, sum;
  mul.rn.f64 term, term, term;
  ld.global.f64 sum, [row4];
  add.rn.f64 sum, sum, term;
  st.global.f64 [row4], sum;
SUMMED_SPIKE:
"""

STORE_FRACTION = """\
  mad.wide.s32 place, at, size, $18;
  st.global.real [place], s;
"""

END = "AFTER:\n}"


@cache
def note_crossings(dtype: str, groups: int, times: bool) -> str:
    """The instructions of a crossing in a precision, "float32" or "float64".

    groups: bits of the groups of features that are computed. times: whether spikes are kept.
    """
    mean, spikes, shape = (groups & bit.value for bit in (MEAN, SPIKES, SHAPE))
    spikes_row = 2 if mean else 0
    shape_row = spikes_row + (5 if spikes else 0)
    parts = [
        HEAD.replace("COMPARED", "ge.xor" if shape else "lt.and"),
        SUM_CROSSING.replace("SHAPE_ROW", str(shape_row)) if shape else "",
        COUNT,
        NEWTON if times or spikes else "",
        SUM_SPIKE.replace("SPIKES_ROW", str(spikes_row)) if spikes else "",
        STORE_PLACE + STORE_FRACTION if times else "",
        END,
    ]
    text = "".join(parts)
    for word, instruction in PRECISION[dtype].items():
        text = text.replace(word, instruction)
    return text
