"""A saved result is loaded unchanged, and no other file is accepted as one."""

import json
from dataclasses import fields
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from short_runs import run

import hhplug
from hhplug import HHParameters, InvalidInput, NotEnoughMemory, Stimulus
from hhplug.membranes import squid

STATE = [[-60, -70, -65], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.3, 0.4, 0.5]]

ROUND_TRIPS = {
    "nothing": {},
    "constant": {"stimulus": Stimulus.constant(0.1)},
    "step": {"stimulus": Stimulus.step([1, 2, 3], 0.1, 0.7)},
    "pulse train": {"stimulus": Stimulus.pulse_train(30.0, 0.1, 0.1, 1 / 3, 3)},
    "ramp": {"stimulus": Stimulus.ramp(-1.0, [5, 6, 7], 0.1, 0.8)},
    "sine": {"stimulus": Stimulus.sine([1, 2, 3], 400.0, 0.3, [4, 5, 6])},
    "recorded": {"stimulus": Stimulus.recorded([1.0, 5.0, 2.0, 0.0], 0.3, gain=[1, 2, 3])},
    "times": {"stimulus": Stimulus.step(20.0, 0.1, [0.3, 0.5, 0.7])},
    "frequencies": {"stimulus": Stimulus.sine(20.0, [100, 200, 300], [0.1, 0.2, 0.3])},
    "white noise": {"stimulus": Stimulus.white_noise([1, 2, 3], 2**64 - 1)},
    "noise": {"stimulus": Stimulus.ornstein_uhlenbeck(5.0, 2.0, [1, 2, 3], 7)},
    "late noise": {
        "stimulus": Stimulus.ornstein_uhlenbeck(5.0, 2.0, 3.0, 7),
        "start_step": 7,
        "batch_size": 3,
    },
    "sum": {"stimulus": Stimulus.constant([1, 2, 3]) + Stimulus.step([20, 10, 5], 0.2, 0.5)},
    "array for all": {"stimulus": np.linspace(0, 1, 10, dtype=np.float32), "batch_size": 3},
    "array per neuron": {"stimulus": np.arange(30, dtype=np.int16).reshape(10, 3)},
    "parameters": {"parameters": HHParameters(C_m=[1, 2, 0.5], g_K=30, E_L=[-50, -54, -60])},
    "record_neurons": {"batch_size": 5, "record_neurons": [3, 0]},
    "no neurons": {"batch_size": 5, "record_neurons": []},
    "state per neuron": {"initial_state": STATE, "dt": 0.01},
    "one state": {"initial_state": [-60, 0.1, 0.5, 0.4], "batch_size": 3},
    "late": {"start_step": 7, "record_every": 3, "stimulus": Stimulus.sine(5.0, 100.0)},
    "all variables": {"record_all": True},
    "no variables": {"record": ()},
    "counts": {"spikes": "counts"},
    "off": {"spikes": "off"},
    "threshold": {"spike_threshold": -64.5, "stimulus": Stimulus.constant(20.0)},
}


def assert_same_current(one, other):
    if isinstance(one, Stimulus):
        assert repr(one) == repr(other)
        for mine, theirs in zip(one.gains, other.gains, strict=True):
            assert_array_equal(mine, theirs)
    else:
        assert one.dtype == other.dtype
        assert_array_equal(one, other)


