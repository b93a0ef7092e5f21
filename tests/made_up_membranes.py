"""Membranes that tests make up or take from a paper by hand."""

from hhplug import CalciumPool, Channel, Gate, Parameter
from hhplug.membranes import LTS, squid

# The squid with the slow K current of Pospischil et al. (2008), whose gate is given by inf and tau.
SLOW = squid.replace(
    "slow",
    M=Channel(
        "p",
        g=0.07,
        E="E_K",
        p=Gate(
            inf="1 / (1 + exp(-(V - V_p) / 10))",
            tau="tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
        ),
    ),
    tau_max=Parameter(1000.0, "ms"),
    V_p=Parameter(-35.0, "mV"),
)

# The squid with a Ca current, the pool that it fills, and a K current that the pool opens. The
# reversal potential of Ca follows from the pool (Nernst, 2 mM outside, 36 °C).
CALCIUM = squid.replace(
    "calcium",
    Ca=Channel(
        "s**2",
        g=0.2,
        E="13.3 * log(2 / Ca_i)",
        s=Gate(inf="1 / (1 + exp(-(V + 45) / 8))", tau=2.0),
    ),
    Ca_i=CalciumPool("Ca", per_current=2e-4, rest=1e-4, tau=50.0),
    AHP=Channel("q", g=0.3, E="E_K", q=Gate(inf="Ca_i / (Ca_i + 1e-3)", instantaneous=True)),
)

# LTS with a calcium pool and a K channel that the calcium opens.
LTS_WITH_CALCIUM = LTS.replace(
    "LTS with calcium",
    AHP=Channel("c", g=1.0, E="E_K", c=Gate(inf="Ca**2 / (Ca**2 + K_d**2)", instantaneous=True)),
    Ca=CalciumPool("T", per_current=5.182e-5, rest=2.4e-4, tau=5.0),
    K_d=Parameter(0.001, "mM"),
)
