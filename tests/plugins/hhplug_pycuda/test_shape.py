"""The shapes of launches, by the number of neurons and the membrane."""

import pytest
from trial_membranes import LTS_WITH_CALCIUM

from hhplug.membranes import CS, FS, RS, WB, squid
from hhplug_pycuda.shape import FEW, shape
from hhplug_pycuda.source import equations


@pytest.mark.parametrize("membrane", [squid, RS, FS, WB, CS], ids=lambda m: m.name)
def test_many_neurons_of_a_short_step_stand_in_thread_blocks_of_512(membrane):
    assert shape(equations(membrane, "float32").program, "float32", FEW) == (512, 4, 2)


def test_a_long_step_has_fewer_threads_and_more_registers():
    program = equations(LTS_WITH_CALCIUM, "float32").program
    assert shape(program, "float32", FEW) == (256, 4, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_neurons_are_spread_over_many_multiprocessors(dtype):
    assert shape(equations(squid, dtype).program, dtype, FEW - 1).threads == 64
