"""The commands that run on stores."""

import json
from pathlib import Path

import numpy as np
import pytest
from device.host_problems import blocks_of
from scale import populations
from scale.cells import SEGMENT, N, assert_same, segments_of
from test_interruption import interrupting

from hhplug import Simulator, Stimulus, cli, open_result, simulate

RUN = ["run", "--neurons", str(N), "--duration", "2", "--dt", "0.05", "--backend", "reference"]


@pytest.mark.filterwarnings("ignore:.*a single spike:RuntimeWarning")
@pytest.mark.usefixtures("sigint_handler")
def test_hhplug_run_goes_on_from_its_store_after_ctrl_c(tmp_path, capsys):
    store = tmp_path / "run.zarr"
    expected = Simulator("reference").run(
        2.0, 0.05, stimulus=Stimulus.constant(np.linspace(0.0, 20.0, N))
    )
    with segments_of(SEGMENT), blocks_of(5):
        with interrupting(2):
            assert cli.main([*RUN, "--store", str(store)]) == 130
        output, errors = capsys.readouterr()
        assert errors == "hhplug: interrupted after 0.7 of 2 ms\n"
        assert "7 neurons, 0.7 ms in 14 steps" in output
        assert cli.main([*RUN, "--store", str(store)]) == 0
    # A long path is wrapped, perhaps within a word.
    assert f"wrote{store}" in "".join(capsys.readouterr().out.split())
    assert_same(open_result(store), expected)
    assert cli.main([*RUN, "--store", str(store), "--record-every", "2"]) == 2
    assert "run.zarr holds another run: it has record_every=1" in capsys.readouterr().err


def test_a_job_array_lays_out_a_store_and_computes_its_parts(tmp_path, capsys):
    store, file = str(tmp_path / "run.zarr"), f"{Path(populations.__file__)}:noisy"
    plan = [store, file, "--neurons", "2.3e1", "--shard", "6", "--backend", "reference"]
    with segments_of(SEGMENT):
        assert cli.main(["layout", *plan]) == 0
    assert "23 neurons in 4 shards, 40 steps in 3 segments" in capsys.readouterr().out
    advance = ["advance", store, "scale.populations:noisy", "--backend", "reference"]
    assert cli.main([*advance, "--part", "1/2"]) == 0
    assert "2 shards computed" in capsys.readouterr().out
    assert cli.main(["status", store]) == 0
    assert capsys.readouterr().out.endswith(
        "50.0% committed\n2 of 4 shards are complete, 0 under way\n"
    )
    assert cli.main([*advance, "--part", "0/2"]) == 0
    assert cli.main(["status", store, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.partition("computed\n")[2])
    assert (shown["neurons"], shown["steps"], shown["done"]) == (23, 40, 1.0)
    assert shown["shards"][3] == {"neurons": [18, 23], "segments_done": 3, "segments": 3}
    expected = simulate(populations.noisy(slice(0, populations.N)), "reference")
    assert_same(open_result(store), expected)
    other = ["advance", store, "scale.populations:counted", "--backend", "reference"]
    assert cli.main(other) == 2
    assert "holds another run: it has another stimulus" in capsys.readouterr().err


@pytest.mark.usefixtures("sigint_handler")
def test_a_part_that_is_interrupted_goes_on_with_the_same_command(tmp_path, capsys):
    store, population = str(tmp_path / "run.zarr"), "scale.populations:noisy"
    advance = ["advance", store, population, "--backend", "reference"]
    plan = ["layout", store, population, "--neurons", "23", "--backend", "reference"]
    with segments_of(SEGMENT), blocks_of(5):
        assert cli.main(plan) == 0
        with interrupting(2):
            assert cli.main(advance) == 130
        assert "hhplug: interrupted; the same command goes on" in capsys.readouterr().err
        assert open_result(store).problem.n_steps < 40
        assert cli.main(advance) == 0
    expected = simulate(populations.noisy(slice(0, populations.N)), "reference")
    assert_same(open_result(store), expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["layout", "{}", "scale.populations:noisi", "--neurons", "2"], "Did you mean 'noisy'"),
        (["layout", "{}", "noisy", "--neurons", "2"], "expected MODULE:NAME or FILE.py:NAME"),
        (["layout", "{}", "no_module:f", "--neurons", "2"], "No module named 'no_module'"),
        (["status", "{}"], "there is no store"),
        (["advance", "{}", "scale.populations:noisy"], "there is no store"),
    ],
)
def test_mistakes_on_the_command_line_are_answered_in_words(tmp_path, arguments, words, capsys):
    store = str(tmp_path / "none.zarr")
    assert cli.main([argument.format(store) for argument in arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--part=4/4", "--part=x", "--neurons=1.5", "--neurons=0"])
def test_a_part_or_a_number_that_cannot_be_is_refused(option, capsys):
    command = "advance" if "part" in option else "layout"
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "store", "module:f", option])
    assert stop.value.code == 2
    assert "expected" in capsys.readouterr().err
