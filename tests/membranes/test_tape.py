"""A tape repeats the operations of a function, each once, and keeps no more than it needs."""

import weakref

import numpy as np

from hhplug.membranes.evaluation import compiled
from hhplug.membranes.expressions import parse
from hhplug.membranes.tape import Tape

LINOID = "(V + 40) / (1 - exp(-(V + 40) / k))"  # k at −40 mV, where it is 0/0


def test_a_tape_gives_the_bits_of_the_function():
    def function(values):
        x, k = values["x"], values["k"]
        yield (y := 1.0 - np.exp(-x / k) * (x - k))
        yield -y + k**3.0
        yield x

    values = {"x": np.linspace(-9.0, 9.0, 33), "k": 0.3, "unused": 1.0}
    tape = Tape(function, ("x", "k"))
    for _ in range(2):
        for played, expected in zip(tape.play(values), function(values), strict=True):
            np.testing.assert_array_equal(played, expected, strict=True)


def test_an_operation_that_occurs_twice_is_done_once():
    calls = []

    def counted(x):
        calls.append(x)
        return np.exp(x)

    def function(values):
        x = values["x"]
        yield x.notes.call(counted, x + 40.0) / x.notes.call(counted, x + 40.0)
        yield x.notes.call(counted, x + 0.0) - x.notes.call(counted, x + -0.0)

    Tape(function, ("x",)).play({"x": np.zeros(3)})
    assert len(calls) == 3


def test_a_quotient_is_its_limit_at_the_voltages_of_each_time():
    f = compiled(parse(LINOID))
    tape = Tape(lambda values: [f(values)], ("V", "k"))
    for V, k in (([-41.0, 3.0], 10.0), ([3.0, -40.0], 10.0), ([-40.0, 0.0], [4.0, 5.0])):
        values = {"V": np.array(V), "k": np.array(k)}
        np.testing.assert_array_equal(tape.play(values)[0], f(values))
    assert tape.play({"V": np.array([-40.0]), "k": 7.0})[0] == 7.0


def test_an_array_that_no_later_operation_needs_is_freed():
    made = []

    def add_one(x):
        result = x + 1.0
        made.append(weakref.ref(result))
        assert sum(array() is not None for array in made) <= 2
        return result

    def function(values):
        x = values["x"]
        for _ in range(10):
            x = x.notes.call(add_one, x)
        yield x

    assert Tape(function, ("x",)).play({"x": np.zeros(1)})[0] == 10.0
