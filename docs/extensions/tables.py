"""Tables whose numbers stay whole: a browser would break 2.6e-15 after the hyphen."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

SHORT = 12  # characters of a cell that isn't broken into lines


def keep_short_cells_whole(_app: Sphinx, doctree: nodes.document) -> None:
    for cell in doctree.findall(nodes.entry):
        if len(cell.astext()) <= SHORT:
            cell["classes"].append("short")  # docs/static/hhplug.css


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", keep_short_cells_whole)
    return {"parallel_read_safe": True}
