"""Rates in forms that few papers have are computed as they are described, or refused in words."""

import pytest
from test_planted_faults import chain_is_wrong, offset_is_lost
from test_rates import BOUND, worst_error

from hhplug import InvalidInput
from hhplug.lowering.checking import checked
from hhplug.lowering.lower import lowered
from hhplug.lowering.methods import METHODS
from hhplug.membranes.description import CalciumPool, Channel, Gate
from hhplug.membranes.membrane import Membrane

LINOID = "(V + 40) / (1 - exp(-(V + 40) / 10))"
SAME = "(-V - 40) / (1 - exp((V + 40) / 9))"
OF_PARAMETERS = "c * (V - half) / (1 - exp(-(V - half) / k))"
SAME_OF_PARAMETERS = "0.7 * (half - V) / (1 - exp((V - half) / k))"
OTHER = "(V + 50) / (exp((V + 50) / 9) - 1)"


def membrane(rate, **parameters):
    """Return a membrane with a gate whose alpha is the rate, and one whose tau it is."""
    rates = Gate(alpha=rate, beta="0.5 * exp(-(V + 20) / 80)")
    times = Gate(inf="1 / (1 + exp(-(V + 20) / 9))", tau=rate)
    channel = Channel("a * b", g=10.0, E=-80.0, a=rates, b=times)
    return Membrane("m", K=channel, L=Channel(g=0.1, E=-65.0), **parameters)


FORMS = {
    "|V + 20| as a root": "sqrt((V + 20)^2) + 0.1",
    "the root of a falling line": "sqrt(200 - V)",
    "the root of two factors that are negative together": "sqrt((V - 200) * (V - 300))",
    "a sigmoid without exponentials": "0.5 * (1 + (V + 40) / sqrt((V + 40)^2 + 100)) + 0.01",
    "the root of a linoid": f"sqrt({LINOID})",
    "the root of a parameter times an exponential": "sqrt(c) * exp(V / 20)",
    "a linoid turned over": "(1 - exp(-(V + 40) / 10)) / (V + 40)",
    "exprel at V = 0": "(exp(V / 10) - 1) / V",
    "sinh(x)/x": "sinh((V + 40) / 10) / (V + 40)",
    "one over the sum of two linoids (Mainen & Sejnowski 1996)": f"1 / ({LINOID} + {OTHER})",
    "the same after a smallest time": f"0.3 + 1 / ({LINOID} + {OTHER})",
    "one over the sum of a linoid and a sigmoid": f"1 / ({LINOID} + 4 / (1 + exp(V / 9)))",
    "the root of a sigmoid beside a number": "0.5 + sqrt(2 / (1 + exp(-(V + 84) / 9)))",
    "a linoid times a sigmoid of a parameter": f"{LINOID} / (1 + exp(-(V - c) / 9)) + 0.1",
    "a linoid of a parameter times a sigmoid": (
        "(V + 40) / (1 - exp(-(V + 40) / k)) / (1 + exp(-V / 9)) + 0.1"
    ),
    "a root of exprel at V = 0": "((1 - exp(-V / 10)) / V)^(1/3) + 0.1 * exp(V / 20)",
    "the product of two linoids": f"({LINOID}) * ({OTHER}) + 0.1",
    "the square of a linoid": f"({LINOID})^2",
    "a linoid over another": f"({LINOID}) / (1 + {OTHER})",
    "two reciprocals multiplied": "cosh(V / 30) / (1 + exp(-V / 10))",
    "one over two linoids of one voltage (Mainen & Sejnowski 1996)": f"1 / ({LINOID} + {SAME})",
    "one of two linoids of one voltage over both": f"0.1 + ({LINOID}) / ({LINOID} + {SAME})",
    "two linoids of one voltage": f"{LINOID} + {SAME}",
    "the root of two linoids of one voltage": f"sqrt({LINOID} + {SAME})",
    "one over two linoids of parameters": f"1 / ({OF_PARAMETERS} + {SAME_OF_PARAMETERS})",
    "one of two linoids of parameters over both": (
        f"0.1 + ({OF_PARAMETERS}) / ({OF_PARAMETERS} + {SAME_OF_PARAMETERS})"
    ),
    "a power and a root of a difference that is nothing": (
        "0.1 + (V + 40 - (40 + V))^2 + sqrt(2 * V - V - V)"
    ),
    "a linoid over 1000 mV": "0.001 * (V + 40) / (1 - exp(-(V + 40) / 100000))",
    "an exponential as a product": "(V + 40) / (1 - exp(-4) * exp(-V / 10))",
    "a pole beyond 150 mV": "1 / (1 + (50 / (V + 160))^4)",
}
CANCELLING = {"a pole beyond 150 mV": 2e-13}  # what V + 160 loses of V = −150 mV
BOUND_OF_STEEP = 1e-12  # an exponent of some thousand has lost three digits
PARAMETERS = {
    "the root of a parameter times an exponential": {"c": 1.3},
    "a linoid times a sigmoid of a parameter": {"c": -30.0},
    "a linoid of a parameter times a sigmoid": {"k": 9.5},
    "one over two linoids of parameters": {"c": 0.2, "half": -40.0, "k": 9.0},
    "one of two linoids of parameters over both": {"c": 0.2, "half": -40.0, "k": 9.0},
}
SINGLE = [  # the forms of which each has a way of its own to lose digits of float32
    "a linoid turned over", "a linoid over another", "the same after a smallest time",
    "the product of two linoids",
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "target"),
    [*((form, "cpu-float64") for form in FORMS), *((form, "numpy-float32") for form in SINGLE)],
)
def test_a_rate_of_an_unusual_form_is_within_bounds(form, target):
    made = membrane(FORMS[form], **PARAMETERS.get(form, {}))
    error = worst_error(made, target, [-40.0, -50.0, -20.0, 0.0])
    assert error < CANCELLING.get(form, BOUND[target.rpartition("-")[2]])


