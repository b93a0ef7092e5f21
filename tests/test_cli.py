"""The command line, run in this process unless a test needs another."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from unittest.mock import patch

import numpy as np
import pytest

from hhplug import cli, load_result
from hhplug.plugins import discovery

SHORT = ["run", "--neurons", "7", "--duration", "80"]


@pytest.fixture
def hhplug(capsys):
    """Run the program; return its exit code, standard output and standard error."""

    def run(*arguments):
        try:
            code = cli.main(arguments)
        except SystemExit as exit_:  # argparse
            code = exit_.code
        return (code, *capsys.readouterr())

    return run


def test_run_prints_the_backend_the_device_the_speed_and_the_f_i_relation(hhplug):
    code, output, errors = hhplug(*SHORT, "--backend", "numpy")
    assert (code, errors) == (0, "")
    assert "7 neurons, 80 ms in 8,000 steps of 0.01 ms" in output
    assert "numpy float32 on " in output
    assert "neuron-steps/s" in output
    assert "I_ext (µA/cm²)" in output
    rows = [line.split() for line in output.splitlines() if line.strip().startswith(("0.00", "20"))]
    assert "Mean current and firing rate from 40 to 80 ms:" in output
    assert rows[0][:2] == ["0.00", "0.0"]
    # By DOP853, 86.47 Hz once settled.
    assert rows[-1][0] == "20.00"
    assert abs(float(rows[-1][1]) - 86.47) < 0.5


def test_a_range_may_begin_below_zero(hhplug):
    _, output, _ = hhplug(*SHORT, "--current=-5:1", "--json")
    np.testing.assert_allclose(json.loads(output)["current_uA_per_cm2"], np.linspace(-5, 1, 7))


def test_run_prints_json(hhplug):
    code, output, _ = hhplug(*SHORT, "--backend", "numpy", "--dtype", "float64", "--json")
    summary = json.loads(output)
    assert code == 0
    assert (summary["backend"], summary["dtype"], summary["steps"]) == ("numpy", "float64", 8000)
    np.testing.assert_allclose(summary["current_uA_per_cm2"], np.linspace(0, 20, 7))
    assert summary["rate_window_ms"] == [40.0, 80.0]
    # By DOP853, once settled: silent at 3.3, 68.3 at 10 and 86.5 Hz at 20 µA/cm².
    rates = summary["firing_rate_Hz"]
    np.testing.assert_allclose(np.array(rates)[[0, 1, 3, 6]], [0.0, 0.0, 68.3, 86.5], atol=0.5)
    assert summary["spikes"] > 20
    assert summary["valid"] == [True] * 7


def test_the_default_run_shows_the_onset_of_firing(hhplug):
    code, output, errors = hhplug("run", "--json", "--backend", "numba")
    summary = json.loads(output)
    current, rate = (np.array(summary[k]) for k in ("current_uA_per_cm2", "firing_rate_Hz"))
    assert (code, errors) == (0, "")
    # By DOP853: silent to 6.25, then 52.4 Hz at 6.3, 68.3 at 10 and 86.5 at 20 µA/cm².
    assert (rate[current <= 6.25] == 0.0).all()
    for at, expected in ((6.3, 52.4), (10.0, 68.3), (20.0, 86.5)):
        assert abs(np.interp(at, current, rate) - expected) < 1.0


@pytest.mark.parametrize("stimulus", ["step:20:60", "constant", "step:30:100"])
def test_the_printed_current_is_that_of_the_window_of_the_rate(hhplug, stimulus):
    _, output, _ = hhplug(
        *SHORT, "--neurons", "1", "--current", "30", "--stimulus", stimulus, "--json"
    )
    assert json.loads(output)["current_uA_per_cm2"] == [30.0]


@pytest.mark.filterwarnings("default")
def test_a_window_with_a_single_spike_is_reported_in_one_line(hhplug):
    code, output, errors = hhplug(*SHORT, "--duration", "20", "--json")
    rates = json.loads(output)["firing_rate_Hz"]
    assert code == 0
    assert errors.startswith(f"hhplug: warning: {rates.count(None)} of 7 neurons have a single")
    assert errors.count("\n") == 1
    assert rates.count(None) > 0 == json.loads(output)["neurons_that_blew_up"]


@pytest.mark.parametrize("option", ["--plot", "--save"])
def test_a_folder_is_refused_as_an_output_file(hhplug, tmp_path, option):
    with patch("hhplug.cli.Simulator") as simulator:
        code, _, errors = hhplug(*SHORT, option, str(tmp_path))
    assert (code, errors) == (2, f"hhplug: {tmp_path} is a folder; give the name of a file\n")
    simulator.assert_not_called()


@pytest.mark.parametrize(("name", "format_"), [("fi.xyz", "xyz"), ("fi.v2", "v2"), ("fig", "")])
def test_a_plot_in_an_unknown_format_is_refused_before_the_run(hhplug, tmp_path, name, format_):
    path = tmp_path / name
    with patch("hhplug.cli.Simulator") as simulator:
        code, _, errors = hhplug(*SHORT, "--plot", str(path))
    assert code == 2
    assert errors.startswith(f"hhplug: cannot draw '{path}': Format '{format_}' is not supported")
    assert " png, " in errors
    simulator.assert_not_called()


def test_run_plots_and_saves(hhplug, tmp_path):
    plot, saved = tmp_path / "a.png", tmp_path / "a.npz"
    code, output, _ = hhplug(*SHORT, "--plot", str(plot), "--save", str(saved))
    assert code == 0
    assert "a.png" in output
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert load_result(saved).V.shape == (8000, 7)


def test_record_every_thins_what_is_saved_and_drawn(hhplug, tmp_path):
    every, some = tmp_path / "every.npz", tmp_path / "some.npz"
    hhplug(*SHORT, "--save", str(every))
    code, _, errors = hhplug(*SHORT, "--save", str(some), "--record-every", "30")
    assert (code, errors) == (0, "")
    every, some = load_result(every), load_result(some)
    np.testing.assert_array_equal(some.V, every.V[::30])
    np.testing.assert_array_equal(some.time, every.time[::30])
    np.testing.assert_array_equal(some.spikes.time, every.spikes.time)
    with patch("hhplug.results.plotting.plot") as plot:
        hhplug(*SHORT, "--plot", str(tmp_path / "a.png"), "--record-every", "30")
    np.testing.assert_array_equal(plot.call_args.args[0].time, some.time)


def on_a_terminal(*arguments, stdout=False):
    """Run the program with a terminal as standard error; return its standard output and error."""
    import pty

    shown, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hhplug", *SHORT, "--backend", "numpy", *arguments],
        stdout=terminal if stdout else subprocess.PIPE,
        stderr=subprocess.PIPE if stdout else terminal,
        env=os.environ | {"TERM": "xterm"},
    ) as process:
        os.close(terminal)
        piped = (process.stderr if stdout else process.stdout).read()
        written = b""
        with suppress(OSError):  # Linux raises it when the other end is closed
            while piece := os.read(shown, 4096):
                written += piece
    os.close(shown)
    return piped.decode(), written.decode()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_bar_is_shown_on_standard_error_if_it_is_a_terminal():
    output, shown = on_a_terminal("--json")
    assert json.loads(output)["neurons"] == 7
    assert "simulating" in shown
    assert on_a_terminal("--no-progress", "--json")[1] == ""


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_for_standard_output_alone_shows_no_bar():
    errors, shown = on_a_terminal(stdout=True)
    assert errors == ""
    assert "simulating" not in shown


def test_progress_can_be_requested_if_standard_error_is_no_terminal(hhplug):
    assert hhplug(*SHORT, "--json")[2] == ""
    code, output, errors = hhplug(*SHORT, "--progress", "--json")
    assert code == 0
    assert json.loads(output)["neurons"] == 7
    assert errors.endswith("\rsimulating 100%\n")


@pytest.mark.filterwarnings("ignore:. of 7 neurons have a single spike")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("constant", "Stimulus.constant(10.0)"),
        ("step", "Stimulus.step(10.0, start=8.0, stop=72.0)"),
        ("step:1:3.5", "Stimulus.step(10.0, start=1.0, stop=3.5)"),
        ("pulse_train", "Stimulus.pulse_train(10.0, start=8.0, width=1.6, period=8.0, count=8)"),
        (
            "pulse_train:1:2:3:4",
            "Stimulus.pulse_train(10.0, start=1.0, width=2.0, period=3.0, count=4)",
        ),
        ("ramp", "Stimulus.ramp(0.0, last=10.0, start=0.0, stop=80.0)"),
        ("sine:80", "Stimulus.sine(10.0, frequency=80.0, phase=0.0, offset=0.0)"),
    ],
)
def test_stimuli_are_written_with_colons(hhplug, text, shown):
    code, output, _ = hhplug(*SHORT, "--current", "10", "--stimulus", text, "--json")
    assert code == 0
    assert json.loads(output)["stimulus"] == shown


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
        (["run", "--stimulus", "step:295"], "'step:295' are fitted to 300 ms: give all"),
        (["run", "--stimulus", "pulse_train:0:1:10:nan"], "takes finite numbers after"),
        (["run", "--stimulus", "pulse_train:0:1:10:1e400"], "takes finite numbers after"),
        (["run", "--stimulus", "pulse_train:0:1:10:2.9"], "takes a whole number of pulses, got"),
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
        patch("hhplug.running.memory_check.UNASKED", 0),
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


def test_backends_lists_names_status_and_origin(hhplug):
    code, output, _ = hhplug("backends")
    assert code == 0
    lines = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    assert "available" in lines["numpy"]
    assert "hhplug-numpy 0." in lines["numpy"]
    assert "available" in lines["reference"]


def test_backends_prints_json(hhplug):
    listed = {entry["name"]: entry for entry in json.loads(hhplug("backends", "--json")[1])}
    assert listed["numpy"]["status"] == "available"
    assert listed["numpy"]["dtypes"] == ["float32", "float64"]
    assert listed["reference"]["distribution"] == "hhplug"


def test_backends_require_exits_with_3_if_one_is_missing(hhplug):
    assert hhplug("backends", "--require", "numpy,reference")[0] == 0
    code, _, errors = hhplug("backends", "--require", "numpy,abacus")
    assert code == 3
    assert "no backend 'abacus'; known: " in errors


def test_backends_why_prints_the_whole_cause(hhplug, monkeypatch, tmp_path):
    (tmp_path / "broken.py").write_text("def unfinished(:\n")
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hhplug]\nbroken = broken\n")
    monkeypatch.syspath_prepend(tmp_path)
    discovery.forget()
    try:
        code, output, _ = hhplug("backends", "--why", "broken")
    finally:
        discovery.forget()
    assert code == 0
    assert "[load_failed] importing the plugin raised SyntaxError" in output
    assert "def unfinished(:" in output  # the traceback


def test_bench_compares_backends(hhplug):
    arguments = ["bench", "--n-runs", "1", "--batch-sizes", "1", "10"]
    code, output, _ = hhplug(*arguments, "--backends", "reference", "numpy")
    assert code == 0
    assert "speed-up over reference" in " ".join(output.split())
    measured = json.loads(hhplug(*arguments, "--backends", "numpy", "reference", "--json")[1])
    assert [(m["backend"], m["neurons"]) for m in measured] == [
        ("numpy", 1), ("reference", 1), ("numpy", 10), ("reference", 10),
    ]  # fmt: skip
    for m in measured:
        speed = m["neurons"] * m["steps"] / m["seconds"]
        assert m["neuron_steps_per_second"] == pytest.approx(speed)
    assert measured[1]["speedup"] == pytest.approx(measured[0]["seconds"] / measured[1]["seconds"])


@pytest.mark.parametrize(
    "backends", [["numpy,reference"], ["numpy", "reference"], ["numpy, reference"]]
)
def test_backends_to_bench_are_listed_with_commas_or_spaces(hhplug, backends):
    code, output, _ = hhplug(
        "bench", "--n-runs", "1", "--batch-sizes", "1", "--json", "--backends", *backends
    )
    assert code == 0
    assert [m["backend"] for m in json.loads(output)] == ["numpy", "reference"]


def test_bench_takes_the_backends_that_have_the_dtype(hhplug, plugins, monkeypatch):
    monkeypatch.setenv(discovery.DISABLE, "numba,triton,pycuda")
    plugins.offer("toy", dtypes=("float32",))
    arguments = ["bench", "--n-runs", "1", "--batch-sizes", "1", "--json"]
    by_dtype = {
        dtype: {m["backend"] for m in json.loads(hhplug(*arguments, "--dtype", dtype)[1])}
        for dtype in ("float32", "float64")
    }
    assert by_dtype == {"float32": {"numpy", "toy"}, "float64": {"numpy", "reference"}}


@pytest.mark.usefixtures("plugins")
def test_bench_without_a_backend_that_has_the_dtype_exits_with_3(hhplug, monkeypatch):
    monkeypatch.setenv(discovery.DISABLE, "all")
    code, _, errors = hhplug("bench", "--dtype", "float32")
    assert code == 3
    assert "[none_available] no backend can run in float32." in errors


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_characters_that_an_encoding_lacks_are_replaced(encoding):
    done = subprocess.run(
        [sys.executable, "-m", "hhplug", *SHORT, "--backend", "numpy"],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(rb" 86\.\d  \?{40}", done.stdout)


def test_a_population_at_rest_has_a_line_without_a_bar(hhplug):
    code, output, _ = hhplug(*SHORT, "--backend", "numpy", "--current", "0")
    assert code == 0
    assert [line.split() for line in output.splitlines()[-2:]] == [
        ["I_ext", "(µA/cm²)", "rate", "(Hz)"],
        ["0.00", "0.0"],
    ]


@pytest.mark.filterwarnings("default")
def test_every_command_with_a_run_reports_neurons_that_blow_up(hhplug):
    run = (*SHORT, "--backend", "numpy", "--current", "0:1e9")
    code, output, errors = hhplug(*run, "--json")
    rates = json.loads(output)["firing_rate_Hz"]
    lost = json.loads(output)["neurons_that_blew_up"]
    assert code == 0
    assert errors.startswith(f"hhplug: warning: {lost} of 7 neurons became NaN")
    assert errors.count("\n") == 1
    assert 1 < lost == sum(rate is None for rate in rates) < 7
    _, output, _ = hhplug(*run)
    assert [line.split()[1] for line in output.splitlines()[-lost:]] == ["nan"] * lost


def test_a_plot_and_a_result_may_not_have_the_same_file(hhplug, tmp_path):
    code, _, errors = hhplug(
        *SHORT, "--plot", str(tmp_path / "a.svg"), "--save", str(tmp_path / "b/../a.svg")
    )
    assert (code, errors) == (
        2,
        f"hhplug: --plot and --save would both write {tmp_path / 'a.svg'}; name two files\n",
    )


def test_a_closed_standard_output_keeps_no_file_from_being_written(tmp_path):
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
