"""A made-up libcuda, so that the use of the NVIDIA driver is tested without a GPU."""

import ctypes
from collections import Counter

import pytest

from hhplug.device import cuda_driver


class Driver:
    """A substitute of libcuda with the functions that `hhplug.device.cuda_driver` calls.

    status: the answer of cuInit. context: the answer to the creation of a context. pins: whether it
    pins memory. copies: whether it copies to the host.
    """

    def __init__(self, status=0, names=("A GPU",), context=0, pins=True, copies=True):
        self.status, self.names, self.context, self.pins = status, names, context, pins
        self.copies, self.streams = copies, []
        self.pinned, self.current = {}, 0  # address → bytes; contexts that are pushed
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

    def cuCtxPushCurrent_v2(self, _context):
        self.current += 1
        return 0

    def cuCtxPopCurrent_v2(self, _context):
        self.current -= 1
        return 0

    def cuMemHostRegister_v2(self, address, size, flags):
        assert self.current == flags == 1
        if not self.pins:
            return 1
        self.pinned[address.value] = size.value
        return 0

    def cuMemHostUnregister(self, address):
        assert self.current
        del self.pinned[address.value]
        return 0

    def cuPointerGetAttribute(self, kind, attribute, pointer):
        assert attribute == 2  # CU_POINTER_ATTRIBUTE_MEMORY_TYPE
        known = any(0 <= pointer.value - a < size for a, size in self.pinned.items())
        kind._obj.value = 1 if known else 0  # CU_MEMORYTYPE_HOST
        return 0 if known else 1  # CUDA_ERROR_INVALID_VALUE

    def cuMemcpyDtoHAsync_v2(self, target, source, size, stream):
        if not self.copies:
            return 1
        ctypes.memmove(target, source.value, size.value)
        self.streams.append(stream.value)
        return 0

    def cuMemcpy2DAsync_v2(self, copy, stream):
        """CUDA's formula: row y of the target begins at base + y · pitch."""
        assert self.current
        if not self.copies:
            return 1
        c = copy._obj
        assert (c.srcMemoryType, c.dstMemoryType) == (2, 1)  # CU_MEMORYTYPE_DEVICE, _HOST
        for y in range(c.Height):
            to, of = c.dstHost + y * c.dstPitch, c.srcDevice + y * c.srcPitch
            ctypes.memmove(to, of, c.WidthInBytes)
        self.streams.append(stream.value)
        return 0


@pytest.fixture
def driver(monkeypatch):
    """Put a Driver with these answers in libcuda's place."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def use(**answers):
        made_up = Driver(**answers)
        monkeypatch.setattr(ctypes, "CDLL", lambda _: made_up)
        cuda_driver._driver.cache_clear()
        return made_up

    yield use
    cuda_driver._driver.cache_clear()
