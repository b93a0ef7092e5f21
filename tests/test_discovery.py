"""Whatever a plugin does, the others are listed and run, and its own error is explained."""

import json
import re
from importlib.metadata import PathDistribution, version

import numpy as np
import pytest
from plugin_factory import Plugins, check_that_the_others_run, listed, problem_of

from hhplug import BackendUnavailable, InvalidInput, Simulator, backends
from hhplug.backend import API
from hhplug.plugins import discovery, requirements

HOOK = "@hookimpl\ndef hhplug_backends():\n    "


@pytest.mark.parametrize(
    ("source", "code", "reason"),
    [
        ("raise RuntimeError('no such luck')", "load_failed", "RuntimeError: no such luck"),
        ("import no_such_module", "load_failed", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "load_failed", "SystemExit: 3"),
        ("def (", "load_failed", "SyntaxError"),
        ("@hookimpl\ndef hhplug_backends(argument): return []", "load_failed", "argument"),
        (HOOK + "raise KeyError('gone')", "hook_failed", "KeyError: 'gone'"),
        (HOOK + "sys.exit('bye')", "hook_failed", "SystemExit: bye"),
        (HOOK + "yield 1 / 0", "hook_failed", "ZeroDivisionError"),
        (HOOK + "return ['toy']", "hook_failed", "expected a BackendSpec, got 'toy'"),
        (HOOK + "return [BackendSpec(name='Toy')]", "hook_failed", "TypeError"),
        (HOOK + "return []", "no_backend", "offers nothing"),
        ("", "no_backend", "offers nothing"),
    ],
)
def test_a_broken_plugin_is_explained_and_hides_no_other(
    plugins: Plugins, source: str, code: str, reason: str
):
    plugins.install("evil_x", source, entry_point="evil")
    plugins.offer("toy")
    problem = problem_of("evil")
    assert problem.code == code
    assert reason in problem.reason
    assert "pip uninstall evil_x" in problem.fix
    assert listed("evil").source == "evil_x 1.0"
    if code != "no_backend":
        assert problem.detail.startswith("Traceback")
    check_that_the_others_run("toy")
    with pytest.raises(BackendUnavailable, match=re.escape(f"'evil' cannot run here: [{code}]")):
        Simulator(backend="evil")


@pytest.mark.parametrize(
    ("api", "to_upgrade"),
    [("3.0", "hhplug"), ("2.9", "hhplug"), ("1.0", "evil_x"), ("nonsense", "evil_x")],
)
def test_a_plugin_for_another_contract_is_refused(plugins: Plugins, api: str, to_upgrade: str):
    plugins.offer("evil_x", name="evil", api=api, factory="never_imported:backend")
    plugins.offer("toy")
    problem = problem_of("evil")
    assert problem.code == "api_mismatch"
    assert f"version {api} " in problem.reason
    assert problem.reason.endswith(API)
    assert problem.fix == f"upgrade {to_upgrade}"
    check_that_the_others_run("toy")
    with pytest.raises(BackendUnavailable, match="api_mismatch"):
        Simulator(backend="evil")


@pytest.mark.parametrize(
    ("api", "accepted"),
    [("2.0", True), ("2.9", True), ("2.10", True), ("2.11", False), ("1.10", False)],
)
def test_an_earlier_minor_of_the_contract_is_accepted_and_a_later_is_not(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, api: str, accepted: bool
):
    monkeypatch.setattr(requirements, "API", "2.10")
    plugins.offer("toy", api=api)
    assert (listed("toy").unavailable is None) == accepted


def test_the_current_version_of_the_contract_is_accepted(plugins: Plugins):
    plugins.offer("toy", api=API)
    check_that_the_others_run("toy")


def test_nobody_may_take_the_name_reference(plugins: Plugins):
    plugins.offer("a_x", name="reference", priority=1000, factory="a_x:never_called")
    plugins.offer("toy")
    impostor, own = (entry for entry in backends() if entry.name == "reference")
    assert own.distribution == "hhplug"
    assert own.unavailable is None
    assert impostor.source == "a_x 1.0"
    assert impostor.unavailable is not None
    assert impostor.unavailable.code == "name_taken"
    assert "a_x 1.0" in impostor.unavailable.reason
    assert impostor.unavailable.fix == "pip uninstall a_x"
    result = Simulator(backend="reference").run(T=0.05)
    assert result.backend_version == version("hhplug")
    assert Simulator(backend="toy").backend == "toy"


