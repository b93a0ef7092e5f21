"""HHParameters has the names, the order and the values of the squid membrane's parameters."""

import numpy as np
import pytest

from hhplug import HHParameters
from hhplug.membranes import squid


def test_the_fields_and_defaults_are_those_of_the_squid_membrane():
    defaults = {name: parameter.value for name, parameter in squid.parameters.items()}
    assert vars(HHParameters()) == defaults
    assert list(vars(HHParameters())) == list(squid.parameters)


def test_default_parameters_are_those_of_the_brian2_run(brian2):
    stored = ("p_cap", "p_gna", "p_gk", "p_gl", "p_ena", "p_ek", "p_el")
    assert list(vars(HHParameters()).values()) == pytest.approx([float(brian2[k]) for k in stored])


def test_parameters_show_all_seven_values():
    assert repr(HHParameters(g_K=30.0)) == (
        "HHParameters(C_m=1.0, g_Na=120.0, g_K=30.0, g_L=0.3, E_Na=50.0, E_K=-77.0, E_L=-54.387)"
    )
    assert "..." in repr(HHParameters(g_Na=np.linspace(90, 150, 1000)))


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("gNa", "g_Na"), ("G_K", "g_K"), ("EL", "E_L"), ("Cm", "C_m")]
)
def test_the_error_for_a_misspelt_parameter_has_a_suggestion(misspelt, meant):
    with pytest.raises(TypeError, match=f"has no argument '{misspelt}'.*Did you mean '{meant}'"):
        HHParameters(**{misspelt: 1.0})
