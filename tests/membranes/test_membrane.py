"""A membrane is replaced in part, warmed, stored, compared and hashed."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_membranes import LTS_WITH_CALCIUM

from hhplug import InvalidInput, membranes
from hhplug.membranes.description import Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane

ALL = [getattr(membranes, name) for name in membranes.__all__]
SLOW_K = Channel(
    "p",
    g=0.07,
    E="E_K",
    p=Gate(
        inf="1 / (1 + exp(-(V + 35) / 10))",
        tau="tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
    ),
)
RELATIVE = 1e-14  # rounding of a factor and a product


def gated(membrane):
    """Return the channels as they were described."""
    return [part for part in membrane._parts.values() if isinstance(part, Channel)]


def test_parts_are_added_and_constants_replaced():
    like = membranes.squid.replace("RS-like", M=SLOW_K, tau_max=Parameter(1000.0, "ms"), E_K=-90.0)
    assert like.states == ("V", "m", "h", "n", "p")
    assert list(like.parameters) == [
        *("C_m", "g_Na", "g_K", "g_L", "g_M", "E_Na", "E_K", "E_L", "tau_max")
    ]
    assert like.parameters["E_K"] == Parameter(-90.0, "mV")
    assert like.parameters["g_M"] == Parameter(0.07, "mS/cm²")
    assert membranes.squid.parameters["E_K"].value == -77.0


def test_a_constant_that_nothing_uses_any_more_is_left_out():
    plain = membranes.RS.replace("RS without M", M=None)
    assert plain == membranes.FS.replace("x", g_K=5.0, g_L=0.1)
    assert "tau_max" not in plain.parameters


def test_a_known_constant_keeps_its_unit():
    slower = membranes.RS.replace("slow", tau_max=4000)
    assert slower.parameters["tau_max"] == Parameter(4000.0, "ms")
    with pytest.raises(InvalidInput, match="tau_max must be in ms, got a Parameter in s"):
        membranes.RS.replace("slow", tau_max=Parameter(4.0, "s"))


def test_the_constants_of_a_pool_are_parameters():
    slower = LTS_WITH_CALCIUM.replace("slow", Ca_tau=10.0)
    assert slower.parameters["Ca_tau"] == Parameter(10.0, "ms")
    assert slower.parameters["Ca_rest"] == Parameter(2.4e-4, "mM")


def test_a_pool_fills_with_the_current_of_its_channels():
    """dCa/dt = −5.182e-5 · I_T − (Ca − 2.4e-4) / 5, in mM and ms."""
    membrane = LTS_WITH_CALCIUM
    equations, p = membrane.equations, membrane.equations.defaults
    state = equations.settled(np.array([-60.0, -50.0]), p)
    assert membrane.states[-1] == "Ca"
    assert np.all(state[-1] == 2.4e-4)
    state[-1] = 1e-3
    s = 1.0 / (1.0 + np.exp(-(state[0] + 2.0 + 57.0) / 6.2))
    I_T = 0.4 * s**2 * state[membrane.states.index("u")] * (state[0] - 120.0)
    slope = equations.derivative(state, 0.0, p)[-1]
    np.testing.assert_allclose(slope, -5.182e-5 * I_T - (1e-3 - 2.4e-4) / 5.0, rtol=1e-13)
    assert membrane.rates(-60.0, pools={"Ca": 1e-3})["c"].inf == 0.5  # Ca = K_d


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"g_na": 3.0}, "nothing uses the constant g_na. Did you mean 'g_Na'?"),
        ({"Kk": None}, "no part 'Kk' to leave out. Did you mean 'K'?"),
        ({"K": None, "Na": None, "L": None}, "it needs a channel"),
        ({"celsius": 20.0}, "at(celsius=…)"),
        ({"E_K": "V"}, "E of channel K: unknown name 'V'"),
    ],
)
def test_an_impossible_replacement_is_refused(arguments, message):
    with pytest.raises(InvalidInput) as error:
        membranes.squid.replace("other", **arguments)
    assert message in str(error.value)


def test_the_rates_grow_by_the_Q10_of_NEURON():
    with np.load(Path(__file__).parent.parent / "data" / "squid_neuron.npz") as data:
        temperatures = dict(zip(data["p_celsius"], data["p_phi"], strict=True))
    assert len(temperatures) > 3
    V = np.linspace(-100.0, 50.0, 31)
    cold = membranes.squid.rates(V)
    for celsius, phi in temperatures.items():
        warm = membranes.squid.at(celsius=celsius).rates(V)
        for gate in "mhn":
            np.testing.assert_allclose(warm[gate].alpha, phi * cold[gate].alpha, rtol=RELATIVE)
            np.testing.assert_allclose(warm[gate].beta, phi * cold[gate].beta, rtol=RELATIVE)
            np.testing.assert_allclose(warm[gate].tau, cold[gate].tau / phi, rtol=RELATIVE)


def test_each_gate_has_its_own_Q10():
    """3 for m, h and n of RS and 2.3 for p; see the module."""
    usual, warm = membranes.RS.rates(-40.0), membranes.RS.at(46.0).rates(-40.0)
    factors = {gate: float(usual[gate].tau / warm[gate].tau) for gate in usual}
    assert factors == pytest.approx({"m": 3.0, "h": 3.0, "n": 3.0, "p": 2.3}, rel=RELATIVE)


def test_T_is_as_measured_at_24_degrees():
    """At 24 °C, u has its published time constant, undivided by phi."""
    cold = membranes.LTS.at(24.0).rates(-86.0)["u"]
    exp = np.exp
    assert cold.tau == pytest.approx(30.8 + (211.4 + exp(29.2 / 5)) / (1 + exp(0.0)), rel=RELATIVE)


def test_a_temperature_and_back_is_nearly_the_same_membrane():
    there = membranes.squid.at(26.3)
    assert there.name == "squid at 26.3 °C"
    assert there.celsius == 26.3
    assert membranes.squid.at(6.3) == membranes.squid
    back = there.at(6.3)
    assert back.name == "squid at 6.3 °C"
    assert back.rates(-50.0)["m"].tau == pytest.approx(
        membranes.squid.rates(-50.0)["m"].tau, rel=RELATIVE
    )


def test_another_temperature_leaves_the_rest_of_a_name():
    there = membranes.squid.replace("squid at the hillock").at(celsius=20.0)
    assert there.name == "squid at the hillock at 20 °C"
    assert there.at(celsius=30.0).name == "squid at the hillock at 30 °C"


def test_a_membrane_without_temperature_cannot_be_warmed():
    with pytest.raises(InvalidInput, match="membrane WB doesn't say at which temperature"):
        membranes.WB.at(20.0)
    leak = Membrane("leak", celsius=20.0, L=Channel(g=1.0, E=-70.0))
    with pytest.raises(InvalidInput, match="no gate of membrane leak has a Q10"):
        leak.at(30.0)


def test_a_temperature_at_which_rates_are_infinite_is_refused():
    with pytest.raises(
        InvalidInput, match=r"at 1e\+06 °C the rates of membrane squid are infinite"
    ):
        membranes.squid.at(1e6)


def test_rates_take_parameters_and_refuse_unknown_ones():
    shifted = membranes.RS.rates([-60.0, -50.0], {"V_T": [-60.0, -50.0]})["m"].alpha
    assert shifted[0] == shifted[1]
    message = "membrane RS has no parameter 'V_t'; it has C_m, .*Did you mean 'V_T'?"
    with pytest.raises(InvalidInput, match=message):
        membranes.RS.rates(-60.0, {"V_t": -60.0})
    with pytest.raises(InvalidInput, match="membrane RS has no pool 'Ca'; it has none"):
        membranes.RS.rates(-60.0, pools={"Ca": 1.0})
    with pytest.raises(InvalidInput, match=r"V of shape \(2,\) doesn't go with {'V_T': \(3,\)}"):
        membranes.RS.rates([-60.0, -50.0], {"V_T": [1.0, 2.0, 3.0]})
    with pytest.raises(InvalidInput, match="V must hold real numbers, got 'rest'"):
        membranes.RS.rates("rest")


@pytest.mark.parametrize("membrane", [*ALL, LTS_WITH_CALCIUM, membranes.RS.at(20.0)], ids=repr)
def test_a_stored_membrane_comes_back_equal(membrane):
    copies = [
        Membrane.from_dict(json.loads(json.dumps(membrane.to_dict()))),
        pickle.loads(pickle.dumps(membrane)),
        copy.deepcopy(membrane),
    ]
    for again in copies:
        assert again == membrane
        assert hash(again) == hash(membrane)
        assert (again.name, again.celsius) == (membrane.name, membrane.celsius)
        assert again.parameters == membrane.parameters
        assert list(again.parameters) == list(membrane.parameters)
        assert again.states == membrane.states
        assert again.equations_digest == membrane.equations_digest
        assert str(again) == str(membrane)
        assert [part.gates for part in gated(again)] == [part.gates for part in gated(membrane)]


def test_the_spelling_of_numbers_makes_no_difference():
    leaks = [
        Membrane("leak", L=Channel(g=g, E=E), C_m=C_m)
        for g, E, C_m in [
            (1, -70, 1.0),
            (np.float32(1.0), np.int64(-70), Parameter(1)),
            ("1.0", "-70", Parameter(1.0, "µF/cm²")),
        ]
    ]
    assert len({leak.digest for leak in leaks}) == 1


def test_membranes_differ_by_any_part_and_not_by_name():
    assert membranes.squid.replace("giant axon") == membranes.squid
    assert membranes.squid.replace("squid", g_K=36.5) != membranes.squid
    assert membranes.squid != "squid"
    gates = {
        "inf": Gate(inf=0.5, tau=1.0),
        "tau": Gate(inf=0.5, tau=2.0),
        "speed": Gate(inf=0.5, tau=1.0, speed=2.0),
        "Q10": Gate(inf=0.5, tau=1.0, Q10=3.0),
        "instantaneous": Gate(inf=0.5, instantaneous=True),
        "rates": Gate(alpha=0.5, beta=0.5),
    }
    channels = [Channel("m", g=1.0, E=0.0, m=gate) for gate in gates.values()]
    channels += [Channel("m**2", g=1.0, E=0.0, m=gates["inf"]), Channel(g=1.0, E=0.0)]
    made = [Membrane("made", A=channel) for channel in channels]
    made += [Membrane("made", celsius=20.0, A=channels[0]), Membrane("made", B=channels[0])]
    assert len({membrane.digest for membrane in made}) == len(made)
    assert len({membrane.digest for membrane in ALL}) == len(ALL)


def test_defaults_alone_leave_the_equations_equal():
    other = membranes.squid.replace("squid", g_K=30.0)
    assert other.digest != membranes.squid.digest
    assert other.equations_digest == membranes.squid.equations_digest
    assert membranes.squid.at(16.3).equations_digest != membranes.squid.equations_digest


def test_digests_are_the_same_in_every_process():
    script = (
        "from hhplug import membranes\n"
        "for name in membranes.__all__:\n"
        "    m = getattr(membranes, name)\n"
        "    print(m.digest, m.equations_digest)"
    )
    here = "".join(f"{m.digest} {m.equations_digest}\n" for m in ALL)
    for seed in ("0", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert (done.stdout, done.stderr) == (here, "")


def test_a_membrane_cannot_be_changed():
    with pytest.raises(TypeError):
        membranes.squid.parameters["g_K"] = Parameter(1.0)
    with pytest.raises(AttributeError):
        membranes.squid.name = "other"
