"""Quantities of other libraries are converted or refused, and never stripped of their unit.

Expected values are calculated by hand: 10 µA/cm² is 100 mA/m², and 0.05 V is 50 mV.
"""

import importlib
import re
from collections import deque
from datetime import timedelta
from functools import cache

import numpy as np
import pytest
from made_up_membranes import CALCIUM, SLOW
from numpy.testing import assert_array_equal

from hhplug import (
    CalciumPool,
    HHParameters,
    InvalidInput,
    Parameter,
    Problem,
    Simulator,
    Stimulus,
)
from hhplug.membranes import WB


class Dimension:
    """Powers of the SI base units, as Brian2 2.9 holds them."""

    NAMES = ("length", "mass", "time", "current", "temperature", "substance", "luminosity")

    def __init__(self, *powers):
        self._powers = powers

    def get_dimension(self, name):
        return self._powers[self.NAMES.index(name)]


class BrianQuantity(np.ndarray):
    """A substitute of Brian2's Quantity: an array of SI values with `dimensions`.

    Brian2 2.9 can't be imported beside NumPy 2.4.
    """

    SI = {  # noqa: RUF012
        "A/m**2": (-2, 0, 0, 1, 0, 0, 0), "V": (2, 1, -3, -1, 0, 0, 0), "A": (0, 0, 0, 1, 0, 0, 0),
        "s": (0, 0, 1, 0, 0, 0, 0), "Hz": (0, 0, -1, 0, 0, 0, 0), "rad": (0, 0, 0, 0, 0, 0, 0),
        "S/m**2": (-4, -1, 3, 2, 0, 0, 0), "F/m**2": (-4, -1, 4, 2, 0, 0, 0),
        "A/m**2*s**0.5": (-2, 0, 0.5, 1, 0, 0, 0), "mol/m**3": (-3, 0, 0, 0, 0, 1, 0),
        "mol/m": (-1, 0, 0, 0, 0, 1, 0), "1/m**3": (-3, 0, 0, 0, 0, 0, 0),
        "mol/(m*A*s)": (-1, 0, -1, -1, 0, 1, 0),
    }  # fmt: skip
    SCALES = {  # noqa: RUF012
        "uA/cm**2": (1e-2, "A/m**2"), "nA/cm**2": (1e-5, "A/m**2"), "mV": (1e-3, "V"),
        "ms": (1e-3, "s"), "us": (1e-6, "s"), "kHz": (1e3, "Hz"), "nA": (1e-9, "A"),
        "S/cm**2": (1e4, "S/m**2"), "uF/cm**2": (1e-2, "F/m**2"),
        "umol/l": (1e-3, "mol/m**3"), "mol/l": (1e3, "mol/m**3"),
    }  # fmt: skip

    def __new__(cls, value, unit):
        scale, si = cls.SCALES.get(unit, (1.0, unit))
        made = np.array(np.asarray(value, float) * scale).view(cls)
        made.dimensions = Dimension(*cls.SI[si])
        return made


@cache  # a registry of pint takes 0.2 s
def maker(library):
    """Return a function of value and unit that makes the library's quantity."""
    if library == "Brian2":
        return BrianQuantity
    module = pytest.importorskip({"astropy": "astropy.units"}.get(library, library))
    return module.UnitRegistry().Quantity if library == "pint" else module.Quantity


@pytest.fixture(params=["pint", "quantities", "astropy", "Brian2"])
def quantity(request):
    return maker(request.param)


def test_amplitudes_are_converted(quantity):
    assert repr(Stimulus.constant(quantity(10.0, "nA/cm**2"))) == "Stimulus.constant(0.01)"
    assert repr(Stimulus.constant(quantity(0.1, "A/m**2"))) == "Stimulus.constant(10.0)"
    many = Stimulus.constant(quantity([10.0, 2.0], "uA/cm**2"))
    assert_array_equal(many.gains[0], [10.0, 2.0])
    listed = [quantity(10.0, "uA/cm**2"), quantity(0.02, "A/m**2"), 3.0]
    assert_array_equal(Stimulus.constant(listed).gains[0], [10.0, 2.0, 3.0])


def test_times_and_frequencies_are_converted(quantity):
    problem = Problem(quantity(0.05, "s"), dt=quantity(10.0, "us"))
    assert (problem.n_steps, problem.dt) == (5000, 0.01)
    made = Stimulus.sine(5.0, quantity(0.05, "kHz"), phase=quantity(0.5, "rad"))
    assert repr(made) == "Stimulus.sine(5.0, frequency=50.0, phase=0.5, offset=0.0)"
    step = Stimulus.step(5.0, start=quantity(0.001, "s"), stop=quantity(2000.0, "us"))
    assert repr(step) == "Stimulus.step(5.0, start=1.0, stop=2.0)"
    assert len(step.sample(quantity(0.1, "ms"), 7)) == 7


