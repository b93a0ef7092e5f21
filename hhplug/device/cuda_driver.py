"""What the NVIDIA driver itself shows, asked through ctypes: no CUDA library is imported."""

import ctypes
import os
import sys

from hhplug.errors import BackendUnavailable

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY


def devices() -> list[str]:
    """The names of the GPUs that CUDA shows, in its order; at least one.

    Raises BackendUnavailable: devices_hidden, no_driver, no_device, driver_failed.
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


def _name(driver: ctypes.CDLL, index: int) -> str:
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGetName(name, len(name), _device(driver, index))
    return name.value.decode(errors="replace")


def check_context(index: int = 0) -> None:
    """Make a context on a GPU, which takes some hundred MB of it, and give it back.

    Raises BackendUnavailable: out_of_memory, device_busy. Call after `devices`.
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
    """Have the primary context made that CUDA libraries share; the driver's status, 0 if it is."""
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
