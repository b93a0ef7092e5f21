"""Name this machine after its CPU or GPU, and register it with asv.

`asv run --machine "$(python -m benchmarks.tools.machine)"` records results under that name.
"""

import platform
import re
import subprocess
from typing import Any

from asv.machine import Machine, MachineCollection

from hhplug.machine import cpu_name


def gpu() -> str | None:
    """Return the name and the driver of the first GPU, or None if there is none."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    name, driver = listed.splitlines()[0].split(", ")
    return f"{name} driver {driver}"


def named() -> dict[str, Any]:
    """Return asv's description of this machine, with its name."""
    record = Machine.get_defaults() | {"cpu": cpu_name(), "os": platform.system()}
    name = gpu() or f"{record['cpu']} {record['num_cpu']} cores"
    record["machine"] = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-").lower()
    return record


def save() -> dict[str, Any]:
    """Register this machine with asv, for this user, and return asv's description of it."""
    record = named()
    MachineCollection.save(record["machine"], record)
    return record


if __name__ == "__main__":
    print(save()["machine"])