def test_times_per_neuron_noise_and_waveforms_are_converted(quantity):
    step = Stimulus.step(1.0, quantity([0.001, 0.002], "s"), stop=quantity(3000.0, "us"))
    assert_array_equal(step.terms[0].start, [1.0, 2.0])
    assert step.terms[0].stop == 3.0
    sine = Stimulus.sine(1.0, [quantity(0.05, "kHz"), 20.0])
    assert_array_equal(sine.terms[0].frequency, [50.0, 20.0])
    noise = Stimulus.ornstein_uhlenbeck(
        quantity(0.1, "A/m**2"), quantity([10.0, 20.0], "nA/cm**2"), quantity(0.003, "s"), seed=1
    ).terms[0]
    assert (noise.mean, noise.tau) == (10.0, 3.0)
    assert_array_equal(noise.sigma, [0.01, 0.02])
    wave = Stimulus.recorded(quantity([0.1, 0.2], "A/m**2"), quantity(50.0, "us")).terms[0]
    assert_array_equal(wave.current, [10.0, 20.0])
    assert wave.dt == 0.05
    for wrong in (
        lambda: Stimulus.step(1.0, quantity([1.0, 2.0], "mV"), 5.0),
        lambda: Stimulus.white_noise(quantity(1.0, "uA/cm**2"), seed=1),
        lambda: Stimulus.white_noise(1.0, seed=quantity(1.0, "ms")),
        lambda: Stimulus.recorded([1.0], 0.1, gain=quantity(1.0, "mV")),
    ):
        with pytest.raises(InvalidInput, match="must be"):
            wrong()


def test_the_intensity_of_white_noise_is_converted(quantity):
    # 1 A/m²·√s is 100 µA/cm²·√(1000 ms).
    unit = {"astropy": "A*s**(1/2)/m**2"}.get(type(quantity(1.0, "s")).__module__.split(".")[0])
    given = quantity([1.0, 2.0], unit or "A/m**2*s**0.5")
    sigma = Stimulus.white_noise(given, seed=1).terms[0].sigma
    assert np.abs(sigma / (100.0 * np.sqrt(1000.0)) - [1.0, 2.0]).max() < 1e-14


def test_parameters_and_threshold_are_converted(quantity):
    parameters = HHParameters(
        E_Na=quantity(0.05, "V"),
        g_Na=quantity([0.12, 0.1], "S/cm**2"),
        C_m=quantity(1.0, "uF/cm**2"),
    )
    problem = Problem(1.0, parameters=parameters, spike_threshold=quantity(-0.01, "V"))
    assert problem.parameters.E_Na == 50.0
    assert_array_equal(problem.parameters.g_Na, [120.0, 100.0])
    assert problem.parameters.C_m == 1.0
    assert problem.spike_threshold == -10.0


def test_parameters_of_any_membrane_are_converted_by_their_units(quantity):
    problem = Problem(
        1.0, membrane=SLOW, parameters={"tau_max": quantity([0.5, 2.0], "s"), "V_p": -30.0}
    )
    assert_array_equal(problem.parameters.tau_max, [500.0, 2000.0])
    with pytest.raises(InvalidInput, match="V_p must be in mV"):
        Problem(1.0, membrane=SLOW, parameters={"V_p": quantity(1.0, "s")})
    with pytest.raises(InvalidInput, match="Ca_i_rest must be in mM, got"):
        Problem(1.0, membrane=CALCIUM, parameters={"Ca_i_rest": quantity(1.0, "ms")})
    with pytest.raises(InvalidInput, match="phi must be a number without a unit"):
        Problem(1.0, membrane=WB, parameters={"phi": quantity(1.0, "ms")})


