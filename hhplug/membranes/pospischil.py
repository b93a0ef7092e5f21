"""Cortical neurons of three classes (Pospischil et al., Biol. Cybern. 99 (2008), 427-441).

RS: regular spiking, which adapts by the slow K current M. FS: fast spiking, without M. LTS:
low-threshold spiking, with a T current of calcium, which makes it burst after inhibition.

Na and K are those of Traub & Miles (1991) with their voltages counted from V_T, and M is that of
Yamada et al. (1989), as in Destexhe's files HH_traub.mod and IM_cortex.mod (ModelDB 123623).
Conductances, potentials and tau_max of RS are those of sPY_template there, except for E_K, which is
−90 mV as in other implementations of the paper. The rates hold at 36 °C; with 10 °C more, the gates
are 3 times as fast, and p 2.3 times. T is as in Destexhe's own file, where tau of u is that at
24 °C and its Q10 that of Coulter et al., J. Physiol. 414 (1989), 587. Other copies of that file
have 30.8 inside the fraction, so that the time constant of u goes to 0 at high V.

The T current may feed a calcium pool:
LTS.replace("LTS with calcium", Ca=CalciumPool("T", per_current=5.182e-5, rest=2.4e-4, tau=5.0)).
"""

from hhplug.membranes.description import Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane

CELSIUS = 36.0  # °C at which the rates hold
Q10, Q10_M = 3.0, 2.3  # growth of the rates with 10 °C; of those of M

RS = Membrane(
    "RS",
    celsius=CELSIUS,
    Na=Channel(
        "m**3 * h",
        g=50.0,
        E=50.0,
        m=Gate(
            alpha="0.32 * (V - V_T - 13) / (1 - exp(-(V - V_T - 13) / 4))",
            beta="0.28 * (V - V_T - 40) / (exp((V - V_T - 40) / 5) - 1)",
            Q10=Q10,
        ),
        h=Gate(
            alpha="0.128 * exp(-(V - V_T - 17) / 18)",
            beta="4 / (1 + exp(-(V - V_T - 40) / 5))",
            Q10=Q10,
        ),
    ),
    K=Channel(
        "n**4",
        g=5.0,
        E=-90.0,
        n=Gate(
            alpha="0.032 * (V - V_T - 15) / (1 - exp(-(V - V_T - 15) / 5))",
            beta="0.5 * exp(-(V - V_T - 10) / 40)",
            Q10=Q10,
        ),
    ),
    M=Channel(
        "p",
        g=0.07,
        E="E_K",
        p=Gate(
            inf="1 / (1 + exp(-(V + 35) / 10))",
            tau="tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
            Q10=Q10_M,
        ),
    ),
    L=Channel(g=0.1, E=-70.0),
    V_T=Parameter(-55.0, "mV"),  # shifts the rates of m, h and n, and with them the threshold
    tau_max=Parameter(1000.0, "ms"),  # 3.6 times the largest time constant of p
)

FS = RS.replace("FS", M=None, g_K=10.0, g_L=0.15)

LTS = RS.replace(
    "LTS",
    g_L=0.01,
    g_M=0.03,
    T=Channel(
        "s**2 * u",
        g=0.4,
        E=120.0,
        s=Gate(inf="1 / (1 + exp(-(V + V_x + 57) / 6.2))", instantaneous=True),
        u=Gate(
            inf="1 / (1 + exp((V + V_x + 81) / 4))",
            tau="30.8 + (211.4 + exp((V + V_x + 113.2) / 5)) / (1 + exp((V + V_x + 84) / 3.2))",
            speed="phi",
            Q10=Q10,
        ),
    ),
    V_x=Parameter(2.0, "mV"),  # shifts the rates of s and u
    phi=Parameter(3.0**1.2),  # speed of u at 36 °C; tau is measured at 24 °C
)
