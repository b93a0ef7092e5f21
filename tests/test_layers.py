"""A module imports only modules above it in CONTRIBUTING's map of the modules."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "hhplug"
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## The modules")[2]
ENTRIES = re.findall(r"^- `hhplug/([\w/]+)(?:\.py|/)`", MAP, re.MULTILINE)

TEMPLATE = CORE / "plugins" / "template"
MODULES = {
    ".".join(file.relative_to(CORE).with_suffix("").parts): file
    for file in CORE.rglob("*.py")
    if TEMPLATE not in file.parents
}


def imported(file):
    """Yield the modules that a file imports when it runs, also within functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        node
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def core_imports(file):
    """Return the modules of the core that a file imports, as names of MODULES."""
    names = {name.removeprefix("hhplug.") for name in imported(file) if name.startswith("hhplug.")}
    return {name for name in names if name in MODULES}


def entry_of(module):
    """Return the map's entry for a module, or None."""
    parts = module.split(".")
    return next(
        (entry for entry in ENTRIES if parts[: len(entry.split("/"))] == entry.split("/")), None
    )


PUBLIC = ("__init__", "__main__")  # they import everything, and nothing imports them


@pytest.mark.parametrize("module", sorted(set(MODULES) - set(PUBLIC)))
def test_a_module_imports_only_what_stands_above_it_in_the_map(module):
    place = entry_of(module)
    assert place, f"CONTRIBUTING's map has no line for {module}"
    below = {
        other for other in core_imports(MODULES[module])
        if ENTRIES.index(entry_of(other)) > ENTRIES.index(place)
    }  # fmt: skip
    assert not below


def test_the_map_names_only_modules_that_exist():
    known = {module.replace(".", "/") for module in MODULES}
    packages = {str(Path(name).parent) for name in known}
    assert ENTRIES
    assert [entry for entry in ENTRIES if entry not in known | packages] == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: core_imports(file) - {module} for module, file in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_reference_is_imported_by_name_so_that_frozen_applications_have_it():
    assert "reference" in core_imports(MODULES["plugins.discovery"])


def test_plugins_import_the_core_and_no_other_plugin():
    for file in (ROOT / "plugins").glob("*/src/*/*.py"):
        own = file.parent.name
        others = {name.partition(".")[0] for name in imported(file)} - {own, "hhplug"}
        assert not [name for name in others if name.startswith("hhplug")], file


def test_a_circle_and_an_import_from_below_are_detected(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text("def later():\n    from hhplug.cli import main\n    return main\n")
    assert core_imports(planted) == set()
    planted.write_text("from hhplug.running import simulate\nimport hhplug.results.result\n")
    assert core_imports(planted) == {"running.simulate", "results.result"}
    assert ENTRIES.index(entry_of("running.simulate")) > ENTRIES.index(entry_of("results.result"))
