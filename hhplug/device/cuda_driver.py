"""Queries to the NVIDIA driver through ctypes, which import no CUDA library."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from numpy.typing import NDArray

from hhplug.errors import WITHOUT_DEVICE, BackendUnavailable

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
STUB = 34  # CUDA_ERROR_STUB_LIBRARY, the answer of the toolkit's library in the driver's place


def devices() -> list[str]:
    """Return the names of the GPUs that CUDA sees, at least one, in CUDA's order.

    Raises BackendUnavailable with the code devices_hidden, no_driver, no_device or driver_failed.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        raise BackendUnavailable(
            "devices_hidden",
            f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU",
            "unset CUDA_VISIBLE_DEVICES, or name a GPU: CUDA_VISIBLE_DEVICES=0",
        )
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise BackendUnavailable(
            "no_driver", f"{DRIVER} not found", "install the NVIDIA driver", detail=str(error)
        ) from error
    count = ctypes.c_int()
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status == STUB:
        raise BackendUnavailable(
            "no_driver",
            f"{DRIVER} is the CUDA toolkit's stand-in for the driver",
            "install the NVIDIA driver, or remove the stubs from the library path",
        )
    if status == NO_DEVICE or (status == 0 and count.value == 0):
        raise BackendUnavailable(
            "no_device", "the driver finds no GPU", "check nvidia-smi; use another backend"
        )
    if status:
        raise BackendUnavailable(
            "driver_failed",
            f"the NVIDIA driver answers with error {status}",
            "check nvidia-smi; the driver may be older than the kernel module, or a reboot is due",
        )
    return [_name(driver, index) for index in range(count.value)]


def present() -> str:
    """Return the names of the GPUs that CUDA sees, or an empty text if there is none.

    If the driver fails, it cannot tell their names, and this is "an NVIDIA GPU".
    """
    try:
        return ", ".join(devices())
    except BackendUnavailable as problem:
        return "" if problem.code in WITHOUT_DEVICE else "an NVIDIA GPU"


def _name(driver: ctypes.CDLL, index: int) -> str:
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGetName(name, len(name), _device(driver, index))
    return name.value.decode(errors="replace")


def check_context(index: int = 0) -> None:
    """Check that a GPU gives a context: create one, which takes a few hundred MB, and release it.

    Raises BackendUnavailable with the code out_of_memory or device_busy. Call `devices` first: it
    reports a driver that is missing.
    """
    driver = ctypes.CDLL(DRIVER)
    status = retain_context(index)
    if status == 0:
        driver.cuDevicePrimaryCtxRelease_v2(_device(driver, index))
    elif status == OUT_OF_MEMORY:
        raise BackendUnavailable(
            "out_of_memory",
            f"{_name(driver, index)} has no memory left for a context",
            "end other programs on it; nvidia-smi lists them",
        )
    else:
        raise BackendUnavailable(
            "device_busy",
            f"{_name(driver, index)} gives no context: the NVIDIA driver answers with error "
            f"{status}",
            "check nvidia-smi; the GPU may be in exclusive mode, and another program on it",
        )


def retain_context(index: int) -> int:
    """Create or reuse the primary context of a GPU, which CUDA libraries share.

    Returns the driver's status: 0 for success, NO_DEVICE where there is no driver.
    """
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return NO_DEVICE
    device, context = ctypes.c_int(), ctypes.c_void_p()
    return (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), index)
        or driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    )


def _device(driver: ctypes.CDLL, index: int) -> ctypes.c_int:
    device = ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), index)
    return device


@cache
def _driver() -> ctypes.CDLL:
    """The driver, of a process that uses a GPU. Opening it anew takes 10 to 30 µs."""
    return ctypes.CDLL(DRIVER)


PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: pinned for all GPUs
MEMORY_TYPE = 2  # CU_POINTER_ATTRIBUTE_MEMORY_TYPE
HOST, DEVICE = 1, 2  # CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE


