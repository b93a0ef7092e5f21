"""plugins/README.md, the guide to writing a backend, is correct and complete."""

import ast
import inspect
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pluggy
import pytest

from hhplug import backend, cli
from hhplug.backend import API, BackendSpec, Capabilities, Recorded
from hhplug.cli import listing
from hhplug.currents.computed import ComputedCurrent
from hhplug.currents.current import ArrayCurrent, SeparableCurrent
from hhplug.plugins import discovery, hookspecs, probes
from hhplug.plugins.scaffold import TEMPLATE, new_backend
from hhplug.problem import Problem
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.plugin import HORIZON, LEVEL

PLUGINS = Path(__file__).parent.parent / "plugins"
GUIDE = (PLUGINS / "README.md").read_text(encoding="utf-8")
FOLDER = "hhplug-mychip/"

BLOCKS = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
SHOWN = sorted({name for _, name, _ in BLOCKS if name})


def test_the_guides_python_runs_where_the_generated_plugin_is_installed(plugins):
    plugins.install_folder(new_backend("mychip", plugins.folder))
    snippets = [text for language, name, text in BLOCKS if language == "python" and not name]
    assert len(snippets) > 3
    namespace = {}
    for snippet in snippets:
        exec(compile(snippet, "plugins/README.md", "exec"), namespace)
    assert namespace["spec"].name == "mychip"


def test_the_guide_shows_the_files_of_the_template_or_names_them():
    files = {p.relative_to(TEMPLATE).as_posix() for p in TEMPLATE.rglob("*") if p.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    named = files - {name.removeprefix(FOLDER) for name in SHOWN}
    named = {Path(name).name for name in named}
    assert named == {"README.md", "LICENSE", ".gitignore", "py.typed"}
    part = GUIDE.partition("## The plugin, part by part")[2].partition("\n## ")[0]
    assert all(f"`{name}`" in part for name in named)


@pytest.mark.parametrize("name", SHOWN)
def test_the_code_in_the_guide_equals_the_templates(name):
    """A file may be shown in consecutive parts; blank lines are ignored."""
    shown = "".join(text for _, file, text in BLOCKS if file == name)
    code = (TEMPLATE / name.removeprefix(FOLDER)).read_text(encoding="utf-8")
    assert list(filter(None, shown.split("\n"))) == list(filter(None, code.split("\n")))


def hooks():
    manager = pluggy.PluginManager("hhplug")
    manager.add_hookspecs(hookspecs)
    return [name for name in dir(manager.hook) if not name.startswith("_")]


def kinds():
    """Return the abstract classes of the contract."""
    found = (kind for _, kind in inspect.getmembers(backend, inspect.isabstract))
    return [kind for kind in found if kind.__module__ == backend.__name__]


def methods():
    """Return the names of the contract's methods, required and optional."""
    members = {name for kind in kinds() for name, _ in inspect.getmembers(kind, callable)}
    return sorted(name for name in members if not name.startswith("_"))


def test_the_contract_has_no_other_hooks_and_methods():
    assert hooks() == ["hhplug_backends"]
    assert {kind.__name__ for kind in kinds()} == {"Backend", "Session", "Block"}
    needed = {"prepare", "advance", "read", "state", "close"}
    optional = {"release_memory", "begin_state", "end_into", "device_samples", "ordered_spikes"}
    assert needed | optional == set(methods())


@pytest.mark.parametrize(
    "name",
    [
        *hooks(),
        *methods(),
        *(
            field.name
            for kind in (BackendSpec, Capabilities, Recorded)
            for field in fields(kind)
            if not field.name.startswith("_")
        ),
        *(
            field.name
            for kind in (BackendSpec, Capabilities, Recorded, Problem)
            for field in fields(kind)
            if not field.name.startswith("_")
        ),
        *(kind.__name__ for kind in (SeparableCurrent, ArrayCurrent, ComputedCurrent)),
        "add_spikes",
        "step",
    ],
)
def test_the_guide_names_every_part_of_the_contract(name):
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", GUIDE), name


def test_the_guide_explains_every_code_of_the_core_and_no_other():
    modules = [*Path(discovery.__file__).parent.glob("*.py"), Path(listing.__file__)]
    sources = "".join(module.read_text(encoding="utf-8") for module in modules)
    codes = set(re.findall(r'(?:failed|Unavailable|Answer)\(\s*"([a-z_]+)"', sources))
    codes |= set(re.findall(r'code = "([a-z_]+)" if .* else "([a-z_]+)"', sources)[0])
    codes |= set(re.findall(r'"code": "([a-z_]+)"', sources))
    codes |= set(re.findall(r'code, failure = "([a-z_]+)"', sources))
    table = GUIDE.partition("These come from the core:")[2].partition("\n\n`hhplug")[0]
    explained = set(re.findall(r"`([a-z_]+)`", re.sub(r"(\| [^|]* \|).*", r"\1", table)))
    assert len(codes) > 12
    assert explained == codes


def test_the_bounds_in_the_guide_are_those_of_the_kit():
    for dtype, bounds in BOUNDS.items():
        row = (
            f"| {dtype} | {bounds.V_5_ms:g} mV | {bounds.V_50_ms:g} mV | "
            f"{bounds.spike_time:g} ms | {bounds.rate:g} relative |"
        )
        assert row in GUIDE


def test_the_numbers_in_the_guide_are_those_of_the_core():
    assert f"`hhplug.backend.API` is the core's: {API}." in GUIDE
    assert f"together they have {probes.TIMEOUT:g} s." in GUIDE
    reference = discovery.entry("reference").spec
    assert reference is not None
    assert f"reference −{-reference.priority}," in GUIDE
    for name in discovery.FIRST_PARTY:
        source = PLUGINS / f"hhplug-{name}" / "src" / f"hhplug_{name}" / "__init__.py"
        (priority,) = re.findall(r"priority=(\d+)", source.read_text())
        assert f"{name} {priority}" in GUIDE


def test_the_targets_of_the_guides_links_exist():
    headings = re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    links = re.findall(r"\]\(([^)]+)\)", GUIDE)
    assert len(links) > 10
    for link in links:
        assert link in anchors if link.startswith("#") else (PLUGINS / link).exists(), link


def test_its_options_exist():
    sources = "".join(
        file.read_text(encoding="utf-8") for file in Path(cli.__path__[0]).glob("*.py")
    )
    options = {HORIZON, LEVEL, *re.findall(r'"(--[a-z-]+)"', sources)}
    assert set(re.findall(r"--[a-z][a-z-]+", GUIDE)) <= options


def test_plugins_import_only_the_modules_that_the_guide_says_are_covered():
    (sentence,) = re.findall(r"It covers the modules ([^;]*); import no others\.", GUIDE)
    covered = set(re.findall(r"`([\w.]+)`", sentence))
    assert all(import_module(name) for name in covered)
    files = [*PLUGINS.glob("*/src/**/*.py"), *TEMPLATE.glob("src/**/*.py")]
    for file in files:
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        imported |= {
            name.name for node in nodes if isinstance(node, ast.Import) for name in node.names
        }
        assert {name for name in imported if f"{name}.".startswith("hhplug.")} <= covered, file
    assert len(files) > 20
