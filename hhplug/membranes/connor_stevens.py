"""A neuron with an A current (Connor & Stevens, J. Physiol. 213 (1971), 31-53).

The K current A, which inactivates, lets the neuron fire at arbitrarily low rates. The equations are
those of Dayan & Abbott, Theoretical Neuroscience (2001), chapter 6, after Connor, Walter & McKown
(1977).
"""

from hhplug.membranes.description import Channel, Gate
from hhplug.membranes.membrane import Membrane

CS = Membrane(
    "CS",
    Na=Channel(
        "m**3 * h",
        g=120.0,
        E=55.0,
        m=Gate(
            alpha="0.38 * (V + 29.7) / (1 - exp(-0.1 * (V + 29.7)))",
            beta="15.2 * exp(-0.0556 * (V + 54.7))",
        ),
        h=Gate(
            alpha="0.266 * exp(-0.05 * (V + 48))",
            beta="3.8 / (1 + exp(-0.1 * (V + 18)))",
        ),
    ),
    K=Channel(
        "n**4",
        g=20.0,
        E=-72.0,
        n=Gate(
            alpha="0.02 * (V + 45.7) / (1 - exp(-0.1 * (V + 45.7)))",
            beta="0.25 * exp(-0.0125 * (V + 55.7))",
        ),
    ),
    A=Channel(
        "a**3 * b",
        g=47.7,
        E=-75.0,
        a=Gate(
            inf="(0.0761 * exp(0.0314 * (V + 94.22)) / (1 + exp(0.0346 * (V + 1.17)))) ** (1 / 3)",
            tau="0.3632 + 1.158 / (1 + exp(0.0497 * (V + 55.96)))",
        ),
        b=Gate(
            inf="(1 / (1 + exp(0.0688 * (V + 53.3)))) ** 4",
            tau="1.24 + 2.678 / (1 + exp(0.0624 * (V + 50)))",
        ),
    ),
    L=Channel(g=0.3, E=-17.0),
)
