"""The exit codes, the errors and the output streams of the command line."""

import os
import re
import subprocess
import sys
from unittest.mock import patch

import pytest
from command_line import SHORT

from hhplug import load_result


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--dt", "-0.01"], "dt must be a positive number of ms, got -0.01"),
        (["run", "--dt", "nan"], "dt must be a positive number of ms, got nan"),
        (["run", "--duration", "0.015"], "nearest that would do are 0.01 and 0.02 ms"),
        (["run", "--neurons", "0"], "--neurons must be a whole number, 1 or more, got 0"),
        (["run", "--neurons", "1" + "0" * 12], "--neurons must be at most "),
        (["run", "--neurons", "9" * 23], "got 99,999,999,999,999,999,999,999"),
        (["run", "--neurons", "9" * 23, "--current", "5"], "--neurons must be at most "),
        (["run", "--neurons", "many"], "invalid int value: 'many'"),
        (["run", "--current", "low"], "expected VALUE or a finite range START:STOP in µA/cm², got"),
        (["run", "--current", "nan"], "got 'nan'"),
        (["run", "--current", "1:inf"], "got '1:inf'"),
        (["run", "--current", "1e308:-1e308"], "got '1e308:-1e308'"),
        (["run", "--duration", "nan", "--stimulus", "step"], "--duration must be a positive num"),
        (["run", "--stimulus", "stepp"], "unknown stimulus 'stepp'"),
        (["run", "--stimulus", "step:a"], "takes finite numbers after its colons, got 'step:a'"),
        (
            ["run", "--stimulus", "step:295"],
            "missing from 'step:295' were chosen for 300 ms: give all",
        ),
        (["run", "--stimulus", "pulse_train:0:1:10:nan"], "takes finite numbers after"),
        (["run", "--stimulus", "pulse_train:0:1:10:1e400"], "takes finite numbers after"),
        (["run", "--stimulus", "pulse_train:0:1:10:2.9"], "takes a whole number of pulses, got"),
        (["run", "--stimulus", "white_noise:1:2.5"], "takes a whole number as the seed, got"),
        (["run", "--stimulus", "white_noise:1:-1"], "seed must be a whole number, 0 or more"),
        (["run", "--stimulus", "ornstein_uhlenbek:1"], "Did you mean 'ornstein_uhlenbeck'?"),
        (["run", "--stimulus", "recorded"], "unknown stimulus 'recorded'; choose from constant"),
        (["run", "--stimulus", "step:1:2:3"], "takes at most 2 numbers, got 'step:1:2:3'"),
        (["run", "--record-every", "0"], "--record-every must be a whole number, 1 or more, got"),
        (["run", "--dtype", "float16"], "unknown dtype 'float16'; choose from float32, float64"),
        (["run", "--backend", "nump"], "Did you mean 'numpy'?"),
        (["run", "--plot", "/nowhere/a.png"], "no folder /nowhere to write a.png into"),
        (["bench", "--n-runs", "0"], "--n-runs must be a whole number, 1 or more, got 0"),
        (["bench", "--batch-sizes", "1", "1" + "0" * 12], "--batch-sizes must be at most "),
        (["bench", "--dtype", "float16"], "unknown dtype 'float16'"),
        (["bench", "--backends", "nump"], "Did you mean 'numpy'?"),
        (["backends", "--why", "nump"], "Did you mean 'numpy'?"),
        ([], "the following arguments are required: COMMAND"),
        (["backends", "--require", ","], "expected names with commas between, got ','"),
        (["bench", "--backends", ""], "expected names with commas between, got ''"),
    ],
)
def test_bad_input_exits_with_2_and_a_line_or_two(hhplug, arguments, message):
    code, output, errors = hhplug(*arguments)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.startswith("hhplug: ")
    assert errors.count("\n") <= 2


def test_a_recording_that_does_not_fit_exits_with_2_and_suggests_options(hhplug, tmp_path):
    with (
        patch("hhplug.running.memory_check.free_memory", return_value=10**5),
        patch("hhplug.running.memory_check.UNCHECKED_BYTES", 0),
    ):
        code, _, errors = hhplug(*SHORT, "--save", str(tmp_path / "a.npz"), "--duration", "200")
    assert code == 2
    assert errors.endswith("is free; use fewer --neurons or a shorter --duration\n")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (SHORT, "fewer --neurons or a shorter --duration"),
        (["bench", "--batch-sizes", "7"], "smaller --batch-sizes"),
    ],
)
def test_an_allocation_that_fails_exits_with_2(hhplug, arguments, advice):
    name = "--backend" if arguments is SHORT else "--backends"
    with patch("hhplug_numpy.backend.NumpySession.run", side_effect=MemoryError("no 9 GB")):
        code, _, errors = hhplug(*arguments, name, "numpy")
    assert (code, errors) == (2, f"hhplug: no memory: no 9 GB; use {advice}\n")


def test_an_unavailable_backend_exits_with_3(hhplug):
    with patch("hhplug_numpy.backend.cpu_name", side_effect=OSError("no CPU")):
        code, _, errors = hhplug(*SHORT, "--backend", "numpy")
    assert code == 3
    assert "backend 'numpy' cannot run here: [factory_failed] OSError: no CPU." in errors


def test_ctrl_c_exits_with_130(hhplug):
    with patch("hhplug_numpy.backend.NumpySession.run", side_effect=KeyboardInterrupt):
        assert hhplug(*SHORT, "--backend", "numpy")[::2] == (130, "hhplug: interrupted\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_characters_that_an_encoding_lacks_are_replaced(encoding):
    done = subprocess.run(
        [sys.executable, "-m", "hhplug", *SHORT, "--backend", "numpy"],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(rb" 86\.\d  \?{40}", done.stdout)


def test_files_are_written_even_if_standard_output_is_closed(tmp_path):
    script = 'exec "$0" -m hhplug run --neurons 7 --duration 1 --save "$1" >&-'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, str(tmp_path / "a.npz")], capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert load_result(tmp_path / "a.npz").V.shape == (100, 7)


@pytest.mark.parametrize("how", [["--json"], []])
def test_a_closed_standard_output_exits_with_1(how):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "hhplug", *SHORT, "--backend", "numpy", *how],
        env=os.environ
        | {"PYTHONUNBUFFERED": ""},  # so that output is written when the program ends
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_python_m_hhplug_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "hhplug", "run", "--dt", "0"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "hhplug: dt must be a positive number of ms, got 0.0\n"


def test_why_opens_the_backend_and_runs_it(hhplug, plugins):
    source = """
from hhplug.reference import ReferenceBackend
class Broken(ReferenceBackend):
    def prepare(self, problem, max_steps): raise OSError("no licence")
def opened(device): raise BackendUnavailable("no_chip", "there is no chip")
"""
    plugins.offer("toy")
    plugins.offer("broken", source, factory="broken:Broken")
    plugins.offer("absent", source, factory="absent:opened")
    assert hhplug("backends", "--why", "toy")[1].startswith("toy (toy 1.0): available; it has run")
    code, output, _ = hhplug("backends", "--why", "broken")
    assert code == 0
    assert "[run_failed] it was opened, and a run of 0.05 ms raised OSError: no licence" in output
    assert "in prepare" in output  # the traceback
    assert "[no_chip] there is no chip" in hhplug("backends", "--why", "absent")[1]
