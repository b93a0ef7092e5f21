"""The name of this computer's processor, and its free memory."""

import os
import platform
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 2**60  # bytes; without a limit, cgroups version 1 gives a number near 2⁶³


@cache
def cpu_name() -> str:
    """Name of the processor, for example "AMD EPYC 9454" or "Apple M2"."""
    named = {"linux": _named_by_linux, "darwin": _named_by_macos, "win32": _named_by_windows}
    try:
        name = named[sys.platform]().strip() if sys.platform in named else ""
    except OSError:
        name = ""
    return name or os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine() or "CPU"


def _named_by_linux() -> str:
    """The model name in /proc/cpuinfo, which has none for some ARM processors."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(models, "")


def _named_by_macos() -> str:
    import subprocess  # other systems don't need it

    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5.0)
    except subprocess.SubprocessError:
        return ""
    return run.stdout


def _named_by_windows() -> str:
    winreg = import_module("winreg")  # a module that only Windows has
    path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
        return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])


def free_memory() -> int:
    """Bytes that can be allocated without swapping and within a container's limit."""
    import psutil  # for 7 ms, and a small run doesn't ask

    return max(0, min([psutil.virtual_memory().available, *_free_in_cgroups()]))


def _free_in_cgroups() -> list[int]:
    """Free bytes of each control group that has a limit. Reclaimable pages count as free."""
    free = []
    for folder, limit, used, cached in _limited_cgroups():
        try:
            stat = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
            most, taken = (int((folder / name).read_text()) for name in (limit, used))
            free.append(most - taken + int(stat.get(cached, 0)))
        except (OSError, ValueError):  # the limit has been removed since
            continue
    return free


@cache
def _limited_cgroups() -> list[tuple[Path, str, str, str]]:
    """The folder and three names for each control group above this process that has a limit.

    The names are those of the file with the limit, of the file with the memory in use, and of the
    line of memory.stat with the reclaimable bytes.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    limited = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            root, names = CGROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = CGROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            try:
                if int((folder / names[0]).read_text()) < UNLIMITED:
                    limited.append((folder, *names))
            except (OSError, ValueError):  # the group isn't visible here, or its limit is "max"
                continue
    return limited
