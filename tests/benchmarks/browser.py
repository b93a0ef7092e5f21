"""The site that `asv publish` makes of recorded results, open in a headless Chromium."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cdn import fetched, without_hashes_of_stand_ins
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, sync_playwright
from programs import chromium

from benchmarks.tools.configuration import configuration
from benchmarks.tools.recorded import RESULTS, machines

SIZE = {"width": 1280, "height": 1000}
FLAGS = (
    "--no-sandbox",  # Chromium's sandbox does not work for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# On a busy machine the network may be idle between two of asv's requests.
LOADED = "() => $.asv.main_json && $.active === 0"


class BrokenPage(Exception):
    """A page has an error on its console."""


class Site:
    def __init__(self, context: BrowserContext, address: str):
        self._context, self._address = context, address

    def open(self, view: str = "") -> Page:
        """Open the grid, "summarylist", "regressions" or a benchmark, and wait for its data."""
        errors: list[str] = []

        def heed(message: ConsoleMessage) -> None:
            if message.type == "error":
                errors.append(f"{message.text} ({message.location['url']})")

        page = self._context.new_page()
        page.on("console", heed)
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            page.goto(f"{self._address}/#{view}", wait_until="networkidle")
            if not errors:
                page.wait_for_function(LOADED)
        finally:
            if errors:
                raise BrokenPage(f"#{view}: " + "; ".join(errors))
        return page


@contextmanager
def published(folder: Path, results: Path = RESULTS) -> Iterator[Site]:
    """Publish the site of the results, and write all its files into the folder."""
    if not machines(results):
        raise FileNotFoundError(f"no recorded results in {results}")
    files = fetched(folder)

    def from_npm(route: Route) -> None:
        if route.request.url in files:
            headers = {"Access-Control-Allow-Origin": "*"}
            route.fulfill(path=files[route.request.url], headers=headers)
        else:
            route.abort()

    with (
        served(publish(folder, results)) as address,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=FLAGS) as browser,
    ):
        context = browser.new_context(viewport=SIZE)
        context.route(lambda url: not url.startswith(address), from_npm)
        yield Site(context, address)


def publish(folder: Path, results: Path) -> Path:
    """Return the folder with the site that asv made of the machines that are kept."""
    html, kept = folder / "html", folder / "results"
    for name in ("benchmarks.json", *machines(results)):
        copy = shutil.copytree if (results / name).is_dir() else shutil.copy
        kept.mkdir(exist_ok=True)
        copy(results / name, kept / name)
    written = configuration(folder, results_dir=kept, html_dir=html)
    asv = [sys.executable, "-m", "asv", "publish", "--no-pull", "--config", written]
    subprocess.run(asv, check=True)
    index = html / "index.html"
    page = without_hashes_of_stand_ins(index.read_text(encoding="utf-8"))
    index.write_text(page, encoding="utf-8")
    return html


@contextmanager
def served(html: Path) -> Iterator[str]:
    """Serve these files, and return the address of the server."""
    handler = partial(SimpleHTTPRequestHandler, directory=html)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
