"""The shapes of launches, by the number of neurons."""

import pytest

from hhplug_pycuda.shape import FEW, shape

DTYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_few_neurons_are_spread_over_many_multiprocessors(dtype):
    assert shape(dtype, FEW - 1).threads == 64


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_neurons_stand_in_large_thread_blocks_without_a_bound_on_registers(dtype):
    many = shape(dtype, FEW)
    assert many.threads > shape(dtype, FEW - 1).threads
    assert many.blocks == 0


def test_noise_and_features_together_have_a_bound_on_registers_in_float32():
    assert shape("float32", FEW, more=True).blocks == 3
    assert shape("float32", FEW - 1, more=True) == shape("float32", FEW - 1)
    assert shape("float64", FEW, more=True) == shape("float64", FEW)
