"""`hhplug run`: what it prints, draws and saves."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from unittest.mock import patch

import numpy as np
import pytest
from command_line import SHORT

from hhplug import Simulator, Stimulus, load_result, membranes
from hhplug.features.definitions import FEATURES


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


def test_a_single_neuron_is_one_neuron(hhplug):
    short = "--duration", "10", "--current", "5", "--backend", "numpy"
    _, output, _ = hhplug("run", "--neurons", "1", *short)
    assert "1 neuron, 10 ms in 1,000 steps of 0.01 ms" in output
    assert ", 1 spike\n" in output


def test_a_range_may_begin_below_zero(hhplug):
    _, output, _ = hhplug(*SHORT, "--current=-5:1", "--json")
    np.testing.assert_allclose(json.loads(output)["current_uA_per_cm2"], np.linspace(-5, 1, 7))


@pytest.mark.filterwarnings("ignore:.* single spike:RuntimeWarning")
def test_run_takes_a_membrane_of_the_library_or_of_a_file(hhplug, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from hhplug.membranes import RS\nmine = RS.replace('mine', E_L=-75.0)\n")
    for name, parameters in (("RS", {}), (f"{file}:mine", {"E_L": -75.0})):
        code, output, _ = hhplug(*SHORT, "--backend", "numpy", "--membrane", name, "--json")
        summary = json.loads(output)
        assert code == 0
        assert summary["membrane"] == name.rpartition(":")[2]
        expected = Simulator("numpy", membrane=membranes.RS, parameters=parameters).run(
            80.0, stimulus=Stimulus.constant(np.linspace(0.0, 20.0, 7)), record=()
        )
        assert summary["spikes"] == expected.spike_count.sum() > 7


def test_an_unknown_membrane_is_refused_with_a_suggestion(hhplug):
    code, _, errors = hhplug(*SHORT, "--membrane", "LTSS")
    assert code == 2
    assert "no membrane 'LTSS' in the library, which has CS, FS, LTS, RS, WB, squid." in errors
    assert "Did you mean 'LTS'?" in errors


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
    assert rates.count(None) > 0 == json.loads(output)["invalid_neurons"]


@pytest.mark.parametrize("option", ["--plot", "--save"])
def test_a_folder_is_refused_as_an_output_file(hhplug, tmp_path, option):
    with patch("hhplug.cli.run.Simulator") as simulator:
        code, _, errors = hhplug(*SHORT, option, str(tmp_path))
    assert (code, errors) == (2, f"hhplug: {tmp_path} is a folder; give the name of a file\n")
    simulator.assert_not_called()


@pytest.mark.parametrize(("name", "format_"), [("fi.xyz", "xyz"), ("fi.v2", "v2"), ("fig", "")])
def test_a_plot_in_an_unknown_format_is_refused_before_the_run(hhplug, tmp_path, name, format_):
    path = tmp_path / name
    with patch("hhplug.cli.run.Simulator") as simulator:
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
        (
            "white_noise:0.5:18446744073709551615",
            "Stimulus.constant(10.0) + Stimulus.white_noise(0.5, seed=18446744073709551615)",
        ),
        (
            "ornstein_uhlenbeck:2",
            "Stimulus.ornstein_uhlenbeck(10.0, sigma=2.0, tau=3.0, seed=1)",
        ),
    ],
)
def test_a_stimulus_may_be_given_with_colons(hhplug, text, shown):
    code, output, _ = hhplug(*SHORT, "--current", "10", "--stimulus", text, "--json")
    assert code == 0
    assert json.loads(output)["stimulus"] == shown


def test_the_seed_of_noise_is_in_the_json(hhplug):
    noise = ("--stimulus", "ornstein_uhlenbeck:2:3:77")
    short = (*SHORT, "--duration", "5", "--current=-5", "--json")
    _, output, _ = hhplug(*short, *noise)
    assert json.loads(output)["noise_seeds"] == [77]
    _, output, _ = hhplug(*short)
    assert json.loads(output)["noise_seeds"] == []


def test_a_population_at_rest_has_a_line_without_a_bar(hhplug):
    code, output, _ = hhplug(*SHORT, "--backend", "numpy", "--current", "0")
    assert code == 0
    assert [line.split() for line in output.splitlines()[-2:]] == [
        ["I_ext", "(µA/cm²)", "rate", "(Hz)"],
        ["0.00", "0.0"],
    ]


@pytest.mark.filterwarnings("default")
def test_every_command_with_a_run_reports_invalid_neurons(hhplug):
    run = (*SHORT, "--backend", "numpy", "--current", "0:1e9")
    code, output, errors = hhplug(*run, "--json")
    rates = json.loads(output)["firing_rate_Hz"]
    lost = json.loads(output)["invalid_neurons"]
    assert code == 0
    assert errors.startswith(f"hhplug: warning: {lost} of 7 neurons became invalid")
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


def test_run_prints_features_of_a_window_and_keeps_no_trace(hhplug):
    window = "--window", "20:80"
    some = "--features", "spike_count,isi_cv"
    code, output, errors = hhplug(*SHORT, "--backend", "numpy", *some, *window)
    assert (code, errors) == (0, "")
    assert "Features from 20 to 80 ms:" in output
    (row,) = [line.split() for line in output.splitlines() if line.startswith("isi_cv")]
    every = "--features", "all", "--json"
    summary = json.loads(hhplug(*SHORT, "--backend", "numpy", *every, *window)[1])
    assert summary["feature_window_ms"] == [20.0, 80.0]
    assert set(summary["features"]) == set(FEATURES)
    expected = Simulator("numpy").run(
        80.0, stimulus=Stimulus.constant(np.linspace(0.0, 20.0, 7)), record=()
    )
    spikes = expected.spikes.neuron[expected.spikes.time >= 20.0]
    np.testing.assert_array_equal(summary["features"]["spike_count"], np.bincount(spikes, None, 7))
    known = [cv for cv in summary["features"]["isi_cv"] if cv is not None]
    assert 0 < len(known) < 7  # a silent neuron has no intervals
    shown = [f"{cv:.4g}" for cv in (min(known), np.mean(known), max(known))]
    assert row[1:] == [*shown, str(len(known))]


def test_run_refuses_unknown_features_and_windows(hhplug):
    code, _, errors = hhplug(*SHORT, "--features", "isi_vc")
    assert (code, "unknown feature 'isi_vc'" in errors) == (2, True)
    code, _, errors = hhplug(*SHORT, "--features", "V_max", "--window", "20")
    assert (code, "expected START:STOP in ms, got '20'" in errors) == (2, True)