def test_an_array_stimulus_and_a_window_are_converted(quantity):
    run = Simulator("reference").run(1.0, 0.1, stimulus=quantity(np.full((10, 2), 0.1), "A/m**2"))
    assert_array_equal(run.stimulus, np.full((10, 2), 10.0))
    assert_array_equal(run.drive(quantity(0.0002, "s"), quantity(0.0008, "s")), [10.0, 10.0])
    assert len(run.spikes.refractory(quantity(0.001, "s"))) == 0


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda q: Stimulus.constant(q(10.0, "nA")), "amplitude must be in µA/cm², got "),
        (lambda q: Stimulus.constant([q(10.0, "nA"), 1.0]), "amplitude must be in µA/cm², got "),
        (lambda q: Problem(q(50.0, "mV")), "T must be in ms, got "),
        (lambda q: Problem(1.0, dt=q(1.0, "Hz")), "dt must be in ms, got "),
        (lambda q: Problem(1.0, parameters=HHParameters(g_K=q(1.0, "V"))), "g_K must be in mS/cm²"),
        (lambda q: Problem(1.0, stimulus=q(np.ones(100), "nA")), "stimulus must be in µA/cm², "),
        (lambda q: Problem(1.0, batch_size=q(5.0, "mV")), "batch_size must be a number without a "),
        (lambda q: Problem(1.0, initial_state=q(np.ones(4), "V")), "initial_state must be a numbe"),
        (lambda q: Problem(1.0, initial_state=[q(-65.0, "mV"), 0.1, 0.2, 0.3]), "initial_state mu"),
        (lambda q: Problem(1.0, record_neurons=q([0.0], "V")), "record_neurons must be a number w"),
        (lambda q: Problem(1.0, record_every=q(2.0, "ms")), "record_every must be a number witho"),
        (lambda q: Stimulus.constant(1.0) * q(2.0, "mV"), "factor must be a number without a unit"),
    ],
)
def test_a_quantity_that_cannot_be_converted_is_refused_by_name(quantity, ask, named):
    with pytest.raises(InvalidInput, match=re.escape(named)):
        ask(quantity)


def test_concentrations_are_converted(quantity):
    """1 µM is 0.001 mM, and 1 mol/(m·A·s) is 1e-5 mM/ms per µA/cm²."""
    given = {
        "Ca_i_rest": quantity([0.1, 0.2], "umol/l"),
        "Ca_i_per_current": quantity(20.0, "mol/(m*A*s)"),
    }
    taken = Problem(1.0, membrane=CALCIUM, parameters=given).parameters
    assert_array_equal(taken["Ca_i_rest"], [1e-4, 2e-4])
    assert taken["Ca_i_per_current"] == pytest.approx(2e-4, rel=1e-14)
    assert Parameter(quantity(0.002, "mol/l"), "mM") == Parameter(2.0, "mM")
    pool = CalciumPool("Ca", per_current=2e-4, rest=quantity(0.1, "umol/l"), tau=50.0)
    assert pool.rest == 1e-4
    V, Ca = -40.0, quantity(1.0, "umol/l")
    in_numbers = CALCIUM.rates(V, pools={"Ca_i": 1e-3})["q"].inf
    assert CALCIUM.rates(V, pools={"Ca_i": Ca})["q"].inf == in_numbers == 0.5


@pytest.mark.parametrize("unit", ["mol/m", "1/m**3", "V"])
def test_what_is_no_concentration_is_refused(quantity, unit):
    with pytest.raises(InvalidInput, match="the value of a Parameter must be in mM, got"):
        Parameter(quantity(1.0, unit), "mM")


def test_a_quantity_in_hhplugs_own_unit_is_not_rounded(quantity):
    values = np.random.default_rng(3).uniform(0.0, 20.0, 100)
    taken = Stimulus.constant(quantity(values, "uA/cm**2")).gains[0]
    if quantity is BrianQuantity:  # which holds SI units
        assert np.abs(taken - values).max() < 1e-13
    else:
        assert_array_equal(taken, values)


@pytest.mark.parametrize("unit", ["rad/s", "rpm"])
@pytest.mark.parametrize("library", ["pint", "quantities", "astropy"])
def test_an_angular_frequency_is_refused(library, unit):
    try:
        angular = maker(library)(314.16, unit)
    except (LookupError, ValueError, TypeError):
        pytest.skip(f"{library} has no unit {unit}")
    with pytest.raises(InvalidInput, match="frequency must be in Hz"):
        Stimulus.sine(1.0, angular)


def test_masked_values_in_a_quantity_are_refused():
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(InvalidInput, match="amplitude must not have masked values"):
        Stimulus.constant(maker("pint")(masked, "uA/cm**2"))
    astropy = pytest.importorskip("astropy.utils.masked")
    units = pytest.importorskip("astropy.units")
    with pytest.raises(InvalidInput, match="amplitude must not have masked values"):
        Stimulus.constant(astropy.Masked(units.Quantity([1.0, 2.0], "uA/cm2"), [False, True]))
    whole = np.ma.array([1.0, 2.0, 3.0], mask=False)
    assert_array_equal(
        Stimulus.constant(maker("pint")(whole, "uA/cm**2")).gains[0], [1.0, 2.0, 3.0]
    )


@pytest.mark.parametrize(
    "time",
    [
        timedelta(microseconds=50_000),
        np.timedelta64(50, "ms"),
        np.timedelta64(50_000_000, "ns"),
        np.array(50_000, "timedelta64[us]"),
    ],
)
def test_a_time_difference_is_converted(time):
    assert Problem(time).n_steps == 5000
    with pytest.raises(InvalidInput, match="amplitude must be in µA/cm²"):
        Stimulus.constant(time)


