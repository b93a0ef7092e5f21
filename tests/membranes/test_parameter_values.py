"""The parameters of a run: given by name, checked once, never changed."""

import copy
import pickle

import numpy as np
import pytest
from made_up_membranes import CALCIUM, SLOW
from numpy.testing import assert_array_equal

from hhplug import HHParameters, InvalidInput, Problem, Simulator
from hhplug.membranes import squid
from hhplug.membranes.parameters import ParameterValues, checked_parameters


def test_parameters_that_are_left_out_have_the_membranes_defaults():
    values = checked_parameters({"tau_max": [500, 600, 700]}, SLOW)
    assert list(values) == list(SLOW.parameters)
    assert_array_equal(values.tau_max, [500.0, 600.0, 700.0])
    assert values["g_M"] == values.g_M == 0.07
    assert type(values["g_Na"]) is float


def test_a_value_that_a_run_must_not_change_is_refused():
    values = checked_parameters({"g_Na": [100, 110]}, squid)
    with pytest.raises(ValueError, match="read-only"):
        values["g_Na"][0] = 1.0
    with pytest.raises(AttributeError, match="can't be changed"):
        values.g_Na = 1.0
    with pytest.raises(TypeError):
        values["g_Na"] = 1.0


@pytest.mark.parametrize("again", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_copy_equals_the_original_and_is_read_only_too(again):
    values = checked_parameters({"g_M": np.linspace(0.0, 0.1, 7)}, SLOW)
    other = again(values)
    assert other == values
    assert not other.g_M.flags.writeable
    assert other != checked_parameters(None, SLOW)
    assert other.membrane == SLOW


def test_parameters_are_shown_with_their_names_and_long_arrays_in_short():
    text = repr(checked_parameters({"g_Na": np.linspace(90, 150, 1000)}, squid))
    assert text.startswith("ParameterValues(C_m=1.0, g_Na=array([ 90.")
    assert "..." in text
    assert text.endswith("E_L=-54.387)")


@pytest.mark.parametrize(
    ("membrane", "given", "message"),
    [
        (
            SLOW,
            {"gM": 0.1},
            "parameters has 'gM', but the membrane slow has C_m.*Did you mean 'g_M'",
        ),
        (SLOW, {"g_M": -0.1}, "g_M must be zero or more mS/cm², got -0.1"),
        (SLOW, {"g_M": [0.1, -0.1]}, "g_M must be zero or more mS/cm², got -0.1 for neuron 1"),
        (SLOW, {"tau_max": np.nan}, "tau_max must be a finite number of ms, got nan"),
        (SLOW, {"C_m": 0.0}, "C_m must be a positive number of µF/cm², got 0.0"),
        (CALCIUM, {"Ca_i_rest": np.inf}, "Ca_i_rest must be a finite number of mM, got inf"),
        (SLOW, HHParameters(), "HHParameters has the names .* the membrane is slow; give a map"),
        (squid, [1.0], r"a mapping of names .* got list; for example \{'g_Na': 120.0\}"),
    ],
)
def test_impossible_parameters_are_refused_by_name(membrane, given, message):
    with pytest.raises(InvalidInput, match=message):
        checked_parameters(given, membrane)
    with pytest.raises(InvalidInput, match=message):
        Simulator("reference", membrane=membrane, parameters=given)


def test_HHParameters_are_refused_for_other_defaults_and_taken_at_another_temperature():
    # Its field E_K would be −77 mV without having been written.
    with pytest.raises(InvalidInput, match="the membrane is cold; give a mapping"):
        Problem(1.0, membrane=squid.replace("cold", E_K=-90.0), parameters=HHParameters())
    warm = Problem(1.0, membrane=squid.at(celsius=16.3), parameters=HHParameters(g_K=30.0))
    assert warm.parameters.g_K == 30.0


def test_the_parameters_of_a_run_are_taken_as_they_are_and_those_of_another_membrane_by_name():
    values = checked_parameters({"g_Na": [100.0, 110.0]}, squid)
    assert checked_parameters(values, squid) is values
    slow = checked_parameters(values, SLOW)
    assert slow.g_Na is values.g_Na
    assert slow.tau_max == 1000.0
    with pytest.raises(InvalidInput, match="parameters has 'g_M', but the membrane squid"):
        checked_parameters(slow, squid)


def test_a_parameter_that_does_not_exist_is_an_AttributeError_and_a_KeyError():
    values = checked_parameters(None, squid)
    with pytest.raises(AttributeError, match="squid has no parameter 'g_M'; it has C_m, g_Na"):
        _ = values.g_M
    with pytest.raises(KeyError):
        _ = values["g_M"]


def test_some_neurons_have_their_own_values():
    values = checked_parameters({"g_Na": np.arange(7.0), "g_K": 30.0}, squid)
    part = values.take(np.array([5, 2]))
    assert isinstance(part, ParameterValues)
    assert_array_equal(part.g_Na, [5.0, 2.0])
    assert part.g_K == 30.0
    assert not part.g_Na.flags.writeable
    assert np.shares_memory(values.take(slice(1, 3)).g_Na, values.g_Na)