def test_a_broken_entry_point_called_reference_does_not_replace_it(plugins: Plugins):
    plugins.install("a_x", "raise RuntimeError", entry_point="reference")
    codes = [e.unavailable and e.unavailable.code for e in backends() if e.name == "reference"]
    assert codes == [None, "load_failed"]
    assert Simulator(backend="reference").backend == "reference"


def test_two_plugins_may_not_share_a_name(plugins: Plugins):
    plugins.offer("left_x", name="twin", priority=1000)
    plugins.offer("right_x", name="twin", priority=1000)
    plugins.offer("toy")
    twins = [entry for entry in backends() if entry.name == "twin"]
    assert [twin.distribution for twin in twins] == ["left_x", "right_x"]
    for twin in twins:
        assert twin.unavailable is not None
        assert twin.unavailable.code == "name_shared"
        assert "left_x 1.0 and right_x 1.0" in twin.unavailable.reason
        assert twin.unavailable.fix == "pip uninstall left_x or right_x"
    check_that_the_others_run("toy")
    assert Simulator().backend != "twin"
    with pytest.raises(BackendUnavailable, match=r"left_x 1\.0 and right_x 1\.0"):
        Simulator(backend="twin")


def test_a_missing_package_and_a_wrong_version_are_distinguished(plugins: Plugins):
    plugins.offer("lacking", requires=("no-such-package>=2",))
    plugins.offer("outdated", requires=("numpy>=9999",))
    plugins.offer("toy", requires=("numpy>=2",))
    missing, wrong = problem_of("lacking"), problem_of("outdated")
    assert missing.code == "missing_package"
    assert missing.reason == "no-such-package is not installed"
    assert missing.fix == "pip install 'no-such-package>=2'"
    assert wrong.code == "wrong_version"
    assert wrong.reason == f"numpy>=9999 is needed, numpy {np.__version__} is installed"
    assert wrong.fix == "pip install 'numpy>=9999'"
    check_that_the_others_run("toy")


def test_the_plugins_own_install_hint_is_the_fix(plugins: Plugins):
    plugins.offer("lacking", requires=("no-such-package",), install_hint="conda install it")
    assert problem_of("lacking").fix == "conda install it"


def test_a_requirement_for_another_platform_is_not_asked_for(plugins: Plugins):
    plugins.offer("toy", requires=("no-such-package; python_version < '3'",))
    check_that_the_others_run("toy")


def test_an_installed_prerelease_meets_a_requirement(plugins: Plugins):
    plugins.offer("toy", version="2.0rc1", requires=("toy>=1.9",))  # it requires itself
    check_that_the_others_run("toy")


def test_a_disabled_plugin_is_not_imported(plugins: Plugins, monkeypatch: pytest.MonkeyPatch):
    plugins.install("evil_x", "Path(__file__).with_suffix('.ran').touch()", entry_point="evil")
    plugins.offer("toy")
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", "reference, evil")
    problem = problem_of("evil")
    assert problem.code == "disabled"
    assert problem.reason == "HHPLUG_DISABLE_PLUGINS=reference, evil"
    assert problem.fix == "unset HHPLUG_DISABLE_PLUGINS"
    assert not (plugins.folder / "evil_x.ran").exists()
    check_that_the_others_run("toy")
    monkeypatch.delenv("HHPLUG_DISABLE_PLUGINS")
    discovery.forget()
    assert problem_of("evil").code == "no_backend"
    assert (plugins.folder / "evil_x.ran").exists()


@pytest.mark.parametrize(
    "name", ["evil_x", "evil-x", "Evil.X", "evil", "EVIL", "bad_one", "Bad-One", "bad.one", "ALL"]
)
def test_a_plugin_is_disabled_by_every_name_that_a_user_sees_in_any_spelling(
    plugins, monkeypatch, name
):
    source = """
@hookimpl
def hhplug_backends():
    return [BackendSpec(name="bad_one", factory="a:b", api="2.0", summary="")]
"""
    plugins.install("evil_x", source, entry_point="evil")
    plugins.offer("toy")
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", name)
    shown = "bad_one" if "one" in name.lower() else "evil"  # known by loading it
    assert problem_of(shown).code == "disabled"
    with pytest.raises(BackendUnavailable, match=f"disabled. HHPLUG_DISABLE_PLUGINS={name}"):
        Simulator(shown)
    assert (listed("toy").unavailable is None) == (name != "ALL")