@pytest.mark.parametrize("arguments", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_a_loaded_result_equals_the_saved_one_and_can_be_repeated_bit_for_bit(arguments, tmp_path):
    result = run(**arguments)
    result.save(tmp_path / "run")
    loaded = hhplug.load_result(tmp_path / "run")

    assert repr(loaded) == repr(result)
    for name in ("backend", "backend_version", "device", "timing", "dtype", "next_step", "written"):
        assert getattr(loaded, name) == getattr(result, name)
    assert loaded.samples.keys() == result.samples.keys()
    for name in result.samples:
        assert_array_equal(loaded[name], result[name])
        assert loaded[name].dtype == result[name].dtype
    assert_array_equal(loaded.final_state, result.final_state)
    assert_array_equal(loaded.first_invalid_step, result.first_invalid_step)
    assert_array_equal(loaded.time, result.time)
    assert_array_equal(loaded.outcome.spike_count, result.outcome.spike_count)
    assert (loaded.outcome.spikes is None) == (result.outcome.spikes is None)
    if result.outcome.spikes is not None:
        assert_array_equal(loaded.spikes.neuron, result.spikes.neuron)
        assert_array_equal(loaded.spikes.time, result.spikes.time)

    for field in fields(result.problem):
        mine, theirs = getattr(result.problem, field.name), getattr(loaded.problem, field.name)
        if field.name == "parameters":
            assert mine == theirs
        elif field.name == "given_stimulus":
            assert_same_current(mine.as_given, theirs.as_given)
        elif field.name == "membrane":
            assert mine == theirs
        elif field.name == "initial":
            assert_array_equal(mine.variables, theirs.variables)
        elif field.name == "invalid":
            assert_array_equal(mine.step, theirs.step)
        elif field.name != "current":
            assert_array_equal(mine, theirs)

    again = hhplug.simulate(loaded.problem, backend="reference")
    for name in result.samples:
        assert_array_equal(again[name], result[name])
    assert_array_equal(again.final_state, result.final_state)
    assert_array_equal(again.outcome.spike_count, result.outcome.spike_count)


def test_the_run_saved_with_a_threshold_has_spikes():
    assert run(**ROUND_TRIPS["threshold"]).spike_count == 1


def test_a_result_is_saved_under_exactly_the_name_given(plain, tmp_path):
    plain.save(str(tmp_path / "run.hh"))
    assert [file.name for file in tmp_path.iterdir()] == ["run.hh"]


def archive(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)


def rewrite(path, **changes):
    """Save a file again, with some arrays changed by functions of the old ones."""
    with np.load(path) as file:
        arrays = dict(file)
    archive(path, **arrays | {name: change(arrays[name]) for name, change in changes.items()})


def with_a_word_for_its_problem(metadata):
    return np.array(json.dumps(json.loads(str(metadata)) | {"problem": "x"}))


def patch_directory(path, offset, value):
    """Put a byte into the first entry of the archive's directory (APPNOTE.TXT, 4.3.12)."""
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("V,time\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: archive(path, V=np.ones(3)),
        lambda path: archive(path, metadata=np.array("not JSON")),
        lambda path: archive(path, metadata=np.array("[1, 2]")),
        lambda path: archive(path, metadata=np.array('{"format": 2, "hhplug": "0"}')),
        lambda path: rewrite(path, metadata=with_a_word_for_its_problem),  # AttributeError
        lambda path: patch_directory(path, 8, 1),  # encrypted: RuntimeError
        lambda path: patch_directory(path, 10, 97),  # by an unknown method: NotImplementedError
        lambda path: patch_directory(path, 45, 255),  # at a far offset
        lambda path: rewrite(path, V=lambda V: V[:3]),
        lambda path: rewrite(path, V=lambda V: V.astype(str)),
        lambda path: rewrite(path, final_state=lambda state: state[:, :2]),
        lambda path: rewrite(path, spike_count=lambda count: count[1:]),
        lambda path: rewrite(path, spike_time=lambda _: np.ones(1)),
    ],
)
def test_a_file_that_is_no_saved_result_is_refused_by_name(plain, spoil, tmp_path):
    path = tmp_path / "other.npz"
    plain.save(path)
    hhplug.load_result(path)
    spoil(path)
    with pytest.raises(InvalidInput, match=r"other\.npz is not a result saved by hhplug, or dama"):
        hhplug.load_result(path)


@pytest.mark.parametrize(
    ("error", "told", "message"),
    [
        (OSError("no such sector"), InvalidInput, "or damaged"),
        (MemoryError("no 9 GB"), NotEnoughMemory, "run doesn't fit, or is damaged: no 9 GB"),
    ],
)
def test_the_error_of_a_failed_read_names_the_file(plain, tmp_path, error, told, message):
    plain.save(tmp_path / "run")
    with (
        patch("hhplug.results.result.np.load", side_effect=error),
        pytest.raises(told, match=message),
    ):
        hhplug.load_result(tmp_path / "run")


def test_a_missing_file_raises_FileNotFoundError(tmp_path):
    with pytest.raises(FileNotFoundError):
        hhplug.load_result(tmp_path / "run")


def test_a_file_of_format_2_without_a_membrane_is_read_as_the_squid(plain, tmp_path):
    def as_format_2(metadata):
        old = json.loads(str(metadata)) | {"format": 2}
        del old["problem"]["membrane"]
        return np.array(json.dumps(old))

    path = tmp_path / "run.npz"
    plain.save(path)
    rewrite(path, metadata=as_format_2)
    loaded = hhplug.load_result(path)
    assert loaded.membrane is squid
    assert_array_equal(loaded.V, plain.V)


def test_a_file_in_a_later_format_says_what_wrote_it(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("hhplug.results.storage.FORMAT", 99)
    plain.save(tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(InvalidInput, match=f"format 99.*reads 2 or 3.*hhplug {hhplug.__version__}"):
        hhplug.load_result(tmp_path / "run")
