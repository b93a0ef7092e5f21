"""A probe may crash, hang or print; it affects only its child process."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest
from plugin_factory import Plugins, check_that_the_others_run, listed, problem_of

from hhplug import Simulator, backends
from hhplug.plugins import discovery, probes

TIMEOUT = 2.0  # s; a child takes 0.3 s to start, on two idle cores


@pytest.fixture
def nothing_asked(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes of the really installed backends, too, are asked during the test."""
    del plugins  # which would otherwise give the answers after this
    monkeypatch.setattr(probes, "_answers", {})


def offer_probed(plugins: Plugins, name: str, probe: str) -> None:
    """Install a backend whose probe has this body."""
    plugins.offer(name, f"def probe():\n    {probe}", probe=f"{name}:probe")


@pytest.mark.parametrize(
    ("probe", "code", "reason", "fix"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "probe_crashed", "killed by SIGKILL", ""),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "probe_crashed", "killed by SIGSEGV", ""),
        ("sys.exit(7)", "probe_crashed", "ended its process with status 7", ""),
        ("os._exit(0)", "probe_crashed", "ended its process with status 0", ""),
        ("raise KeyError('gone')", "probe_failed", "raised KeyError: 'gone'", ""),
        ("import no_such_module", "probe_failed", "raised ModuleNotFoundError", ""),
        (
            "raise BackendUnavailable('no_driver', 'libx.so not found', 'install the driver')",
            "no_driver",
            "libx.so not found",
            "install the driver",
        ),
    ],
)
def test_a_failing_probe_affects_only_its_own_backend(
    plugins: Plugins, probe: str, code: str, reason: str, fix: str
):
    offer_probed(plugins, "evil", probe)
    offer_probed(plugins, "toy", "return 'a toy device'")
    problem = problem_of("evil")
    assert problem.code == code
    assert reason in problem.reason
    assert problem.fix == fix
    assert listed("evil").device is None
    assert listed("toy").device == "a toy device"
    check_that_the_others_run("toy")


@pytest.mark.parametrize("probe", ["evil:no_such_attribute", "no_such_module:probe"])
def test_a_missing_probe_is_explained(plugins: Plugins, probe: str):
    plugins.offer("evil", probe=probe)
    problem = problem_of("evil")
    assert problem.code == "probe_failed"
    assert "no_such" in problem.reason
    check_that_the_others_run()


@pytest.mark.usefixtures("nothing_asked")
def test_a_hanging_probe_is_killed_and_affects_only_its_own_backend(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(probes, "TIMEOUT", TIMEOUT)
    pid_file = plugins.folder / "pid"
    hang = f"Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    offer_probed(
        plugins, "a_evil", hang
    )  # its answer is awaited first, so no time is left for the others
    offer_probed(plugins, "b_evil", "time.sleep(60)")
    offer_probed(plugins, "toy", "return 'a toy device'")
    began = time.monotonic()
    problem = problem_of("a_evil")
    assert time.monotonic() - began < 2 * TIMEOUT
    assert problem.code == "probe_timeout"
    assert problem.reason == f"the probe gave no answer in {TIMEOUT:g} s"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert problem_of("b_evil").code == "probe_timeout"
    assert listed("toy").device == "a toy device"
    check_that_the_others_run("toy")


@pytest.mark.usefixtures("nothing_asked")
def test_the_output_of_a_probe_is_neither_shown_nor_taken_for_its_answer(
    plugins: Plugins, capfd: pytest.CaptureFixture[str]
):
    talk = "print('{\"device\": \"wrong\"}'); print('noise', file=sys.stderr); return 'right'"
    offer_probed(plugins, "toy", talk)
    assert listed("toy").device == "right"
    assert capfd.readouterr() == ("", "")
    check_that_the_others_run("toy")


def test_the_last_output_of_a_probe_that_crashed_is_kept(plugins: Plugins):
    offer_probed(plugins, "evil", "print('my last words', flush=True); os._exit(4)")
    assert "my last words" in problem_of("evil").detail


def test_the_traceback_of_a_probe_that_raised_is_kept(plugins: Plugins):
    offer_probed(plugins, "evil", "raise KeyError('gone')")
    assert "in probe\n    raise KeyError('gone')" in problem_of("evil").detail


