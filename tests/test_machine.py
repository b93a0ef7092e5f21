"""The processor's name and the free memory of faked computers, with the files of cgroups(7)."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import psutil
import pytest

from hhplug import machine

FREE = 64_000  # bytes free on the faked computer
NO_LIMIT_V1 = 9223372036854771712  # the limit of a version 1 group without one


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that writes files of the faked computer, which begins with none."""
    machine._limited_cgroups.cache_clear()
    machine.cpu_name.cache_clear()
    monkeypatch.setattr(machine, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.delenv("PROCESSOR_IDENTIFIER", raising=False)  # which Windows sets
    monkeypatch.setattr(machine, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "sys/fs/cgroup")
    memory = SimpleNamespace(available=FREE)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)

    def write(files):
        for path, text in files.items():
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(text), encoding="utf-8")

    yield write
    machine._limited_cgroups.cache_clear()
    machine.cpu_name.cache_clear()


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
def test_a_cpu_without_a_model_name_is_named_by_its_kind(fake, files, monkeypatch):
    fake(files)
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert machine.cpu_name() == "aarch64"


@pytest.fixture
def macos(fake, monkeypatch):
    """Return a function that sets what `sysctl` prints and with which exit code it ends."""
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
    fake({"/proc/cpuinfo": "model name\t: of another system\n"})

    def set_sysctl(printed, code=0):
        def run(command, check, **_):
            # sysctl(8) of macOS: -n prints the value without the name.
            assert command == ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            assert check
            if code:
                raise subprocess.CalledProcessError(code, command)
            return subprocess.CompletedProcess(command, code, printed, "")

        monkeypatch.setattr(subprocess, "run", run)

    return set_sysctl


@pytest.mark.parametrize("name", ["Apple M2", "Intel(R) Core(TM) i7-8750H CPU @ 2.20GHz"])
def test_on_macos_the_cpu_has_its_brand(macos, name):
    macos(f"{name}\n")
    assert machine.cpu_name() == name


@pytest.mark.parametrize(("printed", "code"), [("", 1), ("\n", 0)])
def test_on_macos_a_cpu_without_a_brand_is_named_by_its_kind(macos, printed, code):
    macos(printed, code)
    assert machine.cpu_name() == "arm64"


def test_on_macos_without_sysctl_the_cpu_is_named_by_its_kind(macos, monkeypatch):
    macos("")
    monkeypatch.setattr(subprocess, "run", MagicMock(side_effect=FileNotFoundError))
    assert machine.cpu_name() == "arm64"


IDENTIFIER = "AMD64 Family 25 Model 33 Stepping 2, AuthenticAMD"


@pytest.fixture
def windows(fake, monkeypatch):
    """Return the faked registry, a mapping from paths to values."""
    monkeypatch.setattr(machine.sys, "platform", "win32")
    monkeypatch.setattr(machine.platform, "machine", lambda: "AMD64")
    monkeypatch.setenv("PROCESSOR_IDENTIFIER", IDENTIFIER)
    fake({"/proc/cpuinfo": "model name\t: of another system\n"})
    registry = {}

    @contextmanager
    def open_key(root, path):
        assert root == "HKLM"
        if path not in registry:
            raise FileNotFoundError(path)
        yield path

    winreg = SimpleNamespace(
        HKEY_LOCAL_MACHINE="HKLM",
        OpenKey=open_key,
        QueryValueEx=lambda path, name: (registry[path][name], 1),  # the value and its type
    )
    monkeypatch.setitem(sys.modules, "winreg", winreg)
    return registry


def test_on_windows_the_cpu_has_its_name_in_the_registry(windows):
    processor = "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0"
    windows[processor] = {"ProcessorNameString": "AMD Ryzen 9 5950X 16-Core Processor            "}
    assert machine.cpu_name() == "AMD Ryzen 9 5950X 16-Core Processor"


def test_on_windows_a_cpu_that_the_registry_lacks_has_its_identifier(windows, monkeypatch):
    assert not windows
    assert machine.cpu_name() == IDENTIFIER
    machine.cpu_name.cache_clear()
    monkeypatch.delenv("PROCESSOR_IDENTIFIER")
    assert machine.cpu_name() == "AMD64"


def test_on_another_system_the_cpu_is_named_by_its_kind(fake, monkeypatch):
    fake({})
    monkeypatch.setattr(machine.sys, "platform", "freebsd14")
    monkeypatch.setattr(machine.platform, "machine", lambda: "amd64")
    assert machine.cpu_name() == "amd64"


def test_this_computers_cpu_has_a_name():
    assert machine.cpu_name() == machine.cpu_name().strip() != ""
