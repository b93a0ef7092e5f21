"""Membranes that the kit makes up for backends that compute any membrane.

Together they have what a membrane can have: gates by alpha and beta and by inf and tau,
instantaneous gates, speeds, parameters in rates and at a singular point, a calcium pool, a reversal
potential and a gate that depend on it.
"""

from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.squid import squid

NAME = "made_up"  # the name of all of them, since what a user changes often keeps its name

INSTANTANEOUS = Membrane(
    NAME,
    C_m=1.2,
    Na=Channel(
        "m**3 * h",
        g=40.0,
        E=55.0,
        m=Gate(
            alpha="0.1 * (V + 35) / (1 - exp(-(V + 35) / 10))",
            beta="4 * exp(-(V + 60) / 18)",
            instantaneous=True,
        ),
        h=Gate(inf="1 / (1 + exp((V + 52) / 7))", tau="0.2 + 6 / cosh((V + 55) / 20)", speed="phi"),
    ),
    K=Channel(
        "n**2",
        g=9.0,
        E=-90.0,
        n=Gate(
            inf="1 / (1 + exp(-(V + 25) / 9))", tau="1.5 - 0.5 * tanh((V + 25) / 18)", speed="phi"
        ),
    ),
    L=Channel(g=0.1, E=-65.0),
    phi=1.3,
)

SHIFTED = Membrane(
    NAME,
    L=Channel(g="g_leak", E=-70.0),
    Na=Channel(
        "m**3 * h",
        g=50.0,
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
    K=Channel(
        "n**4",
        g=5.0,
        E=-90.0,
        n=Gate(
            alpha="0.032 * (V - V_T - 15) / (1 - exp(-(V - V_T - 15) / 5))",
            beta="0.5 * exp(-(V - V_T - 10) / 40)",
        ),
    ),
    M=Channel(
        "p",
        g=0.07,
        E="E_K",
        p=Gate(
            inf="1 / (1 + exp(-(V + 35) / 10))",
            tau="tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
        ),
    ),
    g_leak=Parameter(0.05, "mS/cm²"),
    V_T=Parameter(-56.0, "mV"),
    tau_max=Parameter(1000.0, "ms"),
)

CALCIUM = squid.replace(
    NAME,
    Ca=Channel(
        "s**2 * u",
        g=1.0,
        E="RT_2F * log(Ca_out / Ca_in)",
        s=Gate(inf="1 / (1 + exp(-(V + 45) / 8))", instantaneous=True),
        u=Gate(inf="1 / (1 + exp((V + 70) / 5))", tau=20.0),
    ),
    Ca_in=CalciumPool("Ca", per_current=5e-4, rest=2.4e-4, tau=5.0),
    AHP=Channel(
        "q**2",
        g=0.3,
        E="E_K",
        q=Gate(alpha="0.05 * Ca_in / (Ca_in + 1e-3)", beta=0.02, speed=2.0),
    ),
    RT_2F=Parameter(13.3, "mV"),
    Ca_out=Parameter(2.0, "mM"),
)

MEMBRANES = {
    "squid": squid,
    "instantaneous": INSTANTANEOUS,
    "shifted": SHIFTED,
    "calcium": CALCIUM,
}
"""The squid and those made up, by what tells them apart."""
