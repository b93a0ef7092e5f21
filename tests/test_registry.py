"""Whatever a plugin does, the others are listed and run, and it is told what is wrong."""

import json
import re
from importlib.metadata import entry_points, version
from typing import Any

import numpy as np
import pytest
from plugin_factory import Plugins, check_that_the_others_run, listed, problem_of

from hhplug import BackendUnavailable, InvalidInput, Simulator, backends, registry
from hhplug.backend import API, BackendSpec, Capabilities

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
def test_a_broken_plugin_is_explained_and_hides_nobody(
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
    [("2.0", "hhplug"), ("1.9", "hhplug"), ("0.9", "evil_x"), ("nonsense", "evil_x")],
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
    [("1.0", True), ("1.9", True), ("1.10", True), ("1.11", False), ("0.10", False)],
)
def test_an_earlier_minor_of_the_contract_is_accepted_and_a_later_is_not(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, api: str, accepted: bool
):
    monkeypatch.setattr(registry, "API", "1.10")
    plugins.offer("toy", api=api)
    assert (listed("toy").problem is None) == accepted


def test_the_contract_of_today_is_accepted(plugins: Plugins):
    plugins.offer("toy", api=API)
    check_that_the_others_run("toy")


def test_nobody_may_take_the_name_reference(plugins: Plugins):
    plugins.offer("a_x", name="reference", priority=1000, factory="a_x:never_called")
    plugins.offer("toy")
    impostor, own = (entry for entry in backends() if entry.name == "reference")
    assert own.distribution == "hhplug"
    assert own.problem is None
    assert impostor.source == "a_x 1.0"
    assert impostor.problem is not None
    assert impostor.problem.code == "name_taken"
    assert "a_x 1.0" in impostor.problem.reason
    assert impostor.problem.fix == "pip uninstall a_x"
    result = Simulator(backend="reference").run(T=0.05)
    assert result.backend_version == f"hhplug {version('hhplug')}"
    assert Simulator(backend="toy").backend == "toy"


def test_a_broken_entry_point_called_reference_does_not_stand_for_it(plugins: Plugins):
    plugins.install("a_x", "raise RuntimeError", entry_point="reference")
    codes = [e.problem and e.problem.code for e in backends() if e.name == "reference"]
    assert codes == [None, "load_failed"]
    assert Simulator(backend="reference").backend == "reference"


def test_two_plugins_may_not_share_a_name(plugins: Plugins):
    plugins.offer("left_x", name="twin", priority=1000)
    plugins.offer("right_x", name="twin", priority=1000)
    plugins.offer("toy")
    twins = [entry for entry in backends() if entry.name == "twin"]
    assert [twin.distribution for twin in twins] == ["left_x", "right_x"]
    for twin in twins:
        assert twin.problem is not None
        assert twin.problem.code == "name_shared"
        assert "left_x 1.0 and right_x 1.0" in twin.problem.reason
        assert twin.problem.fix == "pip uninstall left_x or right_x"
    check_that_the_others_run("toy")
    assert Simulator().backend != "twin"
    with pytest.raises(BackendUnavailable, match=r"left_x 1\.0 and right_x 1\.0"):
        Simulator(backend="twin")


def test_a_missing_package_and_a_wrong_version_of_one_are_told_apart(plugins: Plugins):
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


def test_an_unknown_name_is_answered_with_those_installed_and_the_nearest(plugins: Plugins):
    plugins.offer("toy")
    plugins.install("evil_x", "raise RuntimeError", entry_point="evil")
    with pytest.raises(InvalidInput) as caught:
        Simulator(backend="Refrence")
    message = str(caught.value)
    assert message.startswith("no backend 'Refrence'; installed: ")
    assert message.endswith(" Did you mean 'reference'?")
    installed = message.partition("installed: ")[2].partition(".")[0].split(", ")
    assert {"reference", "toy"} <= set(installed)
    assert "evil" not in installed


@pytest.mark.parametrize("name", [None, 3, ["reference"], ""])
def test_a_name_of_another_type_is_an_unknown_name(plugins: Plugins, name: Any):  # noqa: ARG001
    with pytest.raises(InvalidInput, match=re.escape(f"no backend {name!r}; installed: ")):
        Simulator(backend=name)


def test_auto_takes_the_highest_priority(plugins: Plugins):
    plugins.offer("a_second", priority=999)
    plugins.offer("b_top", priority=1000)
    plugins.offer("c_third", priority=998)
    assert Simulator().backend == "b_top"


def test_auto_passes_over_what_is_known_not_to_run(plugins: Plugins):
    plugins.offer("top", priority=1000, requires=("no-such-package",))
    plugins.offer("refusing", priority=999, probe="refusing:probe", source="def probe(): 1 / 0")
    plugins.offer("third", priority=998)
    assert Simulator().backend == "third"