@pytest.mark.parametrize("target", ["gpu-float32", "numpy-float32"])
@pytest.mark.parametrize(
    "rate", ["1 / (1 + exp(V / 1.5)) + 0.1", "(1 / (1 + exp((V + 20) / 5)))^4 + 0.1"]
)
def test_a_steep_rate_does_not_overflow_in_float32(rate, target):
    assert worst_error(membrane(rate), target) < BOUND["float32"]


@pytest.mark.parametrize("target", ["cpu-float64", "numpy-float64"])
@pytest.mark.parametrize("exponent", ["(V + 40) / 0.05", "-(V + 60) / 0.05"])
def test_an_exponential_beyond_the_floats_switches_a_gate(exponent, target):
    """e^800 is more, and e^−1200 less, than float64 has."""
    switched = Gate(inf=f"0.01 + 0.9 / (1 + exp({exponent}))", tau=2.0)
    made = Membrane("m", K=Channel("n", g=1.0, E=-90.0, n=switched), L=Channel(g=0.1, E=-65.0))
    checked(lowered(made, target), made)
    assert worst_error(made, target, [-40.0, -60.0]) < BOUND_OF_STEEP


def test_a_quotient_without_a_series_is_refused_by_its_gate():
    made = membrane("(exp((V + 40) / 10) - 1) / (exp((V + 40) / 20) - 1)")
    with pytest.raises(InvalidInput, match=r"^membrane m: gate a: a quotient is 0/0 .*reference"):
        lowered(made, "cpu-float64")


@pytest.mark.parametrize("usual", [0.0, -40.0])
def test_a_quotient_that_is_0_by_0_for_the_usual_parameters_alone_is_refused(usual):
    rate = Gate(alpha="(V - v0) / (1 - exp(-(V - v1) / k))", beta=0.5)
    channels = {"K": Channel("n", g=1.0, E=-90.0, n=rate), "L": Channel(g=0.1, E=-65.0)}
    made = Membrane("m", **channels, v0=usual, v1=usual, k=9.0)
    with pytest.raises(InvalidInput, match="depends on parameters"):
        lowered(made, "cpu-float64")


def test_a_steepness_beyond_float32_is_refused_there_alone():
    made = membrane("1 / (exp(V / 3) + exp(-V / 2)) + 0.001")
    checked(lowered(made, "cpu-float64"), made)
    with pytest.raises(InvalidInput, match="per_tau_b wrongly in float32 at V = -120 mV"):
        checked(lowered(made, "cpu-float32"), made)


@pytest.mark.parametrize("fault", [chain_is_wrong, offset_is_lost])
def test_a_program_with_a_wrong_rate_is_refused(fault, monkeypatch):
    made = membrane("2 * exp(V / 10) + exp(V / 20) + exp(V / 40)")
    checked(lowered(made, "cpu-float64"), made)
    fault(monkeypatch)
    with pytest.raises(InvalidInput, match=r"^membrane m: the code that is made of it computes"):
        checked(lowered(made, "cpu-float64"), made)


