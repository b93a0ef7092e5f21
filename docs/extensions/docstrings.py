"""Docstrings of hhplug, which are written as plain text with Markdown's backticks, as Sphinx's RST.

A paragraph of lines "name: what it is", whose further lines are indented, becomes a list of
definitions. A paragraph that begins with >>> stays as it is: it is an example, which the tests run.
Names in single backticks become links where the site documents them, by Sphinx's default role.
"""

import inspect
import re
from typing import Any

from sphinx.application import Sphinx

ARGUMENT = re.compile(r"(\w+(?:, \w+)*): (.*)")
MARKUP = re.compile(r"(?<!\\)([*|]|(?<=\w)_(?!\w))")  # characters to which RST gives a meaning
CODE = re.compile(r"(`[^`]+`)")
SIMPLE_NAME = re.compile(r"`[A-Za-z_][\w.]*`")


def escaped(line: str) -> str:
    """Return a line of text in which RST finds no markup but backticks.

    Backticks around anything but a name become a literal, which RST leaves alone.
    """
    parts = CODE.split(line)
    for i, part in enumerate(parts):
        if not part.startswith("`"):
            parts[i] = MARKUP.sub(r"\\\1", part)
        elif not SIMPLE_NAME.fullmatch(part):
            parts[i] = f"`{part}`"
        if part.startswith("`") and i + 1 < len(parts) and re.match(r"\w", parts[i + 1]):
            parts[i] += "\\ "  # RST needs a boundary after markup
    return "".join(parts)


def definitions_of(paragraph: list[str]) -> list[str] | None:
    """Return the definitions in a paragraph of arguments, or None for any other paragraph."""
    if not ARGUMENT.fullmatch(paragraph[0]):
        return None
    lines: list[str] = []
    for line in paragraph:
        found = ARGUMENT.fullmatch(line)
        if found:
            lines += [f"**{found[1]}**", f"    {escaped(found[2])}"]
        elif line.startswith("    "):
            lines.append(f"    {escaped(line.strip())}")
        else:
            return None
    return lines


def as_rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as RST."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    written: list[str] = []
    for paragraph in filter(None, paragraphs):
        if all(line.startswith("    ") for line in paragraph):
            text = ["::", "", *paragraph]  # an example, as it stands
        elif paragraph[0].startswith(">>> "):
            text = paragraph  # RST's own block of a session with Python
        else:
            text = definitions_of(paragraph) or list(map(escaped, paragraph))
        written += [*text, ""]
    return written


def process(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    lines[:] = as_rst(inspect.cleandoc("\n".join(lines)).split("\n"))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
