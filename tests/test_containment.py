"""What a plugin does while it is loaded or listed stays its own."""

import gc
import importlib
import json
import locale
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import numpy as np
import pytest
from plugin_factory import Plugins, check_that_the_others_run, listed, problem_of

import hhplug
from hhplug import BackendUnavailable, Simulator, cli

HOOK = "@hookimpl\ndef hhplug_backends():\n    "
LICENCE = "class LicenceError(BaseException): pass\n"
SKIPPED = "import pytest\npytest.importorskip('cupy_of_another_age')"
SPEC = "s = BackendSpec(name='x', factory='a:b', api='2.0', summary='s'); "
CHANGING = """
    class Changing(BackendSpec):
        offered = False
        def __getattribute__(self, name):
            if name == "priority" and Changing.offered:
                raise RuntimeError("busy")
            return super().__getattribute__(name)
    spec = Changing(name="x", factory="a:b", api="2.0", summary="s")
    Changing.offered = True
    return [spec]
"""
UNSHOWABLE = "class Unshowable(Exception):\n    def __str__(self): raise LookupError\n"


@pytest.mark.parametrize(
    ("source", "code", "reason"),
    [
        (LICENCE + "raise LicenceError('no server')", "load_failed", "LicenceError: no server"),
        (SKIPPED, "load_failed", "Skipped: could not import 'cupy_of_another_age'"),
        ("raise GeneratorExit", "load_failed", "raised GeneratorExit"),
        (LICENCE + HOOK + "raise LicenceError('none')", "hook_failed", "LicenceError: none"),
        (
            HOOK + SPEC + "object.__setattr__(s, 'name', None); return [s]",
            "hook_failed",
            "got None",
        ),
        (HOOK + CHANGING, "hook_failed", "RuntimeError: busy"),
        (UNSHOWABLE + "raise Unshowable", "load_failed", "Unshowable: its message cannot be shown"),
        (HOOK + "raise BackendUnavailable('no_chip', 'no chip')", "no_chip", "no chip"),
        ("def __getattr__(name): raise KeyError(name)", "hook_failed", "KeyError"),
    ],
)
def test_whatever_a_plugin_raises_is_explained_and_hides_no_other(
    plugins: Plugins, source: str, code: str, reason: str
):
    plugins.install("evil_x", source, entry_point="evil")
    plugins.offer("toy")
    problem = problem_of("evil")
    assert problem.code == code
    assert reason in problem.reason
    assert code == "no_chip" or "evil_x 1.0" in problem.reason
    check_that_the_others_run("toy")


@pytest.mark.parametrize("when", ["", HOOK])
def test_an_interruption_names_the_plugin_and_ends_the_program(plugins, capsys, when):
    plugins.install("slow_x", when + "raise KeyboardInterrupt", entry_point="slow")
    text = "interrupted while loading the plugin 'slow' of slow_x 1.0"
    with pytest.raises(KeyboardInterrupt, match=text):
        Simulator("slow")
    assert cli.main(["backends"]) == 130
    assert capsys.readouterr().err == f"hhplug: {text}\n"


@pytest.mark.parametrize("error", ["LicenceError('no server')", "GeneratorExit"])
def test_whatever_a_factory_raises_is_explained(plugins, error):
    source = f"{LICENCE}def factory(device): raise {error}"
    plugins.offer("evil", source, factory="evil:factory", priority=1000)
    plugins.offer("toy", priority=999)
    with pytest.raises(BackendUnavailable, match=r"\[factory_failed\] (Lic|Gen)"):
        Simulator("evil")
    with pytest.warns(RuntimeWarning, match="passed over by 'auto': backend 'evil'"):
        assert Simulator().backend == "toy"


def test_an_interruption_of_a_factory_names_the_plugin(plugins):
    source = "def factory(device): raise KeyboardInterrupt"
    plugins.offer("slow", source, factory="slow:factory")
    with pytest.raises(KeyboardInterrupt, match=r"while opening the backend of slow 1\.0"):
        Simulator("slow")


def test_a_plugin_is_loaded_where_a_module_is_forbidden(plugins, monkeypatch):
    monkeypatch.setitem(sys.modules, "hhplug.forbidden", None)  # Python's way to make it fail
    plugins.offer("toy")
    assert Simulator("toy").backend == "toy"


def _umask():
    mask = os.umask(0)  # can't be read without being set
    os.umask(mask)
    return mask


