"""The answers of the NVIDIA driver are distinguished, as a made-up driver shows without a GPU."""

import ctypes
from unittest.mock import patch

import numpy as np
import pytest

from hhplug import BackendUnavailable
from hhplug.device.cuda_driver import (
    DRIVER,
    check_context,
    copy_to_host,
    devices,
    is_pinned,
    pin,
    present,
    retain_context,
    rows_to_host,
)


def problem_of(call, *arguments):
    with pytest.raises(BackendUnavailable) as error:
        call(*arguments)
    assert error.value.reason
    assert error.value.fix
    return error.value


def test_gpus_are_named_in_the_drivers_order(driver):
    driver(names=("First GPU", "Second GPU"))
    assert devices() == ["First GPU", "Second GPU"]


def test_a_missing_driver_is_reported(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with patch.object(ctypes, "CDLL", side_effect=OSError("cannot open shared object file")):
        problem = problem_of(devices)
    assert problem.code == "no_driver"
    assert DRIVER in problem.reason
    assert problem.detail == "cannot open shared object file"


@pytest.mark.parametrize("answers", [{"status": 100}, {"names": ()}])
def test_a_driver_without_a_gpu_is_reported(driver, answers):
    driver(**answers)
    assert problem_of(devices).code == "no_device"


def test_the_toolkits_stand_in_for_the_driver_is_no_driver(driver):
    driver(status=34)
    problem = problem_of(devices)
    assert problem.code == "no_driver"
    assert "stand-in" in problem.reason


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ({"names": ("First GPU", "Second GPU")}, "First GPU, Second GPU"),
        ({"names": ()}, ""),
        ({"status": 34}, ""),
        ({"status": 803}, "an NVIDIA GPU"),
    ],
)
def test_gpus_that_are_present_are_named_even_if_the_driver_fails(driver, answers, names):
    driver(**answers)
    assert present() == names


def test_a_driver_that_fails_is_reported_with_its_number(driver):
    driver(status=803)
    problem = problem_of(devices)
    assert problem.code == "driver_failed"
    assert "803" in problem.reason


@pytest.mark.parametrize("hidden", ["", "-1", " ", "NoDevFiles"])
def test_hidden_gpus_are_reported(driver, monkeypatch, hidden):
    driver()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    problem = problem_of(devices)
    assert problem.code == "devices_hidden"
    assert f"CUDA_VISIBLE_DEVICES={hidden!r}" in problem.reason


@pytest.mark.parametrize("shown", ["0", "1,0", "GPU-8932f937"])
def test_gpus_that_are_chosen_are_not_hidden(driver, monkeypatch, shown):
    driver()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert devices() == ["A GPU"]


@pytest.mark.parametrize("index", [0, 1])
def test_a_context_made_as_a_check_is_released(driver, index):
    made_up = driver(names=("First GPU", "Second GPU"))
    check_context(index)
    assert made_up.made == {index: 1}
    assert made_up.held == {index: 0}


@pytest.mark.parametrize(
    ("context", "code", "reason"),
    [
        (2, "out_of_memory", "Second GPU has no memory left for a context"),
        (46, "device_busy", "Second GPU gives no context: .* error 46"),
    ],
)
def test_a_gpu_that_gives_no_context_is_reported_by_its_name(driver, context, code, reason):
    made_up = driver(names=("First GPU", "Second GPU"), context=context)
    with pytest.raises(BackendUnavailable, match=rf"\[{code}\] {reason}.*Fix: "):
        check_context(1)
    assert not made_up.held


@pytest.mark.parametrize("index", [0, 1])
def test_a_context_may_be_kept_for_the_libraries_that_follow(driver, index):
    made_up = driver(names=("First GPU", "Second GPU"))
    assert retain_context(index) == 0
    assert made_up.held == {index: 1}


@pytest.mark.parametrize(
    ("answers", "status"), [({"status": 100}, 100), ({"status": 803}, 803), ({"context": 2}, 2)]
)
def test_a_context_that_cannot_be_retained_gives_the_status(driver, answers, status):
    made_up = driver(**answers)
    assert retain_context(0) == status
    assert not made_up.held


def test_without_a_driver_there_is_no_context():
    with patch.object(ctypes, "CDLL", side_effect=OSError):
        assert retain_context(0) == 100  # as without a GPU


def test_no_context_is_made_on_a_device_that_does_not_exist(driver):
    made_up = driver(names=("A GPU",))
    assert retain_context(1) != 0
    assert not made_up.made


def test_memory_is_pinned_until_that_is_undone(driver):
    made_up, memory = driver(), np.zeros((20, 30))
    assert not is_pinned(memory)
    unpin = pin(memory[:10], 0)
    assert made_up.pinned == {memory.ctypes.data: 10 * 30 * 8}
    assert is_pinned(memory[:10])
    assert is_pinned(memory[2:9, 3:7])
    assert not is_pinned(memory[:11])
    assert not is_pinned(memory[10:])
    unpin()
    assert not is_pinned(memory[:10])
    assert not made_up.held[0]


def test_memory_that_the_driver_refuses_to_pin_is_not_pinned(driver):
    made_up = driver(pins=False)
    assert pin(np.zeros(3), 0) is None
    assert not made_up.held[0]


def test_a_copy_fills_an_array(driver):
    made_up, target = driver(), np.zeros(5)
    assert copy_to_host()(target[1:4], np.arange(1.0, 9.0).ctypes.data, 17)
    np.testing.assert_array_equal(target, [0.0, 1.0, 2.0, 3.0, 0.0])
    assert made_up.streams == [17]


def test_a_copy_that_the_driver_refuses_is_left_to_the_caller(driver):
    driver(copies=False)
    target = np.zeros(3)
    assert not copy_to_host()(target, np.ones(3).ctypes.data, 17)
    assert not target.any()


@pytest.mark.parametrize("columns", [slice(0, 4), slice(4, 7)])
def test_one_copy_fills_the_rows_of_a_part_of_an_array(driver, columns):
    made_up, target = driver(), np.zeros((5, 7), np.float32)
    source = np.arange(5.0 * (columns.stop - columns.start), dtype=np.float32)
    assert rows_to_host(target[:, columns], source.ctypes.data, 17, 0)
    expected = np.zeros((5, 7), np.float32)
    expected[:, columns] = source.reshape(5, -1)
    np.testing.assert_array_equal(target, expected)
    assert made_up.streams == [17]
    assert not made_up.held[0]


def test_rows_that_the_driver_refuses_to_copy_are_left_to_the_caller(driver):
    driver(copies=False)
    target = np.zeros((5, 7))
    assert not rows_to_host(target[:, :3], np.ones(15).ctypes.data, 17, 0)
    assert not target.any()
