"""Pages of the site that are documents of the repository, such as the guide for backends.

In place of the line `{{ document PATH }}`, a page has the document at that path in the repository,
or with `{{ document PATH#HEADING }}` the part of it below that heading, or with
`{{ table PATH#TEXT }}` the first table below that text. Links to another document
go to its page, and other links into the repository become plain code.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
PAGE_OF = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "plugins/README.md": "write-a-backend.md",
    "benchmarks/README.md": "speed.md",
    **{
        f"plugins/hhplug-{name}/README.md": f"start/hhplug-{name}.md"
        for name in ("numpy", "numba", "triton", "pycuda")
    },
}
MARK = re.compile(r"^\{\{ (document|table) ([^#\s]+)(?:#([^}]+))? \}\}$", re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
FILE = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCED_OR_COMMANDS = re.compile(r"^```.*?^```$|(?:^    [^\n]*\n)+", re.DOTALL | re.MULTILINE)


def part_of(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}$\n", text, re.MULTILINE)
    if not found:
        raise LookupError(f"there is no heading {heading!r}")
    rest = text[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def table_below(text: str, words: str) -> str:
    """Return the first table below these words."""
    _, found, rest = text.partition(words)
    table = TABLE.search(rest)
    if not found or not table:
        raise LookupError(f"there is no table below {words!r}")
    return table[0]


def document(kind: str, path: str, part: str | None, page: str) -> str:
    """Return a document of the repository in Markdown, with links that hold on the page.

    kind: "document" or "table". part: the heading or the words above the part that is wanted.
    """
    folder = (ROOT / path).parent

    def link(found: re.Match[str]) -> str:
        is_picture, text, target, anchor = found.groups()
        there = (folder / target).resolve().relative_to(ROOT).as_posix()
        up = "../" * page.count("/")
        if is_picture:
            return f"![{text}]({up}{Path(there).relative_to('docs')})"
        if there in PAGE_OF:
            return f"[{text}]({up}{PAGE_OF[there]}{anchor or ''})"
        return f"`{there}`" if text in (there, Path(there).name, f"`{there}`") else f"{text}"

    text = (ROOT / path).read_text(encoding="utf-8")
    if part:
        text = table_below(text, part) if kind == "table" else part_of(text, part)
    text = FILE.sub(r"```{code-block} \1\n:caption: \2\n\n\3```", text)
    text = FENCED_OR_COMMANDS.sub(lambda found: _fenced(found[0]), text)
    return LINK.sub(link, text)


def _fenced(lines: str) -> str:
    """Return indented commands as a block of shell code, and a fenced block as it is."""
    if lines.startswith("```"):
        return lines
    return "```sh\n" + re.sub("^    ", "", lines, flags=re.MULTILINE) + "```\n"


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    def expanded(mark: re.Match[str]) -> str:
        kind, path, part = mark.groups()
        app.env.note_dependency(str(ROOT / path))
        return document(kind, path, part, docname)

    source[0] = MARK.sub(expanded, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", expand)
    return {"parallel_read_safe": True}
