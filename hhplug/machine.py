"""The name of this computer's processor, and its free memory."""

import platform
from functools import cache
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 2**60  # bytes; without a limit, cgroups version 1 gives a number near 2⁶³


def cpu_name() -> str:
    """Name of the processor, for example "AMD EPYC 9454"."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"


def free_memory() -> int:
    """Bytes that can be allocated without swapping and within a container's limit."""
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
