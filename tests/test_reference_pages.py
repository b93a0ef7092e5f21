"""The site's reference is complete and says what the code says."""

import ast
import inspect
import re
from itertools import pairwise

import pytest
from documents import ROOT, text_of

import hhplug
from hhplug import Result, cli
from hhplug.plugins.discovery import FIRST_PARTY
from hhplug.plugins.entry import Entry
from hhplug.results import storage
from hhplug.state import State

REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE)


@pytest.mark.parametrize("name", hhplug.__all__)
def test_every_public_name_is_in_the_reference(name):
    if name == "membranes":
        assert all(f"`{membrane}`" in TEXT for membrane in ("squid", "RS", "FS", "LTS", "WB", "CS"))
    else:
        assert re.search(rf"^\.\. auto\w+:: hhplug\.{name}(\(\))?$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("described", [Result, Entry, State])
def test_the_reference_has_every_attribute_of_what_a_call_returns(described):
    """Sphinx shows an attribute that has a docstring below it, and no other."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(described)).body)
    attributes = [
        (node.target.id, isinstance(following, ast.Expr))
        for node, following in pairwise(body)
        if isinstance(node, ast.AnnAssign)
    ]
    assert len(attributes) > 2
    assert [name for name, has_docstring in attributes if not has_docstring] == []


def test_the_reference_reads_the_command_lines_own_parser():
    module, function = (
        re.search(rf":{key}: (\S+)", text_of("docs/reference/command-line.md"))[1]
        for key in ("module", "func")
    )
    assert module == cli.__name__
    assert getattr(cli, function)().prog == "hhplug"


def test_the_versions_of_the_file_format_are_those_of_the_code():
    page = text_of("docs/reference/file-format.md")
    assert f"the version of the format, {storage.FORMAT}." in page
    assert f"reads the versions {' and '.join(map(str, storage.READABLE))}." in page


def test_the_reference_explains_every_code_of_hhplugs_own_backends_and_no_other():
    sources = [*(ROOT / "hhplug" / "device").glob("*.py")]
    for distribution in FIRST_PARTY.values():
        sources += (ROOT / "plugins" / distribution / "src").rglob("*.py")
    code = "".join(file.read_text(encoding="utf-8") for file in sources)
    codes = set(re.findall(r'Unavailable\(\s*"([a-z_]+)"', code)) - {"forked"}  # the core's too
    table = text_of("docs/reference/errors.md").partition("| code |")[2].partition("\n\n")[0]
    explained = set(re.findall(r"`([a-z_]+)`", re.sub(r"(\| [^|]* \|).*", r"\1", table)))
    assert len(codes) > 8
    assert explained == codes
