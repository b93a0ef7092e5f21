"""A made-up libcuda, so that the use of the NVIDIA driver is tested without a GPU."""

import ctypes
from collections import Counter

import pytest


class Driver:
    """A substitute of libcuda with the functions that `hhplug.device.cuda_driver` calls.

    status: the answer of cuInit. context: the answer to the creation of a context.
    """

    def __init__(self, status=0, names=("A GPU",), context=0):
        self.status, self.names, self.context = status, names, context
        self.made, self.held = Counter(), Counter()  # contexts of each GPU

    def cuInit(self, _flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, device, index):
        if index >= len(self.names):
            return 101  # CUDA_ERROR_INVALID_DEVICE
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name, _length, device):
        name.value = self.names[device.value].encode()
        return 0

    def cuDevicePrimaryCtxRetain(self, _context, device):
        if self.context == 0:
            self.made[device.value] += 1
            self.held[device.value] += 1
        return self.context

    def cuDevicePrimaryCtxRelease_v2(self, device):
        self.held[device.value] -= 1
        return 0


@pytest.fixture
def driver(monkeypatch):
    """Put a Driver with these answers in libcuda's place."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def use(**answers):
        made_up = Driver(**answers)
        monkeypatch.setattr(ctypes, "CDLL", lambda _: made_up)
        return made_up

    return use
