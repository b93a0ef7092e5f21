"""Free memory under faked control groups, with files as in Linux (cgroups(7))."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hhplug import machine

FREE = 64_000  # bytes free on the faked computer
NO_LIMIT_V1 = 9223372036854771712  # the limit of a version 1 group without one


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that writes files of the faked computer, which begins with none."""
    machine._limited_cgroups.cache_clear()
    monkeypatch.setattr(machine, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "sys/fs/cgroup")
    memory = SimpleNamespace(available=FREE)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)

    def write(files):
        for path, text in files.items():
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(text), encoding="utf-8")

    yield write
    machine._limited_cgroups.cache_clear()


def v2(group, limit, used, inactive_file=0):
    folder = Path("/sys/fs/cgroup") / group
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 17\ninactive_file {inactive_file}\nslab 4\n",
    }


def v1(group, limit, used, inactive_file=0):
    folder = Path("/sys/fs/cgroup/memory") / group
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"inactive_file 3\ntotal_inactive_file {inactive_file}\n",
    }


V2 = {"/proc/self/cgroup": "0::/jobs/one\n"}
V1 = {"/proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/jobs/one\n3:cpuset:/other\n0::/\n"}
# A container sees its own group as the root, but in version 1 its path from outside.
V2_CONTAINER = {"/proc/self/cgroup": "0::/\n"}
V1_CONTAINER = {"/proc/self/cgroup": "4:memory:/docker/0123abcd\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, FREE),  # no control groups at all: macOS, Windows
        (V2, FREE),  # no group is visible from here
        (V2 | v2("jobs/one", 10_000, 4_000), 6_000),
        (V2 | v2("jobs/one", 10_000, 4_000, inactive_file=1_500), 7_500),
        (V2 | v2("jobs/one", "max", 4_000), FREE),
        (V2 | v2("jobs/one", 10_000, 4_000) | v2("jobs", 9_000, 8_000), 1_000),
        (V2 | v2("jobs/one", 10_000, 8_000) | v2("jobs", 90_000, 8_000), 2_000),
        (V2 | v2("jobs/one", "max", 4_000) | v2("jobs", 9_000, 8_000), 1_000),
        (V2 | v2("jobs", 9_000, 8_000), 1_000),
        (V2 | v2("jobs/two", 10_000, 9_000), FREE),  # a neighbour
        (V2 | v2("jobs/one", 1_000_000, 4_000), FREE),  # a limit above the computer's memory
        (V2 | v2("jobs/one", 10_000, 10_500), 0),
        (V2_CONTAINER | v2("", 10_000, 4_000), 6_000),
        (V1 | v1("jobs/one", 10_000, 4_000), 6_000),
        (V1 | v1("jobs/one", 10_000, 4_000, inactive_file=1_500), 7_500),
        (V1 | v1("jobs/one", NO_LIMIT_V1, 4_000), FREE),
        (V1 | v1("jobs/one", NO_LIMIT_V1, 4_000) | v1("jobs", 9_000, 8_000), 1_000),
        (V1 | v1("", 9_000, 8_000), 1_000),
        (V1 | v1("other", 10_000, 9_000), FREE),  # a group of another controller
        (V1_CONTAINER | v1("", 10_000, 4_000), 6_000),
    ],
)
def test_free_memory_is_what_the_tightest_control_group_above_leaves(fake, files, expected):
    fake(files)
    assert machine.free_memory() == expected


def test_free_memory_of_this_computer_is_a_whole_number_of_bytes():
    free = machine.free_memory()
    assert isinstance(free, int)
    assert 2**20 < free < 2**50


def test_the_cpu_is_named_as_people_know_it(fake):
    fake({"/proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC: 9454\nmodel name\t: other\n"})
    assert machine.cpu_name() == "AMD EPYC: 9454"


@pytest.mark.parametrize("files", [{}, {"/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 50\n"}])
def test_a_cpu_without_a_model_name_still_has_one(fake, files):
    fake(files)
    assert machine.cpu_name().strip()