@pytest.mark.parametrize(
    ("answer", "device"), [("None", None), ("7", "7"), ("'µ \"GPU\"'", 'µ "GPU"')]
)
def test_a_probe_may_answer_with_anything_or_nothing(
    plugins: Plugins, answer: str, device: str | None
):
    offer_probed(plugins, "toy", f"return {answer}")
    assert listed("toy").unavailable is None
    assert listed("toy").device == device


@pytest.mark.usefixtures("nothing_asked")
def test_probes_run_in_parallel(plugins: Plugins):
    # Each waits for the other to begin, so one after the other would never end.
    meet = "Path(__file__).with_suffix('.here').touch()\n" + " " * 4
    for name, other in (("left", "right"), ("right", "left")):
        wait = f"while not Path(__file__).with_name('{other}.here').exists(): time.sleep(0.01)"
        offer_probed(plugins, name, f"{meet}{wait}\n    return 'met {other}'")
    assert listed("left").device == "met right"
    assert listed("right").device == "met left"


def test_a_probe_is_asked_once_in_the_life_of_a_process(plugins: Plugins):
    asked = plugins.folder / "asked"
    offer_probed(
        plugins, "toy", f"Path({str(asked)!r}).open('a').write('once '); return 'a device'"
    )
    plugins.offer("sharer", probe="toy:probe")
    backends()
    discovery.forget()
    assert listed("toy").device == "a device"
    assert listed("sharer").device == "a device"
    assert asked.read_text() == "once "


def test_a_backend_chosen_by_name_is_not_probed(plugins: Plugins):
    asked = plugins.folder / "asked"
    offer_probed(plugins, "toy", f"Path({str(asked)!r}).touch(); raise RuntimeError")
    assert Simulator(backend="toy").run(T=0.05).backend == "toy"
    assert not asked.exists()
    assert problem_of("toy").code == "probe_failed"
    assert asked.exists()


def test_a_backend_that_lacks_a_package_is_not_probed(plugins: Plugins):
    asked = plugins.folder / "asked"
    probe = f"def probe(): Path({str(asked)!r}).touch()"
    plugins.offer("evil", probe, probe="evil:probe", requires=("no-such-package",))
    assert problem_of("evil").code == "missing_package"
    assert not asked.exists()


def test_a_path_object_in_sys_path_is_allowed(plugins, monkeypatch):
    plugins.offer("toy", "def probe(): return 'a device'", probe="toy:probe")
    monkeypatch.setattr(sys, "path", [*sys.path, Path("somewhere")])
    assert {entry.name: entry.device for entry in backends()}["toy"] == "a device"


def test_a_probe_that_answers_may_leave_a_thread_running(plugins):
    source = """
def probe():
    import threading
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "a device"
"""
    plugins.offer("toy", source, probe="toy:probe")
    began = time.monotonic()
    assert {entry.name: entry.device for entry in backends()}["toy"] == "a device"
    assert time.monotonic() - began < probes.TIMEOUT


def test_a_signal_without_a_name_is_reported_by_its_number(plugins):
    plugins.offer("toy", "def probe(): os.kill(os.getpid(), 40)", probe="toy:probe")
    problem = {entry.name: entry.unavailable for entry in backends()}["toy"]
    assert problem.reason == "the probe was killed by signal 40"


def test_an_exception_of_any_kind_is_the_probes_own(plugins):
    source = "class LicenceError(BaseException): pass\ndef probe(): raise LicenceError('none')"
    plugins.offer("evil", source, probe="evil:probe")
    problem = problem_of("evil")
    assert problem.code == "probe_failed"
    assert problem.reason == "the probe raised LicenceError: none"


def test_a_probe_runs_no_code_of_the_current_folder(plugins, tmp_path_factory, monkeypatch):
    here, log = tmp_path_factory.mktemp("here"), plugins.folder / "log"
    for module in ("sitecustomize", "usercustomize", "json", "ctypes", "only_here"):
        (here / f"{module}.py").write_text(f"open({str(log)!r}, 'a').write(__name__)\n")
    # As `python -c` and `python -m` put it there.
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", ["", ".", str(here), *sys.path])
    offer_probed(plugins, "toy", "import ctypes; return 'a device'")
    offer_probed(plugins, "other", "import only_here; return 'a device'")
    assert listed("toy").device == "a device"
    assert "No module named 'only_here'" in problem_of("other").reason
    assert not log.exists()


