"""How many threads stand together, by the number of neurons and the length of a step."""

from typing import NamedTuple

from hhplug.lowering.program import Program

FEW = 65_536  # neurons; smaller populations are bound by a step's latency, not by throughput
# Operations of a step. Above, two thread blocks of 512 would leave too few registers: a step of LTS
# with a calcium pool then has 482 instructions, and 425 with 256 threads, where squid, RS, WB, FS
# and CS have as many either way (sm_90).
MOST_OPERATIONS = 380
# … with noise, which takes some ten registers more. Squid, WB and FS (230 operations) still have as
# many as they need; RS (269) has 309 instructions a step with 256 threads, and 333 with 512.
MOST_OPERATIONS_WITH_NOISE = 250


class Shape(NamedTuple):
    """The macros of hh.cu by which a kernel is compiled for a number of neurons."""

    threads: int  # in a thread block
    unroll: int  # steps in an iteration of the loop
    blocks: int  # thread blocks that shall fit on a multiprocessor; 0: any number


def shape(program: Program, dtype: str, n_neurons: int, noise: bool = False) -> Shape:
    """The shape for a program; dtype is "float32" or "float64".

    With noise the loop has four steps, whatever `unroll` is.

    Of 32 to 512 threads and 1 to 4 steps these were the best for the squid on an H100. A prototype
    with 512 threads was 3.5 % faster than with 256, at 8 million neurons.
    """
    if n_neurons < FEW:
        return Shape(64, 1, 1)  # one thread block a multiprocessor: registers are plenty
    if dtype == "float64":
        return Shape(128, 1, 0)
    if len(program.ops) <= (MOST_OPERATIONS_WITH_NOISE if noise else MOST_OPERATIONS):
        return Shape(512, 4, 2)
    return Shape(256, 4, 2 if noise and len(program.ops) > MOST_OPERATIONS else 3)
