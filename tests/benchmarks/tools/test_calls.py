"""The table of whole calls."""

import re
import sys
from unittest.mock import patch

from benchmarks.tools import calls


def test_the_table_has_a_line_for_each_size_and_a_speed_for_each_recording(capsys):
    small = {"SIZES": ((50, 20), (1, 30)), "RECORDED": ((50, 20, 10),), "CALLS": 1}
    with (
        patch.multiple(calls, **small),
        patch.object(sys, "argv", ["calls", "numpy"]),
    ):
        calls.main()
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines if "×" in line][1:]
    assert [row[:2] for row in rows] == [
        [size, kind]
        for size in ("| 50 × 20", "| 1 × 30")
        for kind in ("times", "counts", "all features")
    ]
    for *_, call, own, run in rows:
        assert float(call.removesuffix(" ms")) > 0.0
        assert 0.0 < float(run.removesuffix(" ms |")) < 10.0 * float(own.removesuffix(" ms"))
    assert re.fullmatch(
        r"V of every 10 steps of 50 neurons: [\d.]+ GB/s, "
        r"and [\d.]+ GB/s while earlier results are kept",
        lines[-1],
    )
