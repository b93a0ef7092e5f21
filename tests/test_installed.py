"""Damaged metadata hides no other plugin, and the reason names the distribution and the mistake."""

import json
import sys
from importlib.metadata import Distribution

import pytest
from plugin_factory import Plugins, check_that_the_others_run, listed, problem_of

from hhplug import Simulator, backends

GOOD = """
@hookimpl
def hhplug_backends():
    return [BackendSpec(name="chip", factory="hhplug.reference:ReferenceBackend", api="2.0",
                        summary="a toy")]
"""


@pytest.mark.parametrize(
    ("metadata", "entry_points"),
    [
        ("Name: stranger", "[console_scripts]\nno equals sign"),
        ("Name: stranger", "no section\n= ="),
        ("Name: stranger", b"[console_scripts]\n\xff\xfe = a"),
        (b"\xff\xfe", "[console_scripts]\na = b:c"),
        (None, "[console_scripts]\na = b:c"),
        ("Name: stranger\nVersion: not a version", ""),
    ],
)
def test_a_strangers_damaged_metadata_is_ignored(plugins: Plugins, metadata, entry_points):
    plugins.describe("stranger-1.0", metadata, entry_points)
    plugins.offer("toy")
    check_that_the_others_run("toy")


@pytest.mark.parametrize(
    ("entry_points", "name", "reason"),
    [
        ("[hhplug]\n= chip_x", "chip-x", "its entry point '= chip_x' in the group hhplug has no"),
        ("[hhplug]\nchip = ", "chip", "its entry point 'chip' must name 'module' or 'module:"),
        ("[hhplug]\nchip", "chip", "its entry point 'chip' must name"),
        ("[hhplug]\nchip = a module", "chip", "'module:attribute', got 'a module'"),
        (b"[hhplug]\nchip = \xff", "chip-x", "its entry_points.txt isn't UTF-8"),
    ],
)
def test_a_mistake_in_a_plugins_metadata_is_named(plugins: Plugins, entry_points, name, reason):
    plugins.describe("chip_x-1.0", "Name: chip-x\nVersion: 1.0", entry_points)
    plugins.offer("toy")
    problem = problem_of(name)
    assert problem.code == "bad_metadata"
    assert problem.reason.startswith("chip-x 1.0: ")
    assert reason in problem.reason
    assert problem.fix
    check_that_the_others_run("toy")


@pytest.mark.parametrize("metadata", [None, b"\xff\xfe", "Summary: nameless"])
def test_a_plugin_without_a_readable_name_is_named_for_its_folder(plugins: Plugins, metadata):
    plugins.offer("toy")
    (plugins.folder / "chip_x.py").write_text("from hhplug import hookimpl\n" + GOOD)
    plugins.describe("chip_x-2.5", metadata, "[hhplug]\nchip = chip_x")
    assert listed("chip").source == "chip_x 2.5"
    check_that_the_others_run("toy")


class Unreadable(Distribution):
    """A distribution whose files raise what no file does."""

    def read_text(self, _):
        raise RuntimeError("broken")

    def locate_file(self, _):
        raise RuntimeError("broken")


def test_entry_points_that_begin_with_a_byte_order_mark_are_read(plugins: Plugins):
    plugins.offer("chip")
    file = plugins.folder / "chip-1.0.dist-info" / "entry_points.txt"
    file.write_text(f"\ufeff{file.read_text()}", encoding="utf-8")
    check_that_the_others_run("chip")


@pytest.mark.parametrize("found", [[Unreadable()], None])  # None: it fails itself
def test_a_finder_that_fails_hides_no_plugin(plugins: Plugins, monkeypatch, found):
    class Finder:
        def find_spec(self, *_):
            return None

        def find_distributions(self, _):
            return iter(found)

    plugins.offer("toy")
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    check_that_the_others_run("toy")


def test_what_an_interrupted_upgrade_left_behind_is_not_taken_for_the_plugin(plugins: Plugins):
    plugins.offer("chip", version="1.1")
    plugins.describe("~hip-0.9", "Name: chip\nVersion: 0.9", "[hhplug]\nchip = chip")
    assert listed("chip").source == "chip 1.1"
    assert Simulator("chip").run(T=0.05).backend_version == "1.1"


