"""A plugin that hangs or ends its process while it is loaded takes no listing with it."""

import time

import pytest
from plugin_factory import check_that_the_others_run, listed, problem_of

from hhplug import Simulator
from hhplug.plugins import discovery, probes, trial

harmful = trial.harmful  # which the fixture `plugins` replaces


@pytest.fixture
def tried(plugins, monkeypatch):
    """Plugins of a test, which a listing tries in child processes."""
    monkeypatch.setattr(trial, "harmful", harmful)
    return plugins


def test_plugins_that_end_their_process_are_named_and_hide_no_other(tried):
    tried.install("exits_x", "os._exit(3)", entry_point="exits")
    tried.install("crashes_x", "os.kill(os.getpid(), signal.SIGSEGV)", entry_point="crashes")
    hook = "@hookimpl\ndef hhplug_backends():\n    os.closerange(0, 99); os._exit(4)"
    tried.install("closes_x", hook, entry_point="closes")
    tried.install("fails_x", "raise RuntimeError('no such luck')", entry_point="fails")
    tried.offer("toy", "print('loaded')")
    check_that_the_others_run("toy")
    for name, end in (
        ("exits", "ended its process with status 3"),
        ("crashes", "was killed by SIGSEGV"),
        ("closes", "ended its process with status 4"),
    ):
        problem = problem_of(name)
        assert problem.code == "load_crashed"
        assert problem.reason == f"importing the plugin {end} ({name}_x of {name}_x 1.0)"
        assert problem.fix == f"upgrade {name}_x, or pip uninstall {name}_x"
    assert problem_of("fails").code == "load_failed"


def test_a_plugin_that_hangs_is_named_after_the_time_of_probes(tried, monkeypatch):
    monkeypatch.setattr(probes, "TIMEOUT", 3.0)
    tried.install("hangs_x", "time.sleep(20)", entry_point="hangs")
    tried.offer("toy")
    began = time.monotonic()
    problem = problem_of("hangs")
    assert time.monotonic() - began < 15
    assert problem.code == "load_timeout"
    assert problem.reason == "importing the plugin didn't end within 3 s (hangs_x of hangs_x 1.0)"
    assert listed("toy").unavailable is None


def test_a_plugin_is_not_tried_that_is_named_loaded_disabled_or_hhplug_s_own(tried, monkeypatch):
    asked = []
    monkeypatch.setattr(trial, "harmful", lambda plugins: asked.extend(plugins) or {})
    for name in ("named", "other", "off"):
        tried.offer(name)
    monkeypatch.setenv(discovery.DISABLE, "off")
    assert Simulator("named").run(T=0.05).backend == "named"
    assert asked == []
    discovery.known()
    assert [plugin.name for plugin in asked] == ["other"]


def test_where_no_process_can_be_started_every_plugin_is_loaded(tried, monkeypatch):
    tried.offer("toy")
    monkeypatch.setattr(probes, "_obstacle", lambda: "this is a frozen application")
    assert listed("toy").spec
