"""A wrong description is refused in the words in which it is written."""

import numpy as np
import pint
import pytest

from hhplug import InvalidInput, UnknownArgument
from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane

HALF = Gate(inf=0.5, tau=1.0)
LEAK = Channel(g=0.3, E=-54.0)
UNITS = pint.UnitRegistry()


def of_gate(**gate):
    """Return a membrane with one gate."""
    return Membrane("mine", A=Channel("m", g=1.0, E=0.0, m=Gate(**gate)), L=LEAK)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({}, "gate m of channel A needs alpha and beta, or inf and tau; got neither"),
        ({"alpha": 1.0}, "needs alpha and beta, or inf and tau; got alpha"),
        ({"alpha": 1.0, "beta": 1.0, "tau": 1.0}, "got alpha and beta and tau"),
        (
            {"inf": 1.0, "tau": 1.0, "instantaneous": True},
            "needs alpha and beta, or inf alone, because it is instantaneous; got inf and tau",
        ),
        (
            {"alpha": "exp(V_m)", "beta": 1.0},
            "The membrane's potential is V.\n    exp(V_m)\n        ^^^",
        ),
        ({"alpha": "k * V", "beta": 1.0}, "unknown name 'k'; only V, C_m, g_A, g_L, E_A and E_L"),
        ({"alpha": "g_l * V", "beta": 1.0}, "Did you mean 'g_L'?\n    g_l * V\n    ^^^"),
        ({"alpha": "V * m", "beta": 1.0}, "m is a gate; only V, "),
        ({"alpha": "t", "beta": 1.0}, "alpha of gate m of channel A: unknown name 't'"),
        ({"inf": 1.0, "tau": 1.0, "speed": "V"}, "speed of gate m of channel A: unknown name 'V'"),
        ({"inf": 0.5, "tau": 0}, "tau of gate m is 0; it must be finite and above zero"),
        ({"inf": 0.5, "tau": "V"}, "tau of gate m is -150 at V = -150 mV"),
        ({"inf": 0.5, "tau": 1.0, "speed": 0}, "speed of gate m is 0"),
        ({"inf": -0.5, "tau": 1.0}, "inf of gate m is -0.5; it must be finite and not negative"),
        ({"inf": "log(V)", "tau": 1.0}, "inf of gate m is nan at V = -150 mV"),
        ({"alpha": "exp(exp(V))", "beta": 1.0}, "alpha of gate m is inf at V = 6.75 mV"),
        ({"alpha": "(V + 40) / 8", "beta": 1.0}, "alpha of gate m is -13.75 at V = -150 mV"),
        ({"alpha": 0.0, "beta": 0.0}, "alpha + beta of gate m is 0 at V = -150 mV"),
        # The two shifts of a linoid differ by a misprint.
        (
            {"alpha": "0.1 * (V + 40) / (1 - exp(-(V + 39.9) / 10))", "beta": 1.0},
            "alpha of gate m is not finite at V = -39.9 mV, where its denominator is zero and its "
            "numerator is 0.01",
        ),
        ({"alpha": "1 + (V + 40.1)**-2", "beta": 1.0}, "not finite at V = -40.1 mV"),
        ({"alpha": "1 + 1 / (V + 40.1)**2", "beta": 1.0}, "not finite at V = -40.1 mV"),
        ({"alpha": "1 + V**2 / (V * (V + 40.1)) ** 2", "beta": 1.0}, "at V = -40.1 mV"),
        ({"alpha": "1 / sqrt((V + 40.1)**2)", "beta": 1.0}, "not finite at V = -40.1 mV"),
    ],
)
def test_a_wrong_gate_is_refused(gate, message):
    with pytest.raises(InvalidInput) as error:
        of_gate(**gate)
    assert str(error.value).startswith("membrane mine: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "it needs a channel, for example L=Channel("),
        ({"m": HALF}, "the gate m has no channel; describe it there, Channel('m', g=…, E=…, m="),
        ({"A": Channel("m", g=1.0, E=0.0)}, "m isn't described; add m=Gate(…)"),
        ({"A": Channel("m3h", g=1.0, E=0.0, m=HALF, h=HALF)}, "are written m**3 * h"),
        ({"A": Channel("m**3 h", g=1.0, E=0.0, m=HALF, h=HALF)}, "a product needs a *"),
        ({"A": Channel("m + h", g=1.0, E=0.0, m=HALF, h=HALF)}, "must be a product of powers"),
        ({"A": Channel("m**0.5", g=1.0, E=0.0, m=HALF)}, "must be a product of powers"),
        ({"A": Channel("2 * m", g=1.0, E=0.0, m=HALF)}, "must be a product of powers"),
        ({"A": Channel(g=1.0, E=0.0, m=HALF)}, "channel A describes the gate m, which isn't in"),
        ({"A": Channel("m", g=1.0, E=0.0, m="V")}, "gate m of channel A must be a Gate, got 'V'"),
        ({"A": Channel("V", g=1.0, E=0.0, V=HALF)}, "the gate V of channel A needs another name"),
        ({"A": Channel("exp", g=1.0, E=0.0, exp=HALF)}, "exp has a meaning of its own"),
        ({"A": Channel("leak", g=1.0, E=0.0, leak=HALF)}, "leak has a meaning of its own"),
        ({"A": Channel(g="µ", E=0.0), "µ": 1.0}, "the constant µ needs another name"),
        (
            {"A": Channel("m", g=1.0, E=0.0, m=HALF), "B": Channel("m", g=1.0, E=0.0, m=HALF)},
            "'m' is both the gate m of channel A and the gate m of channel B; rename one",
        ),
        ({"A": Channel("m", g=1.0, E=0.0, m=HALF), "m": 3.0}, "'m' is both the gate m of channel"),
        ({"A": Channel("C_m", g=1.0, E=0.0, C_m=HALF)}, "'C_m' is both the membrane's capacitance"),
        ({"L": LEAK, "E_L": -3.0}, "'E_L' is both the E of channel L and the constant E_L"),
        (
            {"L": LEAK, "Ca": CalciumPool("T", 1.0, 1.0, 1.0)},
            "'T', which is none of the channels L",
        ),
        (
            {"L": LEAK, "Ca": CalciumPool("", 1.0, 1.0, 1.0)},
            "the pool Ca needs the name of a chann",
        ),
        ({"L": LEAK, "Ca": CalciumPool("L", 1.0, 1.0, 0.0)}, "tau of the pool Ca is 0"),
        ({"L": LEAK, "Ca": CalciumPool("L", 1.0, -1.0, 1.0)}, "rest of the pool Ca is -1"),
        ({"L": LEAK, "Ca": CalciumPool("L", "V", 1.0, 1.0)}, "per_current of the pool Ca: unknown"),
        ({"L": Channel(g="1 - 2", E=0.0)}, "g of channel L is -1; it must be finite and not neg"),
        ({"L": Channel(g="2 * V", E=0.0)}, "g of channel L: unknown name 'V'"),
        ({"L": Channel(g=1.0, E="E_k"), "E_K": -90.0}, "Did you mean 'E_K'?\n    E_k\n    ^^^"),
        ({"L": LEAK, "C_m": 0.0}, "C_m must be above zero, got 0"),
        ({"L": LEAK, "C_m": Parameter(1.0, "nF")}, "C_m must be in µF/cm², got a Parameter in nF"),
        ({"L": LEAK, "C_m": "1 + 1"}, "C_m must be a finite number of µF/cm², got '1 + 1'"),
        ({"L": LEAK, "k": 3.0}, "nothing uses the constant k"),
        ({"L": LEAK, "k": None}, "k must be a finite number, got None; a constant is a number or"),
        ({"L": Channel(g="g_x", E=0.0), "g_x": Parameter(1.0, "S")}, "g_x must be in mS/cm²"),
    ],
)
def test_a_wrong_membrane_is_refused(parts, message):
    with pytest.raises(InvalidInput) as error:
        Membrane("mine", **parts)
    assert str(error.value).startswith("membrane mine: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("part", "arguments", "message"),
    [
        (
            Gate,
            {"alpha": lambda V: V, "beta": 1.0},
            "expression as text, .*got the function '<lamb",
        ),
        (Gate, {"inf": [0.5], "tau": 1.0}, r"inf of a Gate must be a finite number, got \[0.5\]"),
        (Gate, {"inf": True, "tau": 1.0}, "inf of a Gate must be a finite number, got True"),
        (Gate, {"inf": 0.5, "tau": np.nan}, "tau of a Gate must be a finite number of ms, got nan"),
        (Gate, {"inf": 0.5, "tau": 1.0, "Q10": -3.0}, "Q10 must be a positive number, got -3.0"),
        (Gate, {"inf": 0.5, "instantaneous": "yes"}, "instantaneous must be True or False"),
        (Channel, {"g": -3.0, "E": 0.0}, "g of a Channel must be zero or more mS/cm², got -3.0"),
        (Channel, {"gating": 3.0, "g": 1.0, "E": 0.0}, "the gating of a Channel must be text"),
        (Channel, {"g": 1.0 * UNITS.mV, "E": 0.0}, "g of a Channel must be in mS/cm²"),
        (Parameter, {"value": "3"}, "the value of a Parameter must be a finite number, got '3'"),
        (Parameter, {"value": 3.0, "unit": 1.0}, "the unit of a Parameter must be text, got 1.0"),
        (
            CalciumPool,
            {"channels": 3.0, "per_current": 1.0, "rest": 1.0, "tau": 1.0},
            "such as 'T'",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_where_it_is_given(part, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        part(**arguments)


def test_a_gate_takes_keywords_alone():
    with pytest.raises(InvalidInput, match=r"got '0.1 \* V'; write Gate\(alpha=…, beta=…\)"):
        Gate("0.1 * V")
    with pytest.raises(UnknownArgument, match=r"Gate has no argument 'q10'; .*Did you mean 'Q10'"):
        Gate(inf=0.5, tau=1.0, q10=3.0)


@pytest.mark.parametrize("name", [3, "", None])
def test_a_membrane_needs_a_name(name):
    with pytest.raises(InvalidInput, match="the name of a membrane must be text"):
        Membrane(name, L=LEAK)


def test_numbers_of_NumPy_and_quantities_are_numbers():
    cm2 = UNITS.cm**2
    membrane = Membrane(
        "mine",
        A=Channel("m", g=0.1 * UNITS.S / cm2, E=-0.07 * UNITS.V, m=HALF),
        B=Channel("h", g=np.float32(2.0), E="E_B", h=Gate(inf=0.5, tau=0.002 * UNITS.s)),
        E_B=0.05 * UNITS.V,
        C_m=np.int64(2) * UNITS.uF / cm2,
    )
    assert membrane.parameters == {
        "C_m": Parameter(2.0, "µF/cm²"),
        "g_A": Parameter(100.0, "mS/cm²"),
        "g_B": Parameter(2.0, "mS/cm²"),
        "E_A": Parameter(-70.0, "mV"),
        "E_B": Parameter(50.0, "mV"),
    }
    assert membrane.rates(0.0)["h"].tau == 2.0


def test_a_conductance_may_be_computed_from_constants():
    membrane = Membrane(
        "mine", L=Channel(g="share * g_all", E="E_K + 10"), share=0.5, g_all=4.0, E_K=-90.0
    )
    assert list(membrane.parameters) == ["C_m", "g_all", "E_K", "share"]
    slope = membrane.equations.derivative(np.zeros((1, 1)), 7.0, membrane.equations.defaults)
    assert slope == 7.0 - 0.5 * 4.0 * (0.0 - (-90.0 + 10.0))


def test_a_gate_may_stand_twice_in_a_gating():
    membrane = Membrane("mine", A=Channel("m * m^2", g=1.0, E=0.0, m=HALF))
    assert membrane.reading.channels["A"].powers == {"m": 3}
