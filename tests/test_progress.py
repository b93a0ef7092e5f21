"""The progress of a run is reported to a function or written to standard error."""

import re
import sys

import pytest
import rich

from hhplug import InvalidInput, Simulator
from hhplug.running.progress import reporter


def test_progress_rises_to_one():
    fractions = []
    Simulator("numpy").run(T=5.0, batch_size=3, progress=fractions.append)
    assert len(fractions) > 1
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


LINE_WRITTEN_OVER = r"(\rsimulating  *\d+%)*\rsimulating 100%\n"


def test_progress_is_a_line_on_standard_error_if_no_bar_can_be_drawn(capsys):
    Simulator("numpy").run(T=5.0, batch_size=3, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(LINE_WRITTEN_OVER, err)


def test_the_line_is_written_when_the_percentage_changes_and_ends_with_the_run(capsys):
    with reporter(True) as report:
        for done in (0.5, 0.501, 0.502, 0.6):
            report(done)
    assert capsys.readouterr().err == "\rsimulating  50%\rsimulating  60%\n"


def test_progress_that_is_neither_a_flag_nor_a_function_is_refused():
    with pytest.raises(InvalidInput, match="progress must be None, True or a function"):
        Simulator("numpy").run(T=0.1, progress="loud")


def test_progress_in_a_notebook_without_widgets_is_a_line_that_is_overwritten(monkeypatch, capsys):
    monkeypatch.setattr(rich.get_console(), "is_jupyter", True)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    Simulator("numpy").run(T=5.0, batch_size=3, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(LINE_WRITTEN_OVER, err)
