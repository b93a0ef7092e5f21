"""What this computer has."""

import platform
from functools import cache
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 2**60  # bytes; version 1 writes a number near 2⁶³ for no limit


def cpu_name() -> str:
    """The processor's name, as people know it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"


def free_memory() -> int:
    """Bytes that can be had without swapping, a container's limit taken into account."""
    return max(0, min([psutil.virtual_memory().available, *_free_in_cgroups()]))


def _free_in_cgroups() -> list[int]:
    """Limit less use of each limited control group, reclaimable pages not counted as used."""
    free = []
    for folder, limit, used, cached in _limited_cgroups():
        try:
            stat = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
            most, taken = (int((folder / name).read_text()) for name in (limit, used))
            free.append(most - taken + int(stat.get(cached, 0)))
        except (OSError, ValueError):  # the limit has been lifted meanwhile
            continue
    return free


@cache
def _limited_cgroups() -> list[tuple[Path, str, str, str]]:
    """The groups above this process that have a limit; names of limit, use, reclaimable pages."""
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
            except (OSError, ValueError):  # no such group seen from here, or "max"
                continue
    return limited
