"""The membranes by which printed kernels are tried."""

from hhplug.membranes import CS, LTS, RS, WB, squid
from hhplug.membranes.description import CalciumPool, Channel, Gate

# Exponents and singularities depend on V_T, whose sums with others float32 must round.
RS_SHIFTED = RS.replace("RS shifted", V_T=-56.3)

# A pool of calcium, which one channel fills and another reads. The names of its gates have other
# meanings in CUDA C: s and c are arguments of the printed step, and int is a type.
LTS_WITH_CALCIUM = LTS.replace(
    "LTS with calcium",
    g_M=0.07,
    T=Channel(
        "s**2 * int",
        g=0.4,
        E=120.0,
        s=Gate(inf="1 / (1 + exp(-(V + V_x + 57) / 6.2))", instantaneous=True),
        int=Gate(
            inf="1 / (1 + exp((V + V_x + 81) / 4))",
            tau="30.8 + (211.4 + exp((V + V_x + 113.2) / 5)) / (1 + exp((V + V_x + 84) / 3.2))",
            speed="phi",
        ),
    ),
    AHP=Channel("c", g=1.0, E="E_K", c=Gate(inf="Ca**2 / (Ca**2 + K_d**2)", instantaneous=True)),
    Ca=CalciumPool("T", per_current=5.182e-5, rest=2.4e-4, tau=5.0),
    K_d=0.001,
)

# A singularity whose slope is a parameter: with a power of 2 the denominator there is exactly 0.
STEEP = squid.replace(
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

# A gate that is open or shut within a millivolt: e^((V + 50)/0.15) is beyond the range of floats
# from 60 mV on.
SWITCHED = squid.replace(
    "switched",
    M=Channel("p", g=1.0, E="E_K", p=Gate(inf="1 / (1 + exp(-(V + 50) / 0.15))", tau=5.0)),
)

# WB has an instantaneous gate and a speed that is a parameter; CS has powers of 1/3.
MEMBRANES = {
    membrane.name: membrane for membrane in (squid, RS_SHIFTED, WB, CS, LTS_WITH_CALCIUM, STEEP)
}
"""Each membrane by its name."""

SINGULAR = {
    "squid": (-40.0, -55.0),
    "RS shifted": (-43.3, -16.3, -41.3),
    "WB": (-35.0, -34.0),
    "CS": (-29.7, -45.7),
    "LTS with calcium": (-42.0, -15.0, -40.0),
    "steep": (-40.0, -55.0),
}
"""The voltages, mV, at which a rate is 0/0, by the membrane's name."""
