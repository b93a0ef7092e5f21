"""asv's graph of the time of a neuron-step over commits on one machine, with a curve per backend.

`python tests/benchmarks/step_graph.py docs/asv.png` takes a screenshot of it, for the machine that
has the most backends.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from browser import Site, published
from playwright.sync_api import Page

from benchmarks.contestants import BACKENDS
from benchmarks.step import Step
from benchmarks.tools.recorded import commits, machines, measurements

STEP = "step.Step.time_million_neuron_steps"
DTYPE, NEURONS = "float32", "10000"
CURVES = Path(__file__).with_name("curves.js").read_text(encoding="utf-8")
SHORT = 8  # digits of a commit's hash, as asv shows it

Curves = dict[str, set[str]]
"""By backend, the commits where it has a value."""


def measured(machine: str) -> Curves:
    found: Curves = {}
    for commit in commits(machine):
        known = measurements(machine, commit)
        for backend in BACKENDS:
            value = known.get((STEP, backend, DTYPE, NEURONS))
            if value and value.known and value.version == Step.version:
                found.setdefault(backend, set()).add(commit[:SHORT])
    return found


def opened(site: Site, machine: str) -> Page:
    """Open the graph of every backend on a logarithmic axis; asv's addresses have values' reprs."""
    backends = [("p-backend", repr(backend)) for backend in BACKENDS]
    choice = [("machine", machine), *backends, ("p-dtype", repr(DTYPE)), ("p-neurons", NEURONS)]
    return site.open(f"{STEP}?" + urlencode([*choice, ("y-axis-scale", "log")]))


def drawn(page: Page) -> Curves:
    found: Curves = {}
    for curve in page.evaluate(CURVES):
        shown = dict(part.split("-", 1) for part in curve["label"].split("; "))
        if curve["painted"] and curve["commits"]:
            found.setdefault(shown["backend"], set()).update(curve["commits"])
    return found


def take_picture(site: Site, path: Path) -> None:
    machine = max(machines(), key=lambda machine: len(measured(machine)))
    opened(site, machine).screenshot(path=path)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, published(Path(folder)) as site:
        take_picture(site, Path(sys.argv[1]))