SETTINGS = {
    "warnings filters": (
        "import warnings; warnings.simplefilter('ignore')",
        lambda: list(warnings.filters),
    ),
    "showwarning": ("import warnings; warnings.showwarning = print", lambda: warnings.showwarning),
    "handlers": ("signal.signal(signal.SIGINT, print)", lambda: signal.getsignal(signal.SIGINT)),
    "ignored": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        lambda: signal.getsignal(signal.SIGTERM),
    ),
    "errstate": ("import numpy; numpy.seterr(all='raise')", np.geterr),
    "printing": ("import numpy; numpy.set_printoptions(precision=1)", np.get_printoptions),
}
OF_THE_PROCESS = {
    "folder": ("os.chdir('/')", os.getcwd),
    "environment": (
        "os.environ['CUDA_VISIBLE_DEVICES'] = ''; del os.environ['PATH']",
        lambda: dict(os.environ),
    ),
    "recursion": ("sys.setrecursionlimit(10**5)", sys.getrecursionlimit),
    "random": ("import random; random.seed(0)", random.getstate),
    "locale": (
        "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')",
        lambda: locale.setlocale(locale.LC_ALL),
    ),
    "streams": ("sys.stdout = sys.stderr = None", lambda: (sys.stdout, sys.stderr)),
    "garbage": ("import gc; gc.disable()", gc.isenabled),
    "trace": ("sys.settrace(lambda *_: None)", sys.gettrace),
    "alarm": ("signal.alarm(60)", lambda: signal.getitimer(signal.ITIMER_REAL)),
    "exceptions": ("sys.excepthook = print", lambda: sys.excepthook),
    "hooks": (
        "import threading; sys.unraisablehook = threading.excepthook = sys.displayhook = print",
        lambda: (sys.unraisablehook, threading.excepthook, sys.displayhook),
    ),
    "modules": ("sys.path.insert(0, 'vendored')", lambda: list(sys.path)),
    "search path": ("sys.path = ['vendored', *sys.path]", lambda: list(sys.path)),
    "profile": ("sys.setprofile(lambda *_: None)", sys.getprofile),
    "collection": (
        "import gc; gc.set_threshold(1); gc.set_debug(gc.DEBUG_UNCOLLECTABLE)",
        lambda: (gc.get_threshold(), gc.get_debug()),
    ),
    "switching": ("sys.setswitchinterval(0.5)", sys.getswitchinterval),
    "permissions": ("os.umask(0o077)", _umask),
    "sockets": ("import socket; socket.setdefaulttimeout(1)", socket.getdefaulttimeout),
    "temporary files": ("import tempfile; tempfile.tempdir = '/'", lambda: tempfile.tempdir),
    "processors": (
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
        lambda: os.sched_getaffinity(0),
    ),
    "blocked signals": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
    ),
    "functions": (
        "import builtins, json, locale; sys.exit = json.dumps = locale.setlocale = os.chdir = None"
        "; os.environ = {}; builtins.print = builtins.setattr = None; del builtins.callable",
        lambda: (sys.exit, json.dumps, locale.setlocale, os.chdir, os.environ, print, callable),
    ),
    "functions of NumPy and hhplug": (
        "import numpy, hhplug; numpy.exp = hhplug.Simulator.run = hhplug.checks.whole = None",
        lambda: (np.exp, Simulator.run, hhplug.checks.whole),
    ),
    "descriptors": (
        "os.close(0); os.close(1); os.dup2(os.open(os.devnull, os.O_WRONLY), 2)",
        lambda: [(os.fstat(number)[:3], os.get_inheritable(number)) for number in range(3)],
    ),
    "time zone": ("os.environ['TZ'] = 'XYZ-5'; time.tzset()", lambda: time.tzname),
    "logging": (
        "import logging; logging.basicConfig(level=0, force=True); logging.disable()",
        lambda: (logging.root.level, [*logging.root.handlers], logging.root.manager.disable),
    ),
}


@pytest.mark.parametrize("when", ["load", "hook"])
@pytest.mark.parametrize("setting", [*SETTINGS, *OF_THE_PROCESS])
def test_a_listed_plugin_changes_no_setting_of_the_process(plugins, setting, when):
    change, read = (SETTINGS | OF_THE_PROCESS)[setting]
    indented = "\n    ".join(change.split("; "))
    source = change if when == "load" else f"{HOOK}{indented}\n    return []"
    plugins.install("evil_x", source, entry_point="evil")
    before = read()
    assert problem_of("evil").code == "no_backend"
    assert read() == before


