"""The documents for users whose Python is run: README.md and the pages of the site."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md")))


def text_of(document):
    return (ROOT / document).read_text(encoding="utf-8")


def blocks_of(document, language):
    """Return the code of a language in a document, without the files of the generated plugin."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text_of(document), re.DOTALL | re.MULTILINE)
    return list(found)


# tests/scale/test_docs.py runs the code of docs/scale.md, which needs files and a cluster.
WITH_PYTHON = tuple(page for page in PAGES if blocks_of(page, "python") and page != "docs/scale.md")
