"""`hhplug backends` and `hhplug bench`."""

import json

import pytest

from hhplug.plugins import discovery


def test_backends_lists_names_status_and_origin(hhplug):
    code, output, _ = hhplug("backends")
    assert code == 0
    lines = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    assert "available" in lines["numpy"]
    assert "hhplug-numpy 0." in lines["numpy"]
    assert "available" in lines["reference"]
    assert " any " in lines["numpy"]


@pytest.mark.parametrize(("columns", "told"), [(80, False), (160, True)])
def test_only_a_wide_terminal_shows_what_a_backend_is(hhplug, monkeypatch, columns, told):
    monkeypatch.setenv("COLUMNS", str(columns))
    output = hhplug("backends")[1]
    assert ("cache-sized blocks" in output) == told
    assert len(output.partition("\n\n")[0].splitlines()) == 1 + len(discovery.backends())


def test_backends_prints_json(hhplug):
    listed = {entry["name"]: entry for entry in json.loads(hhplug("backends", "--json")[1])}
    assert listed["numpy"]["status"] == "available"
    assert listed["numpy"]["dtypes"] == ["float32", "float64"]
    assert listed["reference"]["distribution"] == "hhplug"
    assert listed["numpy"]["membranes"] == "any"


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
