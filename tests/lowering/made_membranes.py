"""Membranes made by Hypothesis, in the forms in which rates are published."""

from hypothesis import strategies as st

from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane

# mV; a rate that changes e-fold in less than 6 mV isn't published
slopes = st.sampled_from([6.0, 6.2, 7.5, 9.0, 10.0, 12.6, 17.86, 18.0, 20.0, 25.0, 40.0, 80.0])
voltages = st.integers(-180, 100).map(lambda half: half / 2)
sizes = st.sampled_from([0.01, 0.0277, 0.1, 0.25, 0.5, 1.0, 3.8, 4.0])
signs = st.sampled_from(["-", ""])


@st.composite
def exponentials(draw, V="V"):
    return f"{draw(sizes)} * exp({draw(signs)}({V} - ({draw(voltages)})) / {draw(slopes)})"


@st.composite
def sigmoids(draw, V="V"):
    inside = f"({V} - ({draw(voltages)})) / {draw(slopes)}"
    return f"{draw(sizes)} / (1 + exp({draw(signs)}{inside}))"


@st.composite
def linoids(draw, V="V"):
    """x/(1 − e^−x) in four spellings."""
    a, slope, size = draw(voltages), draw(slopes), draw(sizes)
    x = f"({V} - ({a}))"
    return draw(
        st.sampled_from(
            [
                f"{size} * {x} / (1 - exp(-{x} / {slope}))",
                f"{size} * {x} / (exp({x} / {slope}) - 1)",
                f"-{size} * {x} / (exp(-{x} / {slope}) - 1)",
                f"{size} * (({a}) - {V}) / (1 - exp({x} / {slope}))",
            ]
        )
    )


@st.composite
def rates(draw):
    """A rate of V, or of V beside a parameter that shifts it."""
    V = draw(st.sampled_from(["V", "V", "V - V_T"]))
    V = V if V == "V" else f"({V})"
    kind = draw(st.sampled_from([exponentials, sigmoids, linoids]))
    rate = draw(kind(V))
    if draw(st.booleans()):
        rate = f"{rate} + {draw(draw(st.sampled_from([exponentials, sigmoids]))())}"
    return rate


@st.composite
def gates(draw):
    speed = draw(st.sampled_from([1.0, 3.0, "phi"]))
    if draw(st.booleans()):
        return Gate(alpha=draw(rates()), beta=draw(rates()), speed=speed)
    inf = f"1 / (1 + exp({draw(signs)}(V - ({draw(voltages)})) / {draw(slopes)}))"
    tau = f"0.3 + 20 / ({draw(exponentials())} + {draw(exponentials())})"
    return Gate(inf=inf, tau=tau, speed=speed, instantaneous=False)


@st.composite
def made_membranes(draw):
    parts = {"L": Channel(g=0.1, E=-65.0), "V_T": Parameter(-5.0, "mV"), "phi": 2.0}
    for k in range(draw(st.integers(1, 3))):
        name, power = f"x{k}", draw(st.integers(1, 4))
        parts[f"A{k}"] = Channel(
            f"{name}**{power}", g=10.0, E=-80.0 + 50 * k, **{name: draw(gates())}
        )
    if draw(st.booleans()):
        inf = f"1 / (1 + exp(-(V - ({draw(voltages)})) / {draw(slopes)}))"
        parts["B"] = Channel("y * Y", g="2 * g_A0", E=-20.0, y=Gate(inf=inf, instantaneous=True),
                             Y=draw(gates()))  # fmt: skip
    if draw(st.booleans()):
        parts["Ca"] = CalciumPool("A0", per_current=5e-5, rest=1e-4, tau=8.0)
        parts["H"] = Channel(
            "z", g=0.5, E="E_A0", z=Gate(inf="Ca / (Ca + K_d)", instantaneous=True)
        )
        parts["K_d"] = Parameter(1e-3, "mM")
    return Membrane("made", **parts)
