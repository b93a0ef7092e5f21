"""The site that `asv publish` makes of the recorded results shows them, in a real browser."""

import pytest
from asv_runner.discovery import disc_benchmarks
from browser import SIZE, published
from matplotlib.image import imread
from step_graph import drawn, measured, opened, take_picture

from benchmarks.recorded import machines

BLANK = 20_000  # bytes; a blank page of that size takes 6,000, one with curves 100,000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with published(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize("view", ["", "summarylist", "regressions"])
def test_every_page_opens_without_an_error(site, view):
    assert site.open(view).title() == "airspeed velocity of an unladen hhplug"


def test_the_grid_shows_every_benchmark_of_the_suite(site):
    cells = site.open().locator(".benchmark-container").all()
    shown = {cell.get_attribute("href").removeprefix("#") for cell in cells}
    suite = disc_benchmarks("benchmarks.suite")
    assert shown == {benchmark.name.removeprefix("suite.") for benchmark in suite}


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
