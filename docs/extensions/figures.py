"""Pictures of the tutorials: those of pyplot, and the figures that hhplug returns."""

from typing import Any

from sphinx_gallery.scrapers import figure_rst, matplotlib_scraper

from hhplug.figure import Figure


def figures(block: Any, variables: dict[str, Any], gallery: dict[str, Any]) -> str:
    """Save the figures of a block of code, and return the RST that shows them.

    hhplug's figures don't belong to pyplot. One is shown if it is the value of the last line.
    """
    last = variables["example_globals"].get("___")
    if not isinstance(last, Figure):
        return matplotlib_scraper(block, variables, gallery)
    path = next(variables["image_path_iterator"])
    last.savefig(path, dpi=100)
    return figure_rst([path], gallery["src_dir"], last.get_suptitle())
