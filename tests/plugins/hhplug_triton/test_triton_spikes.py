"""NVIDIA's instructions for a spike, evaluated without a GPU."""

import re

import numpy as np
import pytest
from ptx import execute

from hhplug.crossings import crossing
from hhplug_triton import spikes

TOTAL, NEURON, STEP, FRACTION, ORDINAL = (k << 32 for k in range(1, 6))  # addresses
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}  # of a step
TEXTS = {"float32": spikes.NOTE_SPIKE_32, "float64": spikes.NOTE_SPIKE_64}
OPERANDS = {"float32": spikes.OPERANDS_32, "float64": spikes.OPERANDS_64}


def noted(dtype, V, V_next, count, total=0, room=10):
    """The count of spikes after a step, and the memory. The slopes are 2 and 3 mV per step."""
    text, operands = TEXTS[dtype].value, OPERANDS[dtype].value.split(",")
    for number, operand in enumerate(operands):
        if operand.isdigit():  # it is in the register of that output
            text = re.sub(rf"\${number}\b", f"${operand}", text)
    real = np.dtype(dtype).type
    slopes = real(2.0), real(3.0)
    given = count, real(V), real(V_next), real(0.0), *slopes, 17, 5
    given += TOTAL, NEURON, STEP, FRACTION, room, ORDINAL
    registers = {f"${number}": each for number, each in enumerate(given, 1)} | {"$0": count}
    memory = {TOTAL: total}
    return execute(text, registers, memory)["$0"], memory


@pytest.mark.parametrize("dtype", TEXTS)
def test_a_spike_is_kept_with_its_neuron_its_step_its_fraction_and_its_number(dtype):
    count, memory = noted(dtype, -1.0, 1.5, count=3, total=2)
    size = np.dtype(dtype).itemsize
    assert count == 4
    assert memory[TOTAL] == 3
    at = 2  # after the two that were found before
    kept = memory[NEURON + 4 * at], memory[STEP + 4 * at], memory[ORDINAL + 4 * at]
    assert kept == (17, 5, 3)
    expected = crossing(*(np.float64(x) for x in (1.0, 2.5, 2.0, 3.0)))
    assert abs(memory[FRACTION + size * at] - expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TEXTS)
def test_a_spike_without_room_is_counted(dtype):
    assert noted(dtype, -1.0, 1.5, count=3, total=2, room=2) == (4, {TOTAL: 3})


@pytest.mark.parametrize("dtype", TEXTS)
@pytest.mark.parametrize("V", [(-2.0, -1.0), (1.0, 2.0), (1.0, -1.0), (0.0, 1.0), (np.nan, 1.0)])
def test_nothing_is_noted_unless_V_crosses_upwards(dtype, V):
    assert noted(dtype, *V, count=3) == (3, {TOTAL: 0})
