"""Membranes by which generated kernels are tried: they have what the squid's doesn't have."""

from hhplug.membranes import squid
from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane


def traub(g_Na, g_K, g_L):
    """The spike's channels of Pospischil et al. 2008, after Traub & Miles 1991."""
    return {
        "Na": Channel(
            "m**3 * h",
            g=g_Na,
            E=50.0,
            m=Gate(
                alpha="0.32 * (V - V_T - 13) / (1 - exp(-(V - V_T - 13) / 4))",
                beta="0.28 * (V - V_T - 40) / (exp((V - V_T - 40) / 5) - 1)",
            ),
            h=Gate(
                alpha="0.128 * exp(-(V - V_T - 17) / 18)",
                beta="4 / (1 + exp(-(V - V_T - 40) / 5))",
            ),
        ),
        "K": Channel(
            "n**4",
            g=g_K,
            E="E_K",
            n=Gate(
                alpha="0.032 * (V - V_T - 15) / (1 - exp(-(V - V_T - 15) / 5))",
                beta="0.5 * exp(-(V - V_T - 10) / 40)",
            ),
        ),
        "L": Channel(g=g_L, E=-70.0),
        "E_K": Parameter(-90.0, "mV"),
        "V_T": Parameter(-55.0, "mV"),
    }


SLOW_K = Channel(
    "p",
    g=0.07,
    E="E_K",
    p=Gate(
        inf="1 / (1 + exp(-(V + 35) / 10))",
        tau="tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
    ),
)

# A slow K current; exponents and singularities depend on the parameter V_T.
adapting = Membrane("adapting", M=SLOW_K, tau_max=1000.0, **traub(50.0, 5.0, 0.1))

# Wang & Buzsáki 1996: an instantaneous gate, and a factor of speed that is a parameter.
interneuron = Membrane(
    "interneuron",
    Na=Channel(
        "m**3 * h",
        g=35.0,
        E=55.0,
        m=Gate(
            alpha="0.1 * (V + 35) / (1 - exp(-0.1 * (V + 35)))",
            beta="4 * exp(-(V + 60) / 18)",
            instantaneous=True,
        ),
        h=Gate(
            alpha="0.07 * exp(-(V + 58) / 20)",
            beta="1 / (exp(-0.1 * (V + 28)) + 1)",
            speed="phi",
        ),
    ),
    K=Channel(
        "n**4",
        g=9.0,
        E=-90.0,
        n=Gate(
            alpha="0.01 * (V + 34) / (1 - exp(-0.1 * (V + 34)))",
            beta="0.125 * exp(-(V + 44) / 80)",
            speed="phi",
        ),
    ),
    L=Channel(g=0.1, E=-65.0),
    phi=5.0,
)

# Connor & Stevens, as in Dayan & Abbott, ch. 6: a power of 1/3, for which there is a logarithm.
with_A_current = Membrane(
    "with A current",
    Na=Channel(
        "m**3 * h",
        g=120.0,
        E=55.0,
        m=Gate(
            alpha="0.38 * (V + 29.7) / (1 - exp(-0.1 * (V + 29.7)))",
            beta="15.2 * exp(-0.0556 * (V + 54.7))",
        ),
        h=Gate(alpha="0.266 * exp(-0.05 * (V + 48))", beta="3.8 / (1 + exp(-0.1 * (V + 18)))"),
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
            inf="(0.0761 * exp(0.0314 * (V + 94.22)) / (1 + exp(0.0346 * (V + 1.17)))) ** (1/3)",
            tau="0.3632 + 1.158 / (1 + exp(0.0497 * (V + 55.96)))",
        ),
        b=Gate(
            inf="(1 / (1 + exp(0.0688 * (V + 53.3)))) ** 4",
            tau="1.24 + 2.678 / (1 + exp(0.0624 * (V + 50)))",
        ),
    ),
    L=Channel(g=0.3, E=-17.0),
)

# A pool of calcium, which a channel fills and another reads; gates that have C's and our own words
# for names: s and c are arguments of the printed step, and `int` is a type.
bursting = Membrane(
    "bursting",
    M=SLOW_K,
    tau_max=1000.0,
    V_x=2.0,
    T=Channel(
        "s**2 * int",
        g=0.4,
        E=120.0,
        s=Gate(inf="1 / (1 + exp(-(V + V_x + 57) / 6.2))", instantaneous=True),
        int=Gate(
            inf="1 / (1 + exp((V + V_x + 81) / 4))",
            tau="30.8 + (211.4 + exp((V + V_x + 113.2) / 5)) / (1 + exp((V + V_x + 84) / 3.2))",
            speed="3.7",
        ),
    ),
    AHP=Channel("c", g=1.0, E="E_K", c=Gate(inf="Ca**2 / (Ca**2 + K_d**2)", instantaneous=True)),
    Ca=CalciumPool("T", per_current=5.182e-5, rest=2.4e-4, tau=5.0),
    K_d=0.001,
    **traub(50.0, 5.0, 0.01),
)

# A singularity whose slope is a parameter. As k is a power of 2, the denominator is exactly 0 there.
steep = squid.replace(
    "steep",
    Na=Channel(
        "m**3 * h",
        g=120.0,
        E=50.0,
        m=Gate(alpha="0.1 * (V + 40) / (1 - exp(-(V + 40) / k))", beta="4 * exp(-(V + 65) / 18)"),
        h=Gate(alpha="0.07 * exp(-(V + 65) / 20)", beta="1 / (1 + exp(-(V + 35) / 10))"),
    ),
    k=8.0,
)

MEMBRANES = {
    membrane.name: membrane
    for membrane in (squid, adapting, interneuron, with_A_current, bursting, steep)
}
"""Each membrane by its name."""

SINGULAR = {
    "squid": (-40.0, -55.0),
    "adapting": (-42.0, -15.0, -40.0),
    "interneuron": (-35.0, -34.0),
    "with A current": (-29.7, -45.7),
    "bursting": (-42.0, -15.0, -40.0),
    "steep": (-40.0, -55.0),
}
"""The voltages, mV, at which a rate is 0/0, by the membrane's name."""
