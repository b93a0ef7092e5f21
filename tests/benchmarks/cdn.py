"""Scripts that asv's pages load from content delivery networks, taken from npm's registry instead.

Tests can reach package registries only, and this repository keeps no code of others.
"""

import re
import subprocess
from pathlib import Path

from programs import npm

PACKAGES = (
    "blueimp-md5@2.19.0",
    "bootstrap@3.1.1",
    "flot@0.8.3",
    "flot-orderbars@1.0.0",
    "jquery@3.3.1",
    "stupid-table-plugin@1.1.3",
)
CDNJS = "https://cdnjs.cloudflare.com/ajax/libs"
BOOTSTRAP = "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist"
ORDERBARS = "https://cdn.jsdelivr.net/npm/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js"

SAME = {
    "https://code.jquery.com/jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    f"{CDNJS}/blueimp-md5/2.19.0/js/md5.min.js": "blueimp-md5/js/md5.min.js",
    f"{BOOTSTRAP}/css/bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
    f"{BOOTSTRAP}/js/bootstrap.min.js": "bootstrap/dist/js/bootstrap.min.js",
    ORDERBARS: "flot-orderbars/js/jquery.flot.orderBars.js",
}
"""Byte for byte, so that the pages' own hashes hold."""

# npm's flot is not minified, and its first stupidtable is 1.1.3, so their hashes differ.
STAND_INS = {
    f"{CDNJS}/flot/0.8.3/jquery.flot{part}.min.js": f"flot/jquery.flot{part}.js"
    for part in ("", ".categories", ".selection", ".time")
} | {f"{CDNJS}/stupidtable/1.0.1/stupidtable.min.js": "stupid-table-plugin/stupidtable.js"}


def fetched(folder: Path) -> dict[str, Path]:
    """Return the files by their address in the pages; npm unpacks them into the folder."""
    quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([npm(), "install", "--prefix", folder, *quietly, *PACKAGES], check=True)
    files = SAME | STAND_INS
    return {address: folder / "node_modules" / file for address, file in files.items()}


def without_hashes_of_stand_ins(html: str) -> str:
    for address in STAND_INS:
        html = re.sub(rf'("{re.escape(address)}") integrity="[^"]*"', r"\1", html)
    return html
