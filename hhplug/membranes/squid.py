"""The squid giant axon (Hodgkin & Huxley, J. Physiol. 117 (1952), 500-544).

The rates are those of eq. 12, 13, 20, 21, 23 and 24 and the constants those of table 3, rewritten
for absolute voltages with rest at −65 mV: V in the paper is −(V + 65) here. They hold at 6.3 °C and
become three times as fast with 10 °C more.
"""

from hhplug.membranes.description import Channel, Gate
from hhplug.membranes.membrane import Membrane

squid = Membrane(
    "squid",
    celsius=6.3,
    Na=Channel(
        "m**3 * h",
        g=120.0,
        E=50.0,
        m=Gate(
            alpha="0.1 * (V + 40) / (1 - exp(-(V + 40) / 10))",
            beta="4 * exp(-(V + 65) / 18)",
            Q10=3.0,
        ),
        h=Gate(
            alpha="0.07 * exp(-(V + 65) / 20)",
            beta="1 / (1 + exp(-(V + 35) / 10))",
            Q10=3.0,
        ),
    ),
    K=Channel(
        "n**4",
        g=36.0,
        E=-77.0,
        n=Gate(
            alpha="0.01 * (V + 55) / (1 - exp(-(V + 55) / 10))",
            beta="0.125 * exp(-(V + 65) / 80)",
            Q10=3.0,
        ),
    ),
    L=Channel(g=0.3, E=-54.387),
)
