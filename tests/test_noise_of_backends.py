"""The noise that backends compute is that of the core, bit for bit."""

import pytest
from noise_cases import DTYPES, STIMULI, assert_noise_is_right
from under_test import NAMES

from hhplug.plugins import choice

CASES = [
    (name, dtype)
    for name in NAMES
    for dtype in DTYPES
    if dtype in choice.discovery.entry(name).spec.capabilities.dtypes
]


@pytest.mark.parametrize("stimulus", STIMULI.values(), ids=STIMULI)
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_noise_of_every_backend_is_the_same_bit_for_bit(name, dtype, stimulus):
    assert_noise_is_right(choice.choose(name), stimulus, dtype)