def test_a_program_with_a_wrong_time_constant_by_which_it_divides_is_refused(monkeypatch):
    """1/tau is no value of such a program, which divides by tau."""
    tau = f"3 / ({LINOID} + exp(V / 10) + exp(V / 80)) + 0.2"
    slow = Channel("n", g=1.0, E=-90.0, n=Gate(inf=0.4, tau=tau))
    made = Membrane("m", K=slow, L=Channel(g=0.1, E=-65.0))
    program = checked(lowered(made, "cpu-float64"), made)
    assert "per_tau_n_1" not in {op.out for op in program.ops}
    chain_is_wrong(monkeypatch)
    with pytest.raises(InvalidInput, match=r"^membrane m: .* computes dn wrongly"):
        checked(lowered(made, "cpu-float64"), made)


def test_a_singularity_that_calcium_shifts_is_looked_for_where_calcium_is_at_rest():
    """At 1e-4 mM the linoid is 0/0 at 10 mV, and with 1 mM it would be at 100,000 mV."""
    shifted = Gate(alpha="0.1 * (V - 1e5 * Ca) / (1 - exp(-(V - 1e5 * Ca) / 9))", beta=0.5)
    made = Membrane(
        "m",
        T=Channel("w", g=0.3, E=120.0, w=shifted),
        L=Channel(g=0.1, E=-65.0),
        Ca=CalciumPool("T", per_current=1e-4, rest=1e-4, tau=80.0),
    )
    for target in ("cpu-float64", "numpy-float32"):
        assert worst_error(made, target, [10.0]) < BOUND[target.rpartition("-")[2]]


@pytest.mark.parametrize("bound", ["1 / (1 + (K_d / Ca)^4.8)", "1 / (1 + K_d / Ca)"])
def test_a_pool_that_is_empty_at_rest_spoils_no_other_rate(bound):
    """K_d/Ca is infinite without calcium, and no calcium is bound."""
    made = Membrane(
        "m",
        T=Channel("s", g=0.4, E=120.0, s=Gate(inf="1 / (1 + exp(-(V + 50) / 6))", tau=2.0)),
        SK=Channel("k", g=1.0, E=-90.0, k=Gate(inf=bound, tau=3.0)),
        Ca=CalciumPool("T", per_current=1e-4, rest=0.0, tau=10.0),
        K_d=1e-3,
    )
    for target in ("cpu-float64", "gpu-float64", "numpy-float32"):
        checked(lowered(made, target), made)


def test_two_reciprocals_that_meet_in_a_product_are_one_quotient():
    program = lowered(membrane(FORMS["two reciprocals multiplied"]), "numpy-float64")
    known = program.given | {op.out for op in program.ops}
    assert {a for op in program.ops for a in op.args if isinstance(a, str)} <= known


def test_gates_that_are_described_alike_are_accepted_by_the_check():
    bound = "Ca / (Ca + 1e-3)"
    alike = Membrane(
        "m",
        T=Channel("s", g=0.4, E=120.0, s=Gate(inf=0.5, tau=1.0)),
        slow=Channel("q", g=1.0, E=-90.0, q=Gate(inf=bound, tau=40.0)),
        fast=Channel("c", g=1.0, E=-90.0, c=Gate(inf=bound, instantaneous=True)),
        Ca=CalciumPool("T", per_current=5e-5, rest=1e-4, tau=5.0),
    )
    for method in METHODS:
        checked(lowered(alike, "cpu-float64", method), alike)


SIGMOID = "1 / (1 + exp(-(V + 40) / 9))"
NAMED_AS_VALUES = {
    "a gate called as the value of another in the first stage": (
        {"m": Gate(inf=SIGMOID, instantaneous=True), "m_1": Gate(inf=0.3, tau=2.0)}, {}
    ),
    "a gate called as another's steady state": (
        {"n": Gate(inf=SIGMOID, tau=1.0), "inf_n_1": Gate(inf=0.3, tau=2.0)}, {}
    ),
    "a parameter called as a rate": (
        {"n": Gate(alpha="alpha_n_1 * exp(V / 30)", beta=0.1)}, {"alpha_n_1": 0.3}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMED_AS_VALUES)
def test_a_name_that_a_program_gives_to_a_value_is_accepted_by_the_check(case):
    gates, parameters = NAMED_AS_VALUES[case]
    channel = Channel("*".join(gates), g=1.0, E=-90.0, **gates)
    named = Membrane("m", K=channel, L=Channel(g=0.1, E=-65.0), **parameters)
    for target in ("cpu-float64", "numpy-float64"):
        checked(lowered(named, target), named)
