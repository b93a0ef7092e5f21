"""The examples in the docstrings of public names run as they stand there."""

import doctest
import inspect

import pytest

import hhplug
from hhplug.currents.terms import KINDS
from hhplug.results.spikes import Spikes

FINDER = doctest.DocTestFinder()


def docstrings():
    """Yield the docstring of each public name and of each of its methods, as doctest reads it."""
    for value in (*(getattr(hhplug, name) for name in hhplug.__all__), Spikes):
        if inspect.isclass(value) or inspect.isfunction(value):
            yield from FINDER.find(value, value.__name__, module=False, globs=vars(hhplug).copy())


DOCSTRINGS = {test.name: test for test in docstrings()}
WITH_EXAMPLES = [name for name, test in DOCSTRINGS.items() if test.examples]


def test_what_users_call_most_has_an_example():
    every = {f"Stimulus.{kind}" for kind in KINDS}
    every |= {"Simulator", "Simulator.run", "Membrane", "Channel", "Gate", "FeatureSimulator"}
    every |= {"Result", "Result.firing_rate", "Result.fi_curve", "Result.plot", "Result.save"}
    every |= {"Result.to_xarray", "Problem", "simulate", "concat", "load_result", "open_result"}
    assert every - set(WITH_EXAMPLES) == set()


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_an_example_prints_what_it_says(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    failed = doctest.DocTestRunner(verbose=False).run(DOCSTRINGS[name]).failed
    assert not failed, capsys.readouterr().out
