"""Checks from metadata and drivers whether Triton has a GPU, without importing PyTorch."""

import os
from importlib.metadata import version
from pathlib import Path

from hhplug import BackendUnavailable
from hhplug.device import cuda_driver

FOR_TESTS = "for tests, TRITON_INTERPRET=1 runs the kernels on the CPU, slowly"
ROCM = Path("/dev/kfd")


def interpreted() -> bool:
    """Return whether kernels run in Triton's interpreter, on the CPU."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "yes", "on", "y")


def probe() -> str | None:
    """Return the names of the GPUs, or None if only PyTorch can tell them.

    Raises BackendUnavailable if there is no GPU. It is raised for the interpreter too, so that
    "auto" never chooses it.
    """
    if interpreted():
        raise BackendUnavailable(
            "interpreter",
            "TRITON_INTERPRET=1 runs the kernels on the CPU, thousands of times slower",
            "unset TRITON_INTERPRET; for tests, ask for the backend by its name",
        )
    build = version("torch").partition("+")[2]
    if build == "cpu":
        raise BackendUnavailable(
            "cpu_build",
            f"PyTorch {version('torch')} is built for the CPU alone",
            f"install a PyTorch for your GPU (pytorch.org); {FOR_TESTS}",
            device=cuda_driver.present() or ("an AMD GPU" if ROCM.exists() else ""),
        )
    if build.startswith("rocm"):
        if not ROCM.exists():
            raise BackendUnavailable(
                "no_device", f"{ROCM} is missing: no AMD GPU", f"check rocminfo; {FOR_TESTS}"
            )
        return None
    if build.startswith("xpu"):
        return None  # PyTorch itself reports a missing GPU
    try:
        found = cuda_driver.devices()
        cuda_driver.check_context()
    except BackendUnavailable as problem:
        problem.fix = f"{problem.fix}; {FOR_TESTS}"
        problem.device = cuda_driver.present()
        raise
    return ", ".join(found)
