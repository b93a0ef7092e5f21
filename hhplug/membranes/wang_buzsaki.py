"""A fast-spiking interneuron of the hippocampus.

Wang & Buzsáki, J. Neurosci. 16 (1996), 6402-6413. The gate m is always in its steady state. h and n
are phi times as fast as their rates.
"""

from hhplug.membranes.description import Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane

WB = Membrane(
    "WB",
    Na=Channel(
        "m**3 * h",
        g=35.0,
        E=55.0,
        m=Gate(
            alpha="0.1 * (V + 35) / (1 - exp(-(V + 35) / 10))",
            beta="4 * exp(-(V + 60) / 18)",
            instantaneous=True,
        ),
        h=Gate(
            alpha="0.07 * exp(-(V + 58) / 20)",
            beta="1 / (1 + exp(-(V + 28) / 10))",
            speed="phi",
        ),
    ),
    K=Channel(
        "n**4",
        g=9.0,
        E=-90.0,
        n=Gate(
            alpha="0.01 * (V + 34) / (1 - exp(-(V + 34) / 10))",
            beta="0.125 * exp(-(V + 44) / 80)",
            speed="phi",
        ),
    ),
    L=Channel(g=0.1, E=-65.0),
    phi=Parameter(5.0),
)
