"""What this computer has."""

import platform
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


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
    """Limit less use of each control group above this process, reclaimable pages not counted."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            root, limit, used, cached = CGROUPS, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, limit, used = CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = "total_inactive_file"
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            try:
                stat = dict(
                    row.split() for row in (folder / "memory.stat").read_text().splitlines()
                )
                most = int((folder / limit).read_text())
                free.append(most - int((folder / used).read_text()) + int(stat.get(cached, 0)))
            except (OSError, ValueError):  # no such group seen from here, or no limit ("max")
                continue
    return free