def test_auto_warns_the_caller_of_a_backend_that_fails_though_its_probe_passed(plugins: Plugins):
    source = "def probe(): return 'a fine device'\ndef factory(device): raise OSError('busy')"
    plugins.offer("top", source, priority=1000, probe="top:probe", factory="top:factory")
    plugins.offer("second", priority=999)
    with pytest.warns(RuntimeWarning, match=r"'top'.*\[factory_failed\] OSError: busy") as caught:
        simulator = Simulator()
    assert simulator.backend == "second"
    assert [warning.filename for warning in caught] == [__file__]
    assert listed("top").device == "a fine device"


def test_auto_keeps_to_the_dtype_asked_for(plugins: Plugins):
    plugins.offer("top", priority=1000, dtypes=("float32",))
    plugins.offer("second", priority=999)
    assert Simulator(dtype="float64").backend == "second"
    assert Simulator(dtype="float32").backend == "top"
    assert Simulator().backend == "top"


def test_auto_keeps_to_backends_that_can_choose_the_device(plugins: Plugins):
    plugins.offer("top", priority=1000)
    plugins.offer("second", priority=999, device_index=True)
    assert Simulator(device=0).backend == "second"


def test_auto_with_nothing_to_run_says_what_was_tried(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
):
    plugins.offer("evil", dtypes=("float32",), requires=("no-such-package",))
    monkeypatch.setattr(
        registry, "entry_points", lambda group: entry_points(group=group, name="evil")
    )
    with pytest.raises(BackendUnavailable) as caught:
        Simulator(dtype="float32")
    assert caught.value.code == "none_available"
    assert caught.value.reason == (
        "no backend can run in float32: evil [missing_package] no-such-package is not installed"
    )


def test_a_named_backend_is_not_given_a_dtype_or_a_device_it_has_not(plugins: Plugins):
    plugins.offer("toy")
    with pytest.raises(InvalidInput, match="'toy' computes in float64, got dtype='float32'"):
        Simulator(backend="toy", dtype="float32")
    with pytest.raises(InvalidInput, match="'toy' has no devices to choose from, got device=1"):
        Simulator(backend="toy", device=1)


def test_the_factory_is_given_the_device(plugins: Plugins):
    plugins.offer(
        "toy", "def factory(device): 1 / device", factory="toy:factory", device_index=True
    )
    with pytest.raises(BackendUnavailable, match="ZeroDivisionError"):
        Simulator(backend="toy", device=0)
    with pytest.raises(InvalidInput, match="device must be a whole number, 0 or more, got -1"):
        Simulator(backend="toy", device=-1)


def test_a_disabled_plugin_is_not_imported(plugins: Plugins, monkeypatch: pytest.MonkeyPatch):
    plugins.install("evil_x", "Path(__file__).with_suffix('.ran').touch()", entry_point="evil")
    plugins.offer("toy")
    monkeypatch.setenv("HHPLUG_DISABLE_PLUGINS", "absent, evil")
    problem = problem_of("evil")
    assert problem.code == "disabled"
    assert problem.reason == "HHPLUG_DISABLE_PLUGINS=absent, evil"
    assert problem.fix == "unset HHPLUG_DISABLE_PLUGINS"
    assert not (plugins.folder / "evil_x.ran").exists()
    check_that_the_others_run("toy")
    monkeypatch.delenv("HHPLUG_DISABLE_PLUGINS")
    registry.forget()
    assert problem_of("evil").code == "no_backend"
    assert (plugins.folder / "evil_x.ran").exists()


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
    monkeypatch.setattr(registry, "entry_points", lambda group: [])  # noqa: ARG005
    problem = problem_of("numpy")
    assert problem.code == "not_installed"
    assert problem.reason == "hhplug-numpy is not installed"
    assert problem.fix.startswith("pip install ./plugins/hhplug-numpy")
    with pytest.raises(BackendUnavailable, match=r"pip install \./plugins/hhplug-numpy"):
        Simulator(backend="numpy")
    check_that_the_others_run()
    with pytest.raises(InvalidInput, match=r"installed: reference\."):
        Simulator(backend="other")


@pytest.mark.parametrize(
    ("factory", "code", "reason"),
    [
        ("raise ImportError('libx.so.1: not found')", "import_failed", "ImportError: libx.so.1"),
        ("import no_such_module", "import_failed", "ModuleNotFoundError"),
        ("raise OSError('busy')", "factory_failed", "OSError: busy"),
        ("return object()", "factory_failed", "evil:factory made a object, not a Backend"),
        ("raise BackendUnavailable('no_driver', 'libx too old')", "no_driver", "libx too old"),
    ],
)
def test_a_factory_that_fails_is_explained(plugins: Plugins, factory: str, code: str, reason: str):
    source = f"def factory(device):\n    {factory}"
    plugins.offer("evil", source, factory="evil:factory", install_hint="pip install more")
    plugins.offer("toy")
    with pytest.raises(BackendUnavailable) as caught:
        Simulator(backend="evil")
    problem = caught.value
    assert problem.code == code
    assert reason in problem.reason
    assert problem.__cause__ is not None
    assert str(problem).startswith(f"backend 'evil' cannot run here: [{code}]")
    if code != "no_driver":  # a backend that explains itself brings its own fix, or none
        assert problem.fix == "pip install more"
        assert problem.detail.startswith("Traceback")
    check_that_the_others_run("toy")


