"""How many threads stand together, by the number of neurons."""

from typing import NamedTuple

FEW = 65_536  # neurons; smaller populations are bound by a step's latency, not by throughput


class Shape(NamedTuple):
    """The macros of hh.cu by which a kernel is compiled for a number of neurons."""

    threads: int  # in a thread block
    unroll: int  # steps in an iteration of the loop
    blocks: int  # thread blocks that shall fit on a multiprocessor; 0: any number


# Neuron-steps/s on an H100, in brackets with the other shapes that were tried: 32 to 512 threads,
# 1 to 4 steps, and with registers for 2 to 4 thread blocks. A bound on registers helps RS by 1 %
# and CS by 7 %, and costs the other membranes 1 to 8 %.
SHAPE_OF_MANY = {  # 8 million neurons
    "float32": Shape(256, 4, 0),  # squid 1.39e11 (1.34e11–1.37e11), LTS 7.0e10 (5.9e10–6.4e10)
    "float64": Shape(128, 2, 0),  # squid 4.26e10 (4.18e10–4.21e10)
}
SHAPE_OF_FEW = {  # 10,000 neurons. One thread block a multiprocessor: registers are plenty
    "float32": Shape(64, 4, 1),  # squid 5.50e10 (4.83e10–5.00e10)
    "float64": Shape(64, 2, 1),  # squid 2.05e10 (1.93e10–2.03e10)
}
# With features, squid takes without a bound 1.057 (the first eight) and 1.096 (all) of the time
# without features, with registers for 3 thread blocks 1.024 and 1.073, for 4 1.033 and
# 1.090, for 5 1.115 and 1.258. With noise, RS reaches without a bound 0.913 of its speed without
# noise, and 0.924 with registers for 3; squid 0.881 and 0.888.
BOUND_FOR_MORE = 3


def shape(dtype: str, n_neurons: int, more: bool = False) -> Shape:
    """The shape for a number of neurons; dtype is "float32" or "float64".

    more: the kernel computes features, or noise, with which the loop has four steps, whatever
    `unroll` is.
    """
    found = (SHAPE_OF_FEW if n_neurons < FEW else SHAPE_OF_MANY)[dtype]
    if more and dtype == "float32" and not found.blocks:
        return found._replace(blocks=BOUND_FOR_MORE)
    return found
