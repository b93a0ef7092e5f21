"""A backend is chosen by name, or is the best that runs, and a failure is explained."""

import re
from typing import Any

import pytest
from plugin_factory import Plugins, check_that_the_others_run, listed

from hhplug import BackendUnavailable, InvalidInput, Simulator
from hhplug.plugins import discovery
from hhplug.plugins.installed import installed


def test_an_unknown_name_raises_InvalidInput_with_the_installed_and_the_nearest_names(
    plugins: Plugins,
):
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
def test_a_name_that_no_backend_can_have_raises_InvalidInput(plugins: Plugins, name: Any):  # noqa: ARG001
    with pytest.raises(InvalidInput, match=re.escape(f"no backend {name!r}; installed: ")):
        Simulator(backend=name)


def test_a_broken_plugin_does_not_hide_a_backend_of_its_name(plugins):
    plugins.install("aevil", "raise ImportError", entry_point="toy")
    plugins.offer("ztoy", name="toy")
    assert Simulator("toy").backend == "toy"


def test_auto_takes_the_highest_priority(plugins: Plugins):
    plugins.offer("a_second", priority=999)
    plugins.offer("b_top", priority=1000)
    plugins.offer("c_third", priority=998)
    assert Simulator().backend == "b_top"


def test_auto_skips_backends_that_are_known_not_to_run(plugins: Plugins):
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


def test_auto_takes_only_backends_with_the_requested_dtype(plugins: Plugins):
    plugins.offer("top", priority=1000, dtypes=("float32",))
    plugins.offer("second", priority=999)
    assert Simulator(dtype="float64").backend == "second"
    assert Simulator(dtype="float32").backend == "top"
    assert Simulator().backend == "top"


def test_auto_with_a_device_takes_only_backends_that_can_choose_it(plugins: Plugins):
    plugins.offer("top", priority=1000)
    plugins.offer("second", priority=999, device_index=True)
    assert Simulator(device=0).backend == "second"


def test_auto_without_a_backend_that_runs_says_what_was_tried(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
):
    plugins.offer("evil", dtypes=("float32",), requires=("no-such-package",))
    monkeypatch.setattr(
        discovery, "installed", lambda: [p for p in installed() if p.name == "evil"]
    )
    with pytest.raises(BackendUnavailable) as caught:
        Simulator(dtype="float32")
    assert caught.value.code == "none_available"
    assert caught.value.reason == (
        "no backend can run in float32: evil [missing_package] no-such-package is not installed"
    )


def test_a_named_backend_refuses_a_dtype_or_a_device_that_it_does_not_have(plugins: Plugins):
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
        assert problem.fix == ("pip install more" if code == "import_failed" else "")
        assert problem.detail.startswith("Traceback")
    check_that_the_others_run("toy")


@pytest.mark.parametrize(
    ("factory", "code"),
    [("no_such_module:factory", "import_failed"), ("evil:no_such_attribute", "factory_failed")],
)
def test_a_missing_factory_is_explained(plugins: Plugins, factory: str, code: str):
    plugins.offer("evil", factory=factory)
    with pytest.raises(BackendUnavailable, match=rf"\[{code}\].*no_such"):
        Simulator(backend="evil")


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


def refusal(code, device=""):
    return f"raise BackendUnavailable({code!r}, 'the driver is too old', device={device!r})"


def test_auto_warns_once_of_a_device_that_its_backend_cannot_use(plugins):
    source = f"def probe(): {refusal('old_driver', 'A GPU')}"
    plugins.offer("top", source, priority=1000, probe="top:probe")
    plugins.offer("second", priority=999)
    message = r"passed over by 'auto' though A GPU is present: backend 'top' .*driver is too old"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        names = [Simulator().backend for _ in range(3)]
    assert names == ["second"] * 3
    assert [warning.filename for warning in caught] == [__file__]


def test_auto_warns_of_a_device_that_only_opening_the_backend_shows_to_be_of_no_use(plugins):
    source = f"def probe(): return 'A GPU'\ndef factory(device): {refusal('no_device')}"
    plugins.offer("top", source, priority=1000, probe="top:probe", factory="top:factory")
    with pytest.warns(RuntimeWarning, match="though A GPU is present: backend 'top'"):
        Simulator()


@pytest.mark.parametrize("code", ["no_device", "no_driver", "devices_hidden", "any_other"])
def test_auto_says_nothing_where_there_is_no_device(plugins, code):
    source = f"def probe(): {refusal(code)}"
    plugins.offer("top", source, priority=1000, probe="top:probe")
    plugins.offer("second", priority=999)
    assert Simulator().backend == "second"  # a warning would be an error


@pytest.mark.parametrize("code", ["no_device", "no_driver", "devices_hidden"])
def test_auto_says_nothing_where_opening_shows_that_there_is_no_device(plugins, code):
    source = f"def factory(device): {refusal(code)}"
    plugins.offer("top", source, priority=1000, factory="top:factory")
    plugins.offer("second", priority=999)
    assert Simulator().backend == "second"
