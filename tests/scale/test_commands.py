"""The commands that run on stores."""

import json

import numpy as np
import pytest
from device.host_problems import blocks_of
from numpy.testing import assert_array_equal
from scale.cells import SEGMENT, N, assert_same, segments_of
from test_interruption import interrupting

from hhplug import Simulator, Stimulus, cli, open_result

RUN = ["run", "--neurons", str(N), "--duration", "2", "--dt", "0.05", "--backend", "reference"]


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
    assert f"wrote {store}" in capsys.readouterr().out
    assert_same(open_result(store), expected)
    assert cli.main([*RUN, "--store", str(store), "--record-every", "2"]) == 2
    assert "run.zarr holds another run: it has record_every=1" in capsys.readouterr().err