def test_a_copy_of_the_process_that_a_plugin_makes_ends_with_the_plugin(plugins):
    source = "import warnings; warnings.simplefilter('ignore')\nchild = os.fork()"
    plugins.install("forking_x", source, entry_point="forking")
    assert problem_of("forking").code == "no_backend"  # this process goes on
    _, status = os.waitpid(sys.modules["forking_x"].child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_streams_that_a_plugin_closes_are_open_again(plugins):
    plugins.offer("toy", "sys.stdout.close(); sys.stderr.close()")
    script = (
        "import os, sys\n"
        "from hhplug.plugins import discovery\n"
        "os.close(0)\n"
        "discovery.entry('toy')\n"
        "print('é', sys.stdout.encoding, sys.__stdout__ is sys.stdout)\n"
        "os.fstat(0)"
    )
    done = plugins.python("-X", "utf8", "-c", script)
    assert done.stdout == "é utf-8 True\n"
    assert "Bad file descriptor" in done.stderr  # one that was closed before is still closed


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_backend_that_is_opened_changes_no_filter_and_no_handler(plugins, setting):
    change, read = SETTINGS[setting]
    source = f"""
from hhplug.reference import ReferenceBackend
def factory(device):
    {change}
    return ReferenceBackend()
"""
    plugins.offer("toy", source, factory="toy:factory")
    before = read()
    assert Simulator("toy").backend == "toy"
    assert read() == before


def test_the_global_random_numbers_of_numpy_are_kept(plugins):
    plugins.install("evil_x", "import numpy; numpy.random.seed(0)", entry_point="evil")
    np.random.seed(7)  # noqa: NPY002 (the state that a plugin might reset)
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    assert problem_of("evil").code == "no_backend"
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_a_plugin_may_be_loaded_in_another_thread(plugins):
    from concurrent.futures import ThreadPoolExecutor

    plugins.offer("toy")
    with ThreadPoolExecutor() as pool:
        assert pool.submit(listed, "toy").result().unavailable is None


def test_what_a_plugin_prints_in_a_users_process_is_not_redirected(plugins, capfd):
    plugins.offer("toy", "print('printed'); os.write(1, b'written')")
    assert listed("toy").unavailable is None
    out, err = capfd.readouterr()
    assert ("printed" in out, "written" in out, err) == (True, True, "")


def test_a_command_that_names_a_backend_loads_that_plugin_alone(plugins, capsys):
    plugins.offer("toy")
    plugins.install("other_x", "Path(__file__).with_suffix('.ran').touch()", entry_point="other")
    loaded = plugins.folder / "other_x.ran"
    for arguments in (
        ["run", "--backend", "toy", "--duration", "1"],
        ["bench", "--backends", "toy,reference", "--n-runs", "1", "--batch-sizes", "1"],
        ["backends", "--why", "toy"],
    ):
        assert cli.main(arguments) == 0
        assert not loaded.exists(), arguments
    assert "toy (toy 1.0): available; it has run on " in capsys.readouterr().out
    assert cli.main(["backends"]) == 0
    assert loaded.exists()


def test_a_slow_plugin_is_named_with_its_seconds(plugins, capsys):
    plugins.offer("slow", "time.sleep(0.21)", version="2.5")
    plugins.offer("toy")
    importlib.import_module("hhplug.reference")  # this process is warm
    cli.main(["backends"])
    lines = [line for line in capsys.readouterr().out.splitlines() if " to load" in line]
    (line,) = (line for line in lines if "slow" in line)
    assert line.startswith("slow 2.5 took 0.2")
    assert line.endswith(" s to load, for which every listing waits.")
    assert not [line for line in lines if line.startswith("toy")]


def test_a_logger_that_a_plugin_is_the_first_to_configure_is_as_at_first():
    script = (
        "import sys\n"
        "from hhplug.plugins.containment import kept_process\n"
        "assert 'logging' not in sys.modules\n"
        "with kept_process():\n"
        "    import logging; logging.basicConfig(level=10); logging.disable()\n"
        "print(logging.root.level, logging.root.handlers, logging.root.manager.disable)"
    )
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == f"{logging.WARNING} [] {logging.NOTSET}\n"
