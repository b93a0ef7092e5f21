"""The tables and pictures agree with the recorded results."""

import json
import math
from itertools import product

import pytest

from benchmarks.tools import measure_in_place, pictures, recorded, tables

MACHINES = recorded.machines()


@pytest.mark.parametrize("file", tables.FILES, ids=lambda file: str(file.relative_to(tables.TOP)))
def test_tables_are_those_of_the_recorded_results(file):
    text = file.read_text(encoding="utf-8")
    assert tables.MARKED.search(text)
    assert tables.written(text) == text, "run python -m benchmarks.tools.tables"


def test_a_table_that_is_out_of_date_is_detected():
    text = tables.FILES[0].read_text(encoding="utf-8")
    name = tables.MARKED.search(text)[2]
    assert tables.written(f"<!-- table {name} -->\nold\n<!-- end -->") != text


def test_every_machine_has_its_table():
    names = {mark[2] for mark in tables.MARKED.finditer(tables.FILES[1].read_text("utf-8"))}
    assert names == {"history", *MACHINES}


@pytest.mark.parametrize("curve", [pictures.speeds, pictures.work_precision])
def test_a_picture_has_every_backend_that_was_measured(curve):
    expected = {}
    for machine in MACHINES:
        found = recorded.newest(machine)
        for name, dtype in product(pictures.BACKENDS + pictures.PEERS, pictures.DTYPES):
            if curve(found, name, dtype):
                expected.setdefault(machine, set()).add(f"{name} {dtype}")
    figure = pictures.picture(curve, "x", "y", recorded.RESULTS)
    drawn = {ax.get_title(): {line.get_label() for line in ax.lines} for ax in figure.axes}
    assert expected
    assert drawn == expected
    assert all(ax.get_legend() for ax in figure.axes)


def test_a_value_known_in_one_of_two_environments_is_kept(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "machine.json").write_text('{"machine": "m", "version": 1}')
    for name, value in (("a", 0.25), ("b", float("nan"))):
        write_result(tmp_path / "m" / f"{'0' * 8}-{name}.json", name, value)
    found = recorded.measurements("m", "0000", tmp_path)
    assert found["topic.time_it", "numpy"].value == 0.25


@pytest.mark.parametrize(
    ("value", "version", "expected"),
    [
        (2.0, "1", (2.0, "1" * 40)),
        (math.nan, "1", (0.25, "0" * 40)),  # left out
        (math.nan, "2", None),  # the benchmark has another version now
        (None, "1", None),  # failed
    ],
)
def test_a_benchmark_left_out_by_the_newest_commit_has_the_previous_value(
    tmp_path, value, version, expected
):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "machine.json").write_text('{"machine": "m", "version": 1}')
    write_result(tmp_path / "m" / "0-a.json", "a", 0.25)
    write_result(tmp_path / "m" / "1-a.json", "a", value, "1", version)
    found = recorded.newest_by_commit("m", tmp_path)
    assert found.get(("topic.time_it", "numpy")) == expected


def test_an_unknown_commit_raises_LookupError(tmp_path):
    with pytest.raises(LookupError, match="no results of commit abc on 'm'; there are: none"):
        recorded.measurements("m", "abc", tmp_path)


def test_results_measured_in_place_do_not_contain_the_path_of_python(tmp_path, monkeypatch):
    monkeypatch.setattr(measure_in_place.sys, "executable", "/opt/secret/bin/python3")
    version = f"{measure_in_place.sys.version_info.major}.{measure_in_place.sys.version_info.minor}"
    mine = tmp_path / "abcdef12-existing-py_opt_secret_bin_python3.json"
    public = tmp_path / f"abcdef12-existing-py{version}.json"
    for _ in range(2):
        with measure_in_place.the_path_of_python_kept_out(tmp_path, "abcdef1234"):
            assert not public.exists()  # within, asv finds its own file and adds to it
            runs = json.loads(mine.read_text())["runs"] if mine.exists() else 0
            python = {"python": "/opt/secret/bin/python3", "env_name": mine.stem[9:]}
            mine.write_text(json.dumps(python | {"runs": runs + 1}))
        assert not mine.exists()
        assert "secret" not in public.read_text()
    assert json.loads(public.read_text())["runs"] == 2


def write_result(path, env_name, value, commit="0", version="1"):
    """Write a result file of asv with one benchmark."""
    path.write_text(
        json.dumps(
            {
                "version": 2,
                "commit_hash": commit * 40,
                "env_name": env_name,
                "date": int(commit),
                "params": {"machine": "m"},
                "python": "3.11",
                "requirements": {},
                "env_vars": {},
                "result_columns": ["result", "params", "version"],
                "results": {"topic.time_it": [[value], [["'numpy'"]], version]},
                "durations": {},
            }
        )
    )


def test_values_of_older_commits_are_named_by_backend_or_by_cell():
    step, rate = "step.Step.time_it", "accuracy.RateError.track_rate"
    given = {
        (step, "triton", "float32", "1"): "new",
        (step, "triton", "float32", "8"): "old",
        (step, "pycuda", "float32", "1"): "old",
        (step, "pycuda", "float32", "8"): "old",
        (rate, "triton", "float32"): "older",
        ("start.Package.time_import",): "new",
    }
    assert tables.which_are_of(given) == {
        "new": ["Step(triton, float32, 1)"],
        "old": ["Step(triton, float32, 8)", "Step(pycuda)"],
        "older": ["RateError(triton)"],
    }
