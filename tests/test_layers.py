"""A module imports only modules above it in CONTRIBUTING's map of the modules."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hhplug

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


# Modules by the public names that `hhplug` gives when they are first used.
PUBLIC_NAMES = {
    name: hhplug._MODULES.get(name, "errors") for name in hhplug.__all__ if name != "membranes"
}


def imported(file):
    """Yield what a file imports when it runs, also within functions: modules, or names in them."""
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
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} has a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def core_imports(file):
    """Return the modules of the core that a file imports, as names of MODULES."""
    names = {name.removeprefix("hhplug.") for name in imported(file) if name.startswith("hhplug.")}
    return {module for name in names if (module := _module_of(PUBLIC_NAMES.get(name, name)))}


def _module_of(name):
    """Return the module that has a name, or that is called so."""
    outer = name.rpartition(".")[0]
    spellings = (name, f"{name}.__init__", outer, f"{outer}.__init__")
    return next((spelling for spelling in spellings if spelling in MODULES), None)


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


def test_the_map_names_only_files_that_exist_in_each_package():
    lines = re.findall(r"^- `hhplug/(\w+)/`(.*)$", MAP, re.MULTILINE)
    assert len(lines) > 10
    for package, line in lines:
        named = re.findall(r"`(\w+\.py|\w+\.md)`", line, re.IGNORECASE)
        assert [name for name in named if not (CORE / package / name).exists()] == [], package


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
    assert core_imports(planted) == {"cli.__init__"}
    planted.write_text("from hhplug import Simulator, warn\n")
    assert core_imports(planted) == {"running.simulator"}
    planted.write_text("import importlib\nimportlib.import_module('hhplug.cli.run')\n")
    assert core_imports(planted) == {"cli.run"}
    planted.write_text("from ..running import simulate\n")
    with pytest.raises(AssertionError, match="has a relative import"):
        core_imports(planted)
    planted.write_text("from hhplug.running import simulate\nimport hhplug.results.result\n")
    assert core_imports(planted) == {"running.simulate", "results.result"}
    assert ENTRIES.index(entry_of("running.simulate")) > ENTRIES.index(entry_of("results.result"))
