"""The site that `asv publish` makes of the recorded results shows them, in a real browser.

These tests are skipped if a browser or npm is missing; with HHPLUG_REQUIRE_BROWSER=1 they fail.
"""

import os
import re
import subprocess
import sys

import pytest
from asv_runner.discovery import disc_benchmarks
from browser import SIZE, published
from matplotlib.image import imread
from programs import ProgramMissing, chromium, npm
from step_graph import drawn, measured, opened, take_picture

from benchmarks.tools.recorded import machines

BLANK = 20_000  # bytes; a picture of a blank page has 6,000, one with curves 100,000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    try:
        chromium()
        npm()
    except ProgramMissing as missing:
        if os.environ.get("HHPLUG_REQUIRE_BROWSER") == "1":
            raise
        pytest.skip(str(missing))
    with published(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize(
    ("required", "outcome"), [("", "1 skipped in "), ("1", "1 error in ")], ids=["", "required"]
)
def test_without_a_browser_a_page_test_is_skipped_unless_it_is_required(
    monkeypatch, tmp_path, required, outcome
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HHPLUG_REQUIRE_BROWSER", required)
    one_test = f"{__file__}::test_the_grid_shows_every_benchmark"
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-ra", one_test]
    report = subprocess.run(command, capture_output=True, text=True).stdout
    assert outcome in report
    assert re.search("chromium or .* is not on the path. Fix: apt-get install chromium", report)


@pytest.mark.parametrize("view", ["", "summarylist", "regressions"])
def test_every_page_opens_without_an_error(site, view):
    assert site.open(view).title() == "airspeed velocity of an unladen hhplug"


def test_the_grid_shows_every_benchmark(site):
    cells = site.open().locator(".benchmark-container").all()
    shown = {cell.get_attribute("href").removeprefix("#") for cell in cells}
    found = disc_benchmarks("benchmarks")
    assert shown == {benchmark.name for benchmark in found}


@pytest.mark.parametrize("machine", machines())
def test_every_machine_can_be_selected_and_has_a_curve_of_every_backend_measured_there(
    site, machine
):
    page = opened(site, machine)
    panel = page.locator('#graph-display .panel:has(.panel-heading:text-is("machine"))')
    assert sorted(panel.locator(".btn").all_inner_texts()) == machines()
    assert panel.locator(".btn.active").all_inner_texts() == [machine]
    assert drawn(page) == measured(machine)


def test_the_picture_is_of_a_whole_page_and_not_blank(site, tmp_path):
    picture = tmp_path / "asv.png"
    take_picture(site, picture)
    assert imread(picture).shape[:2] == (SIZE["height"], SIZE["width"])
    assert picture.stat().st_size > BLANK
