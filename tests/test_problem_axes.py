"""The shape or the dimensions' names of an array stimulus say which axis is time.

T is 1 ms and dt is 0.1 ms, so that a run has 10 steps.
"""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hhplug import HHParameters, InvalidInput, Problem, Stimulus


def problem(**arguments):
    return Problem(1.0, 0.1, **arguments)


def test_an_array_as_long_as_the_steps_and_as_the_population_is_ambiguous():
    values = np.arange(10.0)
    with pytest.raises(InvalidInput, match="shape \\(10,\\) may mean") as error:
        problem(stimulus=values, batch_size=10)
    over_time, per_neuron = re.search("give (.*), for the second (.*)$", str(error.value)).groups()
    names = {"stimulus": values, "np": np, "Stimulus": Stimulus}
    one = problem(stimulus=eval(over_time, names), batch_size=10)
    assert_array_equal(list(one.current.rows(0, 10)), values[:, np.newaxis])
    other = problem(stimulus=eval(per_neuron, names), batch_size=10)
    assert_array_equal(next(other.current.rows(0, 1)), values)


def test_it_is_not_ambiguous_if_no_array_gives_the_number_of_neurons():
    assert problem(stimulus=np.arange(10.0)).n_neurons == 1
    assert problem(stimulus=np.arange(10.0), batch_size=3).n_neurons == 3


def test_one_column_is_the_current_of_all_neurons():
    column = np.arange(10.0)[:, np.newaxis]
    for_all = problem(stimulus=column, batch_size=3)
    assert for_all.n_neurons == 3
    assert np.shares_memory(for_all.current.array.values, column)
    assert_array_equal(list(for_all.current.rows(0, 10)), column)


@pytest.mark.parametrize(
    ("shape", "n", "proposed"),
    [
        ((3,), 3, "for an amplitude per neuron use Stimulus.constant(amplitude)"),
        ((3,), None, "for an amplitude per neuron use Stimulus.constant(amplitude)"),
        ((3, 10), 3, "so pass np.transpose(stimulus)"),
        ((7, 10), None, "so pass np.transpose(stimulus)"),
    ],
)
def test_the_error_for_a_stimulus_of_another_shape_proposes_a_remedy(shape, n, proposed):
    with pytest.raises(InvalidInput, match=re.escape(proposed)):
        problem(stimulus=np.ones(shape), batch_size=n)
    works = np.ones(shape).T if len(shape) == 2 else Stimulus.constant(np.ones(shape))
    assert problem(stimulus=works, batch_size=n).n_neurons == shape[0]


def test_a_square_stimulus_has_a_row_for_each_step_and_one_warning_says_so():
    square = np.arange(100.0).reshape(10, 10)
    with pytest.warns(RuntimeWarning, match=r"\(n_steps, n\): a row for each step") as warned:
        taken = problem(stimulus=square)
    assert len(warned) == 1
    assert_array_equal(list(taken.current.rows(0, 10)), square)