def test_what_an_interrupted_upgrade_left_behind_alone_is_named(plugins: Plugins):
    folder = plugins.describe("~hip-0.9", "Name: chip\nVersion: 0.9", "[hhplug]\nchip = chip")
    plugins.offer("toy")
    problem = problem_of("chip")
    assert problem.code == "leftover"
    assert problem.reason == "~hip-0.9.dist-info is left from an upgrade that was interrupted"
    assert problem.fix == f"delete {folder}, and install chip again"
    check_that_the_others_run("toy")


def test_of_two_versions_in_one_folder_the_later_is_the_one_installed(plugins: Plugins):
    plugins.offer("chip", version="0.10")
    plugins.describe("chip-0.9", "Name: chip\nVersion: 0.9", "[hhplug]\nchip = chip")
    assert listed("chip").source == "chip 0.10"


def test_an_editable_install_whose_folder_is_gone_is_named(plugins: Plugins):
    gone = plugins.folder / "my plugin"
    origin = {"url": gone.as_uri(), "dir_info": {"editable": True}}
    metadata = "Name: chip-x\nVersion: 1.0"
    plugins.describe(
        "chip_x-1.0", metadata, "[hhplug]\nchip = no_such_chip", direct_url=json.dumps(origin)
    )
    plugins.offer("toy")
    problem = problem_of("chip")
    assert problem.code == "load_failed"
    assert f"chip-x 1.0 is an editable install of {gone}, which is gone" in problem.reason
    check_that_the_others_run("toy")


def test_a_module_that_is_not_there_is_named(plugins: Plugins):
    plugins.describe("chip_x-1.0", "Name: chip-x\nVersion: 1.0", "[hhplug]\nchip = no_such_chip")
    reason = problem_of("chip").reason
    assert "chip-x 1.0 names the module no_such_chip, which is not there" in reason


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            GOOD.replace("@hookimpl\n", ""),
            "the function hhplug_backends of chip_x lacks the decorator @hookimpl of hhplug",
        ),
        (
            GOOD.replace("def hhplug_backends", "def hhplug_backend"),
            "hhplug has no hook 'hhplug_backend'. Did you mean 'hhplug_backends'?",
        ),
        (
            GOOD.replace("@hookimpl\ndef hhplug_backends", "def hhplug_bakends"),
            "chip_x has no hook hhplug_backends but 'hhplug_bakends', without the decorator "
            "@hookimpl. Did you mean 'hhplug_backends'?",
        ),
        ("", "chip_x has no function hhplug_backends with the decorator @hookimpl"),
        (
            "@hookimpl\ndef hhplug_backends(): return None",
            "its hook hhplug_backends returned no BackendSpec",
        ),
    ],
)
def test_the_mistake_of_a_plugin_without_backends_is_named(plugins: Plugins, source, reason):
    plugins.install("chip_x", source, entry_point="chip")
    problem = problem_of("chip")
    assert problem.code == "no_backend"
    assert problem.reason == f"chip_x 1.0 offers nothing: {reason}"
    assert "?." not in str(problem)


def test_a_hook_that_returns_no_list_is_reported(plugins: Plugins):
    plugins.install("chip_x", GOOD.replace("[Back", "(Back").replace(")]", "))"), "chip")
    problem = problem_of("chip")
    assert problem.code == "hook_failed"
    assert "expected a list of BackendSpec, got one BackendSpec; put it in [ ]" in problem.reason


def test_two_distributions_with_one_module_are_both_named(plugins: Plugins):
    plugins.offer("chip")
    plugins.describe("chip_meta-1.0", "Name: chip-meta\nVersion: 1.0", "[hhplug]\nchip = chip")
    plugins.offer("toy")
    problems = [entry.unavailable for entry in backends() if entry.name == "chip"]
    assert [problem and problem.code for problem in problems] == ["name_shared"] * 2
    assert problems[0] is not None
    assert problems[0].reason == (
        "chip 1.0 and chip-meta 1.0 both offer a backend 'chip', from the same module chip"
    )
    assert problems[0].fix == "pip uninstall chip or chip-meta"
    check_that_the_others_run("toy")


def test_a_requirement_whose_metadata_is_damaged_is_named(plugins: Plugins):
    plugins.offer("chip", requires=("damaged>=1",))
    plugins.describe("damaged-1.0", b"Name: damaged\nVersion: \xff", "")
    problem = problem_of("chip")
    assert problem.code == "wrong_version"
    assert problem.reason.startswith("the version of damaged cannot be read: ")
    assert problem.fix == "reinstall damaged"
    check_that_the_others_run()