def test_disabling_one_backend_of_a_plugin_leaves_its_others(plugins, monkeypatch):
    plugins.offer("one")
    plugins.offer("two")
    hook = """
import one, two
@hookimpl
def hhplug_backends():
    return [*one.hhplug_backends(), *two.hhplug_backends()]
"""
    plugins.install("both_x", hook)
    for name in ("one", "two"):
        (plugins.folder / f"{name}-1.0.dist-info" / "entry_points.txt").unlink()
    discovery.forget()
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", "one")
    assert problem_of("one").code == "disabled"
    check_that_the_others_run("two")


def test_a_disabled_name_that_no_plugin_has_gives_one_warning(plugins, monkeypatch):
    plugins.offer("abacus")
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", "abacs")
    with pytest.warns(RuntimeWarning, match=r"'abacs'\. Did you mean 'abacus'\?$") as caught:
        check_that_the_others_run("abacus")
    assert len(caught) == 1


@pytest.mark.usefixtures("plugins")
def test_hhplugs_own_plugins_may_be_disabled_where_they_are_not_installed(monkeypatch):
    monkeypatch.setattr(discovery, "installed", list)
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", "numba,hhplug-triton")
    check_that_the_others_run()  # a warning would be an error


@pytest.mark.parametrize("names", ["all", "all,reference", "toy,reference"])
def test_reference_cannot_be_disabled(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, names: str
):
    plugins.offer("toy")
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", names)
    assert problem_of("toy").code == "disabled"
    check_that_the_others_run()


def test_hhplugs_own_numpy_backend_is_listed_where_it_is_not_installed(
    plugins: Plugins,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(discovery, "installed", list)
    problem = problem_of("numpy")
    assert problem.code == "not_installed"
    assert problem.reason == "hhplug-numpy is not installed"
    assert problem.fix.startswith("pip install ./plugins/hhplug-numpy")
    with pytest.raises(BackendUnavailable, match=r"pip install \./plugins/hhplug-numpy"):
        Simulator(backend="numpy")
    check_that_the_others_run()
    with pytest.raises(InvalidInput, match=r"installed: reference\."):
        Simulator(backend="other")


def test_listing_imports_no_backend(plugins: Plugins):
    backend = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n1 / 0"
    (plugins.folder / "heavy_backend.py").write_text(backend)
    plugins.offer("heavy", factory="heavy_backend:Backend")
    assert listed("heavy").unavailable is None
    assert not (plugins.folder / "heavy_backend.ran").exists()
    with pytest.raises(BackendUnavailable, match="ZeroDivisionError"):
        Simulator(backend="heavy")
    assert (plugins.folder / "heavy_backend.ran").exists()


def test_the_best_is_listed_first_and_the_broken_last(plugins: Plugins):
    plugins.install("a_x", "raise RuntimeError", entry_point="broken")
    plugins.offer("low", priority=-999)
    plugins.offer("top", priority=1000)
    names = [entry.name for entry in backends()]
    assert names[0] == "top"
    assert names.index("reference") < names.index("low") < names.index("broken")


def test_a_listing_can_be_written_as_json(plugins: Plugins):
    plugins.install("evil_x", "raise RuntimeError('no such luck')", entry_point="evil")
    plugins.offer("toy", priority=7)
    rows = {e.name: e.as_dict() for e in backends()}
    assert json.loads(json.dumps(rows)) == rows
    assert rows["toy"] == {
        "name": "toy",
        "status": "available",
        "code": None,
        "reason": None,
        "fix": None,
        "device": None,
        "distribution": "toy",
        "version": "1.0",
        "api": API,
        "dtypes": ["float64"],
        "membranes": "squid",
        "priority": 7,
        "summary": "a toy",
    }
    assert rows["evil"]["status"] == "unavailable"
    assert rows["evil"]["code"] == "load_failed"


@pytest.mark.parametrize("raises", [False, True])
def test_damaged_metadata_does_not_hide_the_others(plugins, monkeypatch, raises):
    plugins.offer("toy")
    damaged = plugins.folder / "gone-1.0.dist-info"
    damaged.mkdir()
    (damaged / "entry_points.txt").write_text("[hhplug]\ngone = gone\n")
    if raises:  # as importlib_metadata does, which replaces Python's own finder when imported
        own = PathDistribution.metadata.fget

        def metadata(distribution):
            if distribution.read_text("METADATA") is None:
                raise FileNotFoundError("No package metadata was found.")
            return own(distribution)

        monkeypatch.setattr(PathDistribution, "metadata", property(metadata))
    discovery.forget()
    assert {"toy", "gone", "reference"} <= {entry.name for entry in backends()}
