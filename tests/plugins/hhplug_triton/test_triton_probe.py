"""The answers of Triton's probe; device/test_cuda_driver tests those of the NVIDIA driver."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from unittest.mock import patch

import pytest
from plugin_factory import problem_of

from hhplug import BackendUnavailable
from hhplug.device import cuda_driver
from hhplug.plugins import choice, probes, requirements
from hhplug_triton import hhplug_backends, probe

(SPEC,) = hhplug_backends()
FOR_TESTS = "TRITON_INTERPRET=1"


@pytest.fixture(autouse=True)
def not_interpreted(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.fixture
def pytorch(monkeypatch):
    """Return a function that makes PyTorch appear to have a version."""

    def use(version):
        monkeypatch.setattr(probe, "version", {"torch": version}.__getitem__)

    return use


def found_by_probe():
    with pytest.raises(BackendUnavailable) as error:
        probe.probe()
    return error.value


@pytest.mark.parametrize("version", ["2.10.0", "2.11.0+cu128"])
def test_gpus_are_listed_by_name(pytorch, driver, version):
    pytorch(version)
    driver(names=("First GPU", "Second GPU"))
    assert probe.probe() == "First GPU, Second GPU"


@pytest.mark.parametrize("setting", ["1", "true", "ON"])  # Triton takes them all
def test_the_interpreter_is_reported_even_if_there_is_a_gpu(pytorch, driver, monkeypatch, setting):
    pytorch("2.11.0+cu128")
    driver(names=("A GPU",))
    monkeypatch.setenv("TRITON_INTERPRET", setting)
    problem = found_by_probe()
    assert problem.code == "interpreter"
    assert problem.fix.startswith("unset TRITON_INTERPRET")


def test_kernels_are_not_interpreted_where_that_is_switched_off(pytorch, driver, monkeypatch):
    pytorch("2.11.0+cu128")
    driver(names=("A GPU",))
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    assert probe.probe() == "A GPU"


@pytest.mark.usefixtures("plugins")
def test_auto_never_takes_the_interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(probes, "_answers", {})  # its answer depends on the environment
    assert problem_of("triton").code == "interpreter"
    assert choice.choose("auto").entry.name != "triton"


def test_a_pytorch_for_the_cpu_only_is_reported(pytorch, driver):
    pytorch("2.13.0+cpu")
    driver(names=("A GPU",))
    problem = found_by_probe()
    assert problem.code == "cpu_build"
    assert "PyTorch 2.13.0+cpu" in problem.reason
    assert FOR_TESTS in problem.fix


def test_a_missing_amd_gpu_is_reported(pytorch, monkeypatch, tmp_path):
    pytorch("2.11.0+rocm6.4")
    monkeypatch.setattr(probe, "ROCM", tmp_path / "kfd")
    problem = found_by_probe()
    assert problem.code == "no_device"
    assert str(probe.ROCM) in problem.reason
    assert FOR_TESTS in problem.fix


def test_an_amd_gpu_is_accepted(pytorch, monkeypatch, tmp_path):
    pytorch("2.11.0+rocm6.4")
    monkeypatch.setattr(probe, "ROCM", tmp_path)
    assert probe.probe() is None


@pytest.mark.parametrize("question", ["devices", "check_context"])
def test_a_problem_of_the_nvidia_driver_is_reported_with_an_alternative(
    pytorch, driver, monkeypatch, question
):
    pytorch("2.11.0+cu128")
    driver(names=("A GPU",))

    def refuse():
        raise BackendUnavailable("some_code", "some reason", "do something", detail="details")

    monkeypatch.setattr(cuda_driver, question, refuse)
    problem = found_by_probe()
    assert (problem.code, problem.reason, problem.detail) == ("some_code", "some reason", "details")
    assert problem.fix.startswith("do something; ")
    assert FOR_TESTS in problem.fix


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"names": ()}, "no_device"),
        ({"status": 803}, "driver_failed"),
        ({"context": 2}, "out_of_memory"),
        ({"context": 201}, "device_busy"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_reported(pytorch, driver, answers, code):
    pytorch("2.11.0+cu128")
    driver(**answers)
    assert found_by_probe().code == code


@pytest.mark.parametrize(
    ("version", "answers", "device"),
    [
        ("2.13.0+cpu", {"names": ("A GPU", "Another")}, "A GPU, Another"),
        ("2.13.0+cpu", {"names": ()}, ""),
        ("2.11.0+cu128", {"names": ()}, ""),
        ("2.11.0+cu128", {"status": 803}, "an NVIDIA GPU"),
        ("2.11.0+cu128", {"status": 34}, ""),  # the toolkit's stand-in for the driver
        ("2.11.0+cu128", {"context": 201}, "A GPU"),
    ],
)
def test_a_refusal_says_whether_a_gpu_is_present(pytorch, driver, version, answers, device):
    pytorch(version)
    driver(**answers)
    assert found_by_probe().device == device


def test_a_hidden_gpu_is_not_present(pytorch, driver, monkeypatch):
    driver(names=("A GPU",))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for version in ("2.13.0+cpu", "2.11.0+cu128"):
        pytorch(version)
        assert found_by_probe().device == ""


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("requirement", SPEC.requires)
@pytest.mark.parametrize(
    ("installed", "code"), [(None, "missing_package"), ("2.5.0", "wrong_version")]
)
def test_a_package_that_is_missing_or_too_old_is_reported_with_the_plugins_hint(
    monkeypatch, requirement, installed, code
):
    package = requirement.partition(">=")[0]
    versions = {"torch": "2.10.0", "triton": "3.6.0", package: installed}

    def version(name):
        if versions.get(name, "1.0") is None:
            raise PackageNotFoundError(name)
        return versions.get(name, "1.0")

    monkeypatch.setattr(requirements, "version", version)
    problem = problem_of("triton")
    assert problem.code == code
    assert package in problem.reason
    assert problem.fix == SPEC.install_hint


def test_a_backend_chosen_by_name_says_that_there_is_no_gpu():
    import torch

    with (
        patch.object(torch.accelerator, "current_accelerator", return_value=None),
        pytest.raises(BackendUnavailable) as caught,
    ):
        choice.choose("triton")
    assert caught.value.code == "no_device"
    assert FOR_TESTS in caught.value.fix


def test_a_backend_chosen_by_name_says_that_the_gpu_is_full():
    import torch

    with (
        patch("hhplug_triton.backend._devices", return_value=("cuda", ["A GPU"])),
        patch("hhplug_triton.backend.torch_device", side_effect=torch.OutOfMemoryError("full")),
        pytest.raises(BackendUnavailable, match="A GPU has no memory left") as caught,
    ):
        choice.choose("triton")
    assert (caught.value.code, caught.value.detail) == ("out_of_memory", "full")


def test_listing_and_probing_import_neither_pytorch_nor_triton():
    script = """
import sys
from contextlib import suppress
from hhplug import BackendUnavailable, backends
from hhplug_triton.probe import probe
assert "triton" in {entry.name for entry in backends()}
with suppress(BackendUnavailable):
    probe()
print({"torch", "triton"} & set(sys.modules))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("writable", [False, True])
def test_a_cache_folder_that_cannot_be_written_is_replaced(tmp_path, writable):
    folder = tmp_path / "cache"
    if not writable:
        folder.write_text("a file, so that nothing can be written below it")
    script = """
from pathlib import Path
from hhplug import Simulator
from triton import knobs
Simulator("triton")
print(knobs.cache.dir, list(Path(knobs.cache.dir).iterdir()) is not None)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(folder / "kernels")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    used, exists = done.stdout.rsplit(maxsplit=1)
    assert (used == str(folder / "kernels"), exists) == (writable, "True")
    assert writable or not Path(used).exists()  # removed with the process