class TestALabelledStimulus:
    def array(self, *dims, **coordinates):
        xarray = pytest.importorskip("xarray")
        sizes = {"time": 10, "neuron": 10}
        values = np.arange(100.0).reshape(10, 10)[: sizes[dims[0]]]
        return xarray.DataArray(values if len(dims) == 2 else values[0], coordinates, dims)

    def test_obeys_its_dimensions_without_a_warning_or_a_copy(self):
        array = self.array("neuron", "time")
        taken = problem(stimulus=array)
        assert_array_equal(taken.current.array.values, array.values.T)
        assert np.shares_memory(taken.current.array.values, array.values)
        assert_array_equal(
            problem(stimulus=self.array("time", "neuron")).current.array.values, array.values
        )

    def test_along_time_alone_is_for_all_neurons(self):
        assert problem(stimulus=self.array("time"), batch_size=10).current.array.values.shape == (
            10,
        )

    @pytest.mark.parametrize(
        ("dims", "words"),
        [
            (("neuron",), "use Stimulus.constant(amplitude)"),
            (("cell", "time"), "must have the dimensions 'time' and 'neuron', or 'time' alone"),
        ],
    )
    def test_of_other_dimensions_is_refused(self, dims, words):
        array = self.array(*("neuron" if dim == "cell" else dim for dim in dims))
        array = array.rename(neuron="cell") if "cell" in dims else array
        with pytest.raises(InvalidInput, match=re.escape(words)):
            problem(stimulus=array)

    def test_has_a_value_for_each_step_of_dt(self):
        problem(stimulus=self.array("time", "neuron", time=5.0 + 0.1 * np.arange(10)))
        late = self.array("time", "neuron", time=0.2 * np.arange(10))
        with pytest.raises(InvalidInput, match=r"values 0\.2 ms apart, but dt is 0\.1 ms"):
            problem(stimulus=late)
        seconds = late["time"].copy(data=1e-4 * np.arange(10)).assign_attrs(units="s")
        with pytest.raises(InvalidInput, match="time must be in ms, got units 's'"):
            problem(stimulus=late.assign_coords(time=seconds))
        as_timedelta = (0.1 * np.arange(10) * 1e6).astype("timedelta64[ns]")
        problem(stimulus=self.array("time", "neuron", time=as_timedelta))

    def test_is_a_recorded_waveform_only_with_its_own_dt(self):
        samples = self.array("time", time=3.0 + 0.2 * np.arange(10))
        expected = Stimulus.recorded(samples.values, dt=0.2).sample(0.1, 20)
        assert_array_equal(Stimulus.recorded(samples, dt=0.2).sample(0.1, 20), expected)
        with pytest.raises(InvalidInput, match=r"current has values 0\.2 ms apart, but dt is 0\.1"):
            Stimulus.recorded(samples, dt=0.1)

    def test_has_its_neurons_in_order(self):
        mixed = self.array("time", "neuron", neuron=np.arange(10)[::-1])
        with pytest.raises(InvalidInput, match="neurons labelled 0 to 9 in this order") as error:
            problem(stimulus=mixed)
        first, second = re.findall(r"by (\.\w+\('neuron'\))", str(error.value))
        names = {"stimulus": mixed}
        in_order = problem(stimulus=eval(f"stimulus{first}", names)).current.array.values
        assert_array_equal(in_order, mixed.values[:, ::-1])
        as_they_stand = problem(stimulus=eval(f"stimulus{second}", names)).current.array.values
        assert_array_equal(as_they_stand, mixed.values)
        others = self.array("time", "neuron", neuron=np.arange(10, 20))
        with pytest.raises(InvalidInput, match=r"order; ignore the labels by \.drop_vars"):
            problem(stimulus=others)

    def test_has_each_value_dt_after_the_one_before(self):
        times = 0.1 * np.arange(10)
        for late in (
            times[[0, 1, 3, 2, *range(4, 10)]],
            np.where(times == times[4], np.nan, times),
        ):
            with pytest.raises(InvalidInput, match="ms apart, but dt is"):
                problem(stimulus=self.array("time", "neuron", time=late))

    def test_may_be_a_variable_without_coordinates(self):
        xarray = pytest.importorskip("xarray")
        values = np.arange(100.0).reshape(10, 10)
        taken = problem(stimulus=xarray.Variable(("neuron", "time"), values))
        assert_array_equal(taken.current.array.values, values.T)
        with pytest.raises(InvalidInput, match="got units 'nA/cm2'"):
            problem(stimulus=xarray.Variable(("neuron", "time"), values, {"units": "nA/cm2"}))

    def test_in_another_unit_is_refused(self):
        array = self.array("time", "neuron")
        problem(stimulus=array.assign_attrs(units="uA/cm2"))
        with pytest.raises(InvalidInput, match="stimulus must be in µA/cm², got units 'nA'"):
            problem(stimulus=array.assign_attrs(units="nA"))

    def test_is_no_amplitude(self):
        with pytest.raises(InvalidInput, match="one value per neuron, got one along 'time'"):
            Stimulus.constant(self.array("time"))
        assert Stimulus.constant(self.array("neuron")).n_neurons == 10


def test_values_per_neuron_have_their_neurons_in_order():
    xarray = pytest.importorskip("xarray")
    mixed = xarray.DataArray([1.0, 2.0, 3.0], {"neuron": [2, 1, 0]}, ("neuron",))
    for make in (
        Stimulus.constant,
        lambda values: problem(parameters=HHParameters(g_Na=values)),
        lambda values: Stimulus.constant(1.0) * values,
    ):
        with pytest.raises(InvalidInput, match="labelled 0 to 2 in this order"):
            make(mixed)
        make(mixed.sortby("neuron"))
    assert_array_equal(Stimulus.constant(mixed.sortby("neuron")).gains[0], [3.0, 2.0, 1.0])


def test_an_initial_state_has_its_variables_in_order():
    xarray = pytest.importorskip("xarray")
    state = xarray.DataArray([0.1, 0.2, 0.3, -65.0], {"variable": list("mhnV")}, ("variable",))
    with pytest.raises(InvalidInput, match="must be labelled V, m, h, n in this order"):
        problem(initial_state=state)
    taken = problem(initial_state=state.sel(variable=list("Vmhn"))).initial_state[:, 0]
    assert_array_equal(taken, [-65.0, 0.1, 0.2, 0.3])
    with pytest.raises(InvalidInput, match="one dimension for V, m, h, n and perhaps 'neuron'"):
        problem(initial_state=xarray.DataArray(np.ones((4, 5)), dims=("variable", "time")))


def test_an_initial_state_obeys_its_dimensions():
    xarray = pytest.importorskip("xarray")
    state = np.array([[-65.0, -60.0], [0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    labelled = xarray.DataArray(state.T, dims=("neuron", "variable"))
    assert_array_equal(problem(initial_state=labelled).initial_state, state)