def pin(memory: NDArray[Any], index: int) -> Callable[[], None] | None:
    """Pin the memory of an array for all GPUs, through the context of the GPU of an index.

    Returns a function that undoes this, or None if the driver refuses.
    """
    address, size = ctypes.c_void_p(memory.ctypes.data), ctypes.c_size_t(memory.nbytes)

    def unpin() -> None:
        with _primary_context(index):
            _driver().cuMemHostUnregister(address)

    with _primary_context(index):
        status = _driver().cuMemHostRegister_v2(address, size, PORTABLE)
    return None if status else unpin


@contextmanager
def _primary_context(index: int) -> Iterator[None]:
    """Make the primary context of a GPU current in this thread."""
    driver, context = _driver(), ctypes.c_void_p()
    device = _device(driver, index)
    driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    driver.cuCtxPushCurrent_v2(context)
    try:
        yield
    finally:
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        driver.cuDevicePrimaryCtxRelease_v2(device)


def is_pinned(array: NDArray[Any]) -> bool:
    """Whether the driver knows the first and the last element as pinned."""
    first = array.ctypes.data
    steps = zip(array.shape, array.strides, strict=True)
    last = first + sum((size - 1) * stride for size, stride in steps)
    return _is_pinned(first) and _is_pinned(last)


def _is_pinned(address: int) -> bool:
    kind = ctypes.c_uint()
    status = _driver().cuPointerGetAttribute(
        ctypes.byref(kind), MEMORY_TYPE, ctypes.c_uint64(address)
    )
    return status == 0 and kind.value == HOST


def copy_to_host() -> Callable[[NDArray[Any], int, int], bool]:
    """A function that enqueues a copy to an array whose elements lie one after another.

    Its arguments are the array, an address on the current GPU, and that of a CUDA stream. It
    returns False if the driver refuses.
    """
    copy = _driver().cuMemcpyDtoHAsync_v2

    def enqueue(target: NDArray[Any], source: int, stream: int) -> bool:
        to, of = ctypes.c_void_p(target.ctypes.data), ctypes.c_uint64(source)
        return copy(to, of, ctypes.c_size_t(target.nbytes), ctypes.c_void_p(stream)) == 0

    return enqueue


class _Copy2D(ctypes.Structure):
    """CUDA_MEMCPY2D of the driver: a copy of rows of WidthInBytes, each `Pitch` after the last."""

    _fields_ = [
        ("srcXInBytes", ctypes.c_size_t),
        ("srcY", ctypes.c_size_t),
        ("srcMemoryType", ctypes.c_uint),
        ("srcHost", ctypes.c_void_p),
        ("srcDevice", ctypes.c_uint64),
        ("srcArray", ctypes.c_void_p),
        ("srcPitch", ctypes.c_size_t),
        ("dstXInBytes", ctypes.c_size_t),
        ("dstY", ctypes.c_size_t),
        ("dstMemoryType", ctypes.c_uint),
        ("dstHost", ctypes.c_void_p),
        ("dstDevice", ctypes.c_uint64),
        ("dstArray", ctypes.c_void_p),
        ("dstPitch", ctypes.c_size_t),
        ("WidthInBytes", ctypes.c_size_t),
        ("Height", ctypes.c_size_t),
    ]


def rows_to_host(target: NDArray[Any], source: int, stream: int, index: int) -> bool:
    """Enqueue one copy to all rows of an array, which lie apart in pinned memory.

    source: address on the GPU of an index, from which on its rows lie one after another. stream:
    address of a CUDA stream of that GPU.

    Returns False if the driver refuses, as it does for rows that are 2 GiB apart.
    """
    height, width = target.shape[0], target.shape[1] * target.itemsize
    copy = _Copy2D(
        srcMemoryType=DEVICE,
        srcDevice=source,
        srcPitch=width,
        dstMemoryType=HOST,
        dstHost=target.ctypes.data,
        dstPitch=target.strides[0],
        WidthInBytes=width,
        Height=height,
    )
    with _primary_context(index):
        status = _driver().cuMemcpy2DAsync_v2(ctypes.byref(copy), ctypes.c_void_p(stream))
    return status == 0
