"""Check the site in docs/site, which docs/build.py has made.

Every link within it leads somewhere, and no text is broken. In a browser every page opens without
an error, at the width of a desk and of a phone, loads nothing from elsewhere, and fits a phone. The
search finds pages.
`--pictures FOLDER` keeps pictures of a few pages.
"""

import argparse
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

DOCS = Path(__file__).parent
SITE = DOCS / "site"
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "tests" / "benchmarks")]

from browser import FLAGS, served  # noqa: E402
from programs import chromium  # noqa: E402

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
PICTURED = ("index.html", "gallery/fi_curve.html", "reference/simulating.html",
            "start/which-backend.html", "speed.html")  # fmt: skip
SOUGHT = {"rheobase": "gallery/strength_duration", "ornstein_uhlenbeck": "reference/currents"}
LISTINGS = "_modules/"  # pages of source code, of which one is opened in the browser
A_LISTING = "_modules/hhplug/backend.html"
# Elements that begin where no scrolling leads.
CUT_OFF = """[...document.querySelectorAll(".bd-article :is(math, table, pre, img)")]
    .filter(element => element.getBoundingClientRect().left < 0).map(element => element.tagName)"""
ASV = "asv"  # its pages are made by a script, and tests/benchmarks/test_site.py has their tests


class Anchors(HTMLParser):
    """The ids of a page, and the addresses to which it links or from which it loads."""

    def __init__(self, file: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def pages() -> list[str]:
    files = (file.relative_to(SITE) for file in SITE.rglob("*.html"))
    return sorted(file.as_posix() for file in files if file.parts[0] not in (ASV, "_static"))


def broken_links() -> Iterator[str]:
    """Yield a line for each link within the site that leads nowhere."""
    known: dict[Path, Anchors] = {}
    for name in pages():
        page = SITE / name
        known.setdefault(page, Anchors(page))
        for link in known[page].links:
            address, anchor = urldefrag(link)
            if urlsplit(link).scheme:
                continue
            target = (page.parent / unquote(address.partition("?")[0])) if address else page
            target = target.resolve()
            if not target.is_file():
                yield f"{name}: {link} doesn't exist"
            elif anchor and target.suffix == ".html" and ASV not in target.parts:
                known.setdefault(target, Anchors(target))
                if unquote(anchor) not in known[target].ids:
                    yield f"{name}: {link} has no such anchor"


def broken_text() -> Iterator[str]:
    """Yield a line for each page with rows of a table outside it, or a path of this machine."""
    for name in pages():
        text = (SITE / name).read_text(encoding="utf-8")
        if "<p>|" in text:
            yield f"{name}: has rows of a table outside it"
        if str(DOCS.parent) in text:
            yield f"{name}: names the folder {DOCS.parent}, which readers don't have"


def opened(page: Page, address: str, name: str) -> list[str]:
    """Open a page, and return what went wrong: errors of scripts, failed or foreign requests."""
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"{request.url} failed"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:"))
            else wrong.append(f"{request.url} is elsewhere")
        ),
    )
    page.goto(f"{address}/{name}", wait_until="load")
    return wrong


def broken_pages(browser: Browser, address: str, pictures: Path | None) -> Iterator[str]:
    names = [name for name in pages() if not name.startswith(LISTINGS) or name == A_LISTING]
    if (SITE / ASV).exists():
        names.append(f"{ASV}/index.html")
    for name in names:
        page = browser.new_page()
        yield from (f"{name}: {what}" for what in opened(page, address, name))
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width and not name.startswith(ASV):
                yield f"{name}: is {wide} pixels wide on a {size}, which has {width}"
            for element in page.evaluate(CUT_OFF):
                yield f"{name}: on a {size} a {element} begins left of the page, out of reach"
            if pictures and name in PICTURED:
                file = f"{name.removesuffix('.html').replace('/', '-')}-{size}.png"
                page.screenshot(path=pictures / file)
        page.close()


def failed_searches(browser: Browser, address: str) -> Iterator[str]:
    for word, expected in SOUGHT.items():
        page = browser.new_page()
        yield from opened(page, address, f"search.html?q={word}")
        page.wait_for_selector("#search-results li a", timeout=10_000)
        found = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
        if not any(expected in link for link in found):
            yield f"a search for {word} doesn't find {expected}, but {found}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    wrong = [*broken_links(), *broken_text()]
    with (
        served(SITE) as address,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=FLAGS) as browser,
    ):
        wrong += broken_pages(browser, address, options.pictures)
        wrong += failed_searches(browser, address)
    print(*wrong, f"{len(pages())} pages, {len(wrong)} mistakes", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