def test_a_folder_that_pythonpath_names_is_searched_also_if_it_is_the_current_one(
    plugins, monkeypatch
):
    monkeypatch.chdir(plugins.folder)
    monkeypatch.setenv("PYTHONPATH", str(plugins.folder))
    offer_probed(plugins, "toy", "return 'a device'")
    assert listed("toy").device == "a device"


def test_variables_that_name_code_or_settings_do_not_reach_a_probe(plugins, monkeypatch):
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONSTARTUP", "no_such_file")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = "[name for name in os.environ if name.startswith(('PYT', 'COV'))]"
    offer_probed(plugins, "toy", f"import warnings; warnings.warn('old'); return {found}")
    assert listed("toy").device == "['PYTHONDONTWRITEBYTECODE']"


def app(folder):
    """An executable that notes each start of it."""
    path = folder / "app"
    path.write_text(f"#!/bin/sh\necho started >> {folder}/starts\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ({"frozen": True}, "this is a frozen application"),
        ({"executable": ""}, "sys.executable is empty"),
        ({"executable": None}, "sys.executable is empty"),
        ({"executable": app}, "/app, which is not Python"),
        ({"executable": "/no/such/python3"}, "/no/such/python3, which cannot be run"),
    ],
)
def test_no_probe_runs_where_that_would_start_an_application(
    plugins, monkeypatch, attribute, reason
):
    ((name, value),) = attribute.items()
    value = str(value(plugins.folder)) if callable(value) else value
    monkeypatch.setattr(sys, name, value, raising=False)
    offer_probed(plugins, "toy", f"Path({str(plugins.folder / 'starts')!r}).touch()")
    problem = problem_of("toy")
    assert problem.code == "not_probed"
    assert problem.reason.startswith("no probe can run: ")
    assert problem.reason.endswith(reason)
    assert Simulator().backend != "toy"
    assert Simulator("toy").backend == "toy"
    assert not (plugins.folder / "starts").exists()


@pytest.mark.parametrize(
    "name",
    ["python", "python3.11", "Python", "pythonw.exe", "python_d.exe", "python3.13t", "pypy3"],
)
def test_a_python_is_recognised_by_its_name(name):
    assert probes.PYTHON.fullmatch(name)


@pytest.mark.parametrize("name", ["app", "python-app", "blender", "pythonista.exe", "uwsgi"])
def test_an_application_is_not_taken_for_python(name):
    assert not probes.PYTHON.fullmatch(name)


def test_a_probe_that_lists_backends_starts_no_further_probes(plugins):
    listing = "[e.unavailable.code for e in hhplug.backends() if e.name == 'toy']"
    offer_probed(plugins, "toy", f"import hhplug; return {listing}")
    assert listed("toy").device == "['not_probed']"


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="a system without process groups")
@pytest.mark.parametrize("end", ["time.sleep(60)", "return 'a device'"])
def test_a_probe_dies_with_its_children(plugins, monkeypatch, end):
    monkeypatch.setattr(probes, "TIMEOUT", TIMEOUT)
    pid_file = plugins.folder / "pid"
    child = "subprocess.Popen(['sleep', '60'])"
    body = f"import subprocess; Path({str(pid_file)!r}).write_text(str({child}.pid)); {end}"
    offer_probed(plugins, "toy", body)
    began = time.monotonic()
    assert listed("toy").device == (None if "sleep" in end else "a device")
    assert time.monotonic() - began < 2 * TIMEOUT
    while runs(int(pid_file.read_text())):
        assert time.monotonic() - began < 4 * TIMEOUT
        time.sleep(0.01)


def runs(pid):
    """Whether a process runs; one that is dead, and that nobody asked about yet, does not."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="a system without files in memory")
def test_a_probe_needs_no_folder_that_can_be_written(plugins, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    offer_probed(plugins, "toy", "return 'a device'")
    assert listed("toy").device == "a device"


def test_a_process_that_cannot_be_started_is_explained(plugins, monkeypatch):
    offer_probed(plugins, "toy", "return 'a device'")
    monkeypatch.setattr("subprocess.Popen", Mock(side_effect=BlockingIOError(11, "too many")))
    problem = problem_of("toy")
    assert problem.code == "not_probed"
    assert problem.reason.endswith("no process could be started for the probe: [Errno 11] too many")
    check_that_the_others_run()