@pytest.mark.parametrize(
    "time", [np.timedelta64(1, "Y"), np.timedelta64(1, "M"), np.timedelta64(1)]
)
def test_a_time_difference_without_a_fixed_length_is_refused(time):
    with pytest.raises(InvalidInput, match="T must be in ms"):
        Problem(time)


@pytest.mark.parametrize("listed", [list, tuple, deque])
def test_each_quantity_in_a_sequence_is_converted(listed):
    quantities = listed([maker("pint")(1.0, "A/cm**2"), 2.0])
    assert_array_equal(Stimulus.constant(quantities).gains[0], [1e6, 2.0])


def test_a_units_attribute_is_ignored_if_the_data_are_a_quantity():
    xarray = pytest.importorskip("xarray")
    data = maker("pint")(np.array([1.0, 2.0]), "A/cm**2")
    labelled = xarray.DataArray(data, dims="neuron", attrs={"units": "uA/cm2"})
    assert_array_equal(Stimulus.constant(labelled).gains[0], [1e6, 2e6])
    in_other_words = xarray.DataArray([1.0, 2.0], dims="neuron", attrs={"unit": "nA/cm2"})
    with pytest.raises(InvalidInput, match="got units 'nA/cm2'"):
        Stimulus.constant(in_other_words)


def test_complex_and_logical_quantities_are_refused(quantity):
    if quantity is BrianQuantity:
        return
    with pytest.raises(InvalidInput, match="amplitude must hold real numbers"):
        Stimulus.constant(quantity(np.array([1j, 2.0]), "uA/cm**2"))


@pytest.mark.parametrize(("unit", "rate", "fits"), [("uA/cm**2", 10, True), ("pA", 10, False)])
def test_a_signal_of_neo_is_converted_with_its_unit(unit, rate, fits):
    neo = pytest.importorskip("neo")
    kHz = importlib.import_module("quantities").kHz
    signal = neo.AnalogSignal(np.arange(20.0).reshape(10, 2), units=unit, sampling_rate=rate * kHz)
    if fits:
        assert_array_equal(Problem(1.0, 0.1, stimulus=signal).stimulus, signal.magnitude)
        with pytest.raises(InvalidInput, match=r"values 0\.1 ms apart, but dt is 0\.05 ms"):
            Problem(0.5, 0.05, stimulus=signal)
        recorded = Stimulus.recorded(signal[:, :1], dt=signal.sampling_period)
        expected = Stimulus.recorded(np.arange(0.0, 20.0, 2.0), dt=0.1)
        assert_array_equal(recorded.sample(0.03, 40), expected.sample(0.03, 40))
        with pytest.raises(InvalidInput, match=r"current has values 0\.1 ms apart"):
            Stimulus.recorded(signal[:, :1], dt=0.2)
    else:
        with pytest.raises(InvalidInput, match="stimulus must be in µA/cm²"):
            Problem(1.0, 0.1, stimulus=signal)


class Named:
    """A substitute of netCDF4's Variable, with a unit in words and names of dimensions."""

    dimensions, ndim = ("neuron",), 1

    def __init__(self, values, units):
        self.values = np.ma.asarray(values)
        if units:
            self.units = units

    def __getitem__(self, key):
        return self.values[key]

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.mark.parametrize("units", ["uA/cm2", "µA/cm²", "uA/cm**2", "uA cm-2", "μA / cm^2"])
def test_a_units_attribute_is_understood_in_every_spelling(units):
    assert_array_equal(Stimulus.constant(Named([1.0, 2.0], units)).gains[0], [1.0, 2.0])


@pytest.mark.parametrize("units", ["nA/cm2", "uA", "mV", "A/m2"])
def test_a_units_attribute_with_another_unit_is_refused(units):
    with pytest.raises(InvalidInput, match=f"must be in µA/cm², got units '{units}'; convert it"):
        Stimulus.constant(Named([1.0, 2.0], units))


def test_a_variable_of_a_file_with_masked_values_is_refused():
    with pytest.raises(InvalidInput, match="amplitude must not have masked values"):
        Stimulus.constant(Named(np.ma.array([1.0, 2.0], mask=[False, True]), "uA/cm2"))
    assert_array_equal(Stimulus.constant(Named([1.0, 2.0], None)).gains[0], [1.0, 2.0])


def test_an_unknown_kind_of_quantity_is_refused():
    class Strange(float):
        unit = object()

    with pytest.raises(InvalidInput, match=r"T must be in ms, got 5\.0"):
        Problem(Strange(5.0))


def test_plain_numbers_of_any_kind_are_not_changed():
    for plain in (10, 10.0, np.float32(10), np.int16(10), np.array(10.0)):
        assert repr(Stimulus.constant(plain)) == "Stimulus.constant(10.0)"
    view = np.ones((10, 2), np.float32)
    assert Problem(1.0, 0.1, stimulus=view).stimulus is view
