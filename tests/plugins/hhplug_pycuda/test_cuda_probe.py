"""What the probe says, told apart without a GPU by a driver that a test makes up."""

import ctypes
import re
from unittest.mock import patch

import pytest

from hhplug import BackendUnavailable, backends
from hhplug_pycuda import probe


class Driver:
    """libcuda, as far as the probe asks: the status of cuInit, and names of GPUs."""

    def __init__(self, status=0, names=()):
        self.status, self.names = status, names

    def cuInit(self, _flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, device, index):
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name, _length, device):
        name.value = self.names[device.value].encode()
        return 0


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def use(**answers):
        monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver(**answers))

    return use


def code_of(call):
    with pytest.raises(BackendUnavailable) as error:
        call()
    assert error.value.reason
    assert error.value.fix
    return error.value.code


def test_a_missing_driver_is_told(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with patch.object(ctypes, "CDLL", side_effect=OSError("libcuda.so.1: not found")):
        assert code_of(probe.devices) == "no_driver"


@pytest.mark.parametrize("answers", [{"status": 100}, {"names": ()}])
def test_a_driver_without_a_gpu_is_told(driver, answers):
    driver(**answers)
    assert code_of(probe.devices) == "no_device"


def test_a_driver_that_fails_is_told_with_its_number(driver):
    driver(status=803)
    with pytest.raises(BackendUnavailable, match=r"\[driver_failed\].*803"):
        probe.devices()


@pytest.mark.parametrize("hidden", ["", "-1", " "])
def test_hidden_gpus_are_told(driver, monkeypatch, hidden):
    driver(names=("A GPU",))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert code_of(probe.devices) == "devices_hidden"


def test_a_missing_compiler_is_told(monkeypatch):
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    with patch("shutil.which", return_value=None):
        assert code_of(probe.compiler) == "no_compiler"


def test_gpus_are_listed_by_name(driver):
    driver(names=("First GPU", "Second GPU"))
    with patch("shutil.which", return_value="/bin/nvcc"):
        assert probe.probe() == "First GPU, Second GPU"


def test_the_listing_explains_what_is_missing():
    entry = next(entry for entry in backends() if entry.name == "pycuda")
    if entry.problem:
        codes = "missing_package|no_driver|no_device|devices_hidden|driver_failed|no_compiler"
        assert re.fullmatch(codes, entry.problem.code)
        assert entry.problem.fix
    else:
        assert entry.device
