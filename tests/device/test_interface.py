"""The choice of a device by its index."""

import pytest

from hhplug import BackendUnavailable
from hhplug.device import chosen_index


def test_the_first_device_is_the_default():
    assert chosen_index(None, ["A", "B"], "CUDA") == 0
    assert chosen_index(1, ["A", "B"], "CUDA") == 1


def test_a_device_out_of_range_is_refused_with_those_there_are():
    with pytest.raises(BackendUnavailable) as refused:
        chosen_index(2, ["A", "B"], "CUDA")
    assert refused.value.code == "no_such_device"
    assert refused.value.reason == "device 2 was asked for, but CUDA shows 2: A, B"
    assert refused.value.fix.startswith("use a device from 0 to 1; ")
