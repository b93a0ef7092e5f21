"""Noise in the kernel, compiled as C++ and run on the CPU by the backend's own sessions."""

from unittest.mock import patch

import on_host
import pytest
from noise_cases import DTYPES, LOUD, STIMULI, assert_noise_is_right, problem_of, run

from hhplug.testing.kit import assert_same


@pytest.mark.parametrize("stimulus", STIMULI.values(), ids=STIMULI)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_noise_is_the_core_s_bit_for_bit(dtype, stimulus):
    assert_noise_is_right(on_host.opened(), stimulus, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_form_for_many_neurons_gives_the_same_bits(dtype):
    problem = problem_of(STIMULI["per neuron"], dtype)
    few = run(on_host.opened(), problem, (9, 2))
    with patch("hhplug_pycuda.shape.FEW", 0), patch.object(on_host.backend(), "FEW", 0):
        many = run(on_host.opened(), problem, (9, 2))
    assert_same(many, few)


def test_a_block_whose_spikes_did_not_fit_is_repeated_with_the_same_noise():
    problem = problem_of(LOUD, "float32")
    enough = run(on_host.opened(), problem, (20, 3))
    with on_host.no_room_for_spikes() as replayed:
        assert_same(run(on_host.opened(), problem, (20, 3)), enough)
    assert replayed.called  # a block has more spikes than neurons