@pytest.mark.parametrize(
    ("factory", "code"),
    [("no_such_module:factory", "import_failed"), ("evil:no_such_attribute", "factory_failed")],
)
def test_a_factory_that_is_not_there_is_explained(plugins: Plugins, factory: str, code: str):
    plugins.offer("evil", factory=factory)
    with pytest.raises(BackendUnavailable, match=rf"\[{code}\].*no_such"):
        Simulator(backend="evil")


def test_listing_imports_no_backend(plugins: Plugins):
    backend = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n1 / 0"
    (plugins.folder / "heavy_backend.py").write_text(backend)
    plugins.offer("heavy", factory="heavy_backend:Backend")
    assert listed("heavy").problem is None
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
        "api": "1.0",
        "dtypes": ["float64"],
        "priority": 7,
        "summary": "a toy",
    }
    assert rows["evil"]["status"] == "unavailable"
    assert rows["evil"]["code"] == "load_failed"


def spec(**fields: Any) -> BackendSpec:
    return BackendSpec(**{"name": "toy", "factory": "a.b:C", "api": API, "summary": ""} | fields)


@pytest.mark.parametrize("name", ["", "auto", "Toy", "2d", "-x", "a b", "a.b", "toy\n", "naïve"])
def test_a_spec_refuses_a_bad_name(name: str):
    with pytest.raises(InvalidInput, match=re.escape(f"got {name!r}")):
        spec(name=name)


@pytest.mark.parametrize("field", ["factory", "probe"])
@pytest.mark.parametrize("reference", ["a.b", "a.b:", ":c", "a:b:c", "a b:c", "a:b.c", "a:b()"])
def test_a_spec_refuses_a_bad_reference(field: str, reference: str):
    with pytest.raises(InvalidInput, match=re.escape(f"'module:attribute', got {reference!r}")):
        spec(**{field: reference})


@pytest.mark.parametrize("requirement", ["", ">=2", "numpy>=two", "numpy 2", "numpy=>2"])
def test_a_spec_refuses_a_bad_requirement(requirement: str):
    with pytest.raises(InvalidInput, match=re.escape(f"not a requirement: {requirement!r}")):
        spec(requires=("numpy>=2.0", requirement))


def test_a_spec_accepts_names_and_references_that_only_look_odd():
    odd = spec(name="py-cuda_2", factory="a._b.c2:_D", probe="p:q", requires=("x[y]>=1,!=2",))
    assert odd.name == "py-cuda_2"


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": "40"},
        {"factory": ""},
        {"capabilities": None},
    ],
)
def test_a_record_that_would_break_the_listing_is_refused(wrong):
    fields = {"name": "toy", "factory": "a:b", "api": "1.0", "summary": ""} | wrong
    with pytest.raises(InvalidInput):
        BackendSpec(**fields)


@pytest.mark.parametrize("dtypes", [(), "float64", ("float16",)])
def test_capabilities_name_precisions(dtypes):
    with pytest.raises(InvalidInput, match="dtypes must be some of"):
        Capabilities(dtypes=dtypes)


def test_a_broken_plugin_does_not_hide_a_backend_of_its_name(plugins):
    plugins.install("aevil", "raise ImportError", entry_point="toy")
    plugins.offer("ztoy", name="toy")
    assert Simulator("toy").backend == "toy"


def test_damaged_metadata_does_not_hide_the_others(plugins):
    plugins.offer("toy")
    damaged = plugins.folder / "gone-1.0.dist-info"
    damaged.mkdir()
    (damaged / "entry_points.txt").write_text("[hhplug]\ngone = gone\n")
    registry.forget()
    assert {"toy", "gone", "reference"} <= {entry.name for entry in backends()}


def test_a_factory_that_exits_does_not_end_the_process(plugins):
    plugins.offer("toy", "def leave(device): raise SystemExit(7)", factory="toy:leave")
    with pytest.raises(BackendUnavailable, match=r"\[factory_failed\] SystemExit: 7"):
        Simulator("toy")


def test_an_unavailable_backend_raises_a_new_error_each_time(plugins):
    plugins.offer("toy", requires=("no-such-package",))
    errors = []
    for _ in range(2):
        with pytest.raises(BackendUnavailable) as caught:
            Simulator("toy")
        errors.append(caught.value)
    assert errors[0] is not errors[1]
