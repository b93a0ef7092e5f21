"""The answers of PyCUDA's probe; device/test_cuda_driver tests those of the NVIDIA driver."""

import re
from unittest.mock import patch

import pytest

from hhplug import BackendUnavailable, backends
from hhplug_pycuda import probe


def test_a_missing_compiler_is_reported(monkeypatch):
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    with (
        patch("shutil.which", return_value=None),
        pytest.raises(BackendUnavailable, match=r"\[no_compiler\] nvcc .*Fix: "),
    ):
        probe.compiler()


def test_gpus_are_listed_by_name(driver):
    driver(names=("First GPU", "Second GPU"))
    with patch("shutil.which", return_value="/bin/nvcc"):
        assert probe.probe() == "First GPU, Second GPU"


@pytest.mark.parametrize(
    ("answers", "code"),
    [({"names": ()}, "no_device"), ({"context": 2}, "out_of_memory"), ({}, "no_compiler")],
)
def test_the_first_missing_part_is_reported(driver, answers, code):
    driver(**answers)
    with (
        patch("shutil.which", return_value=None),
        pytest.raises(BackendUnavailable, match=rf"\[{code}\]"),
    ):
        probe.probe()


@pytest.mark.parametrize(
    ("answers", "device"),
    [
        ({"names": ()}, ""),
        ({"status": 803}, "an NVIDIA GPU"),
        ({"status": 34}, ""),  # the toolkit's stand-in for the driver
        ({"context": 2}, "A GPU"),
        ({}, "A GPU"),  # and no compiler
    ],
)
def test_a_refusal_says_whether_a_gpu_is_present(driver, answers, device):
    driver(**answers)
    with patch("shutil.which", return_value=None), pytest.raises(BackendUnavailable) as caught:
        probe.probe()
    assert caught.value.device == device


def test_the_listing_explains_what_is_missing():
    entry = next(entry for entry in backends() if entry.name == "pycuda")
    if entry.unavailable:
        codes = (
            "missing_package|no_driver|no_device|devices_hidden|driver_failed|out_of_memory"
            "|device_busy|no_compiler"
        )
        assert re.fullmatch(codes, entry.unavailable.code)
        assert entry.unavailable.fix
    else:
        assert entry.device
