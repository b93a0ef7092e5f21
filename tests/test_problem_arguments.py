"""The arguments of a run are spelled once, in Problem."""

from inspect import signature

import numpy as np
from numpy.testing import assert_array_equal

from hhplug import Problem, Simulator, Stimulus
from hhplug.membranes import squid


def test_run_takes_the_arguments_of_a_problem_with_the_same_defaults():
    ours, theirs = (dict(signature(f, eval_str=True).parameters) for f in (Simulator.run, Problem))
    for name in (
        "self",
        "progress",
        "store",
    ):  # a Simulator has the membrane, the precision, the method
        del ours[name]
    for name in ("membrane", "parameters", "dtype", "method"):
        del theirs[name]
    # The order of the first four may matter, because they are often given by position.
    assert list(ours.values())[:4] == list(theirs.values())[:4]
    assert ours == theirs


def test_a_problem_is_made_again_from_its_arguments():
    membrane = squid.replace("other", E_K=-80.0)
    made = Problem(
        1.0,
        0.05,
        stimulus=Stimulus.constant([1, 2, 3]),
        membrane=membrane,
        parameters={"g_Na": [120, 110, 100], "E_L": -54},
        dtype="float32",
        record=("m", "V"),
        record_every=3,
        record_neurons=[2, 0],
        spikes="counts",
        spike_threshold=-5.0,
        initial_state=[-60, 0.1, 0.5, 0.3],
        start_step=7,
        method="stiff",
        features=("V_mean",),
        window=(1.0, 2.0),
    )
    arguments = made.arguments()
    shortcuts = {"record_all", "resume", "device_arrays"}
    assert arguments.keys() == set(signature(Problem).parameters) - shortcuts
    again = Problem(**arguments)
    for name, value in again.arguments().items():
        if name in ("membrane", "parameters"):
            assert value == arguments[name]
        else:
            assert_array_equal(value, arguments[name], err_msg=name)
    default = {"features": (), "window": None, **Problem(2.0, 0.1).arguments()}
    assert all(
        np.shape(default[name]) != np.shape(value) or np.any(default[name] != value)
        for name, value in arguments.items()
        if name not in ("membrane", "parameters")
    ), "every argument differs from its default"
    assert made.membrane != default["membrane"]
    assert made.parameters != default["parameters"]
