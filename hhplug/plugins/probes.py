"""Ask backends, each in a child process, whether they can run here.

A probe is a function without arguments. It returns the name of the device that would run the
simulation, for example "NVIDIA H100", or None, or it raises BackendUnavailable. If it crashes or
hangs, only its child process does. `probe_child` is what the child runs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hhplug.errors import BackendUnavailable
from hhplug.plugins import probe_child

TIMEOUT = 5.0  # s, for all probes together, which run in parallel

# The child gets this process's sys.path after it has started, so that no code in it runs earlier.
CHILD = """\
import json, sys
paths, probe = sys.argv[1:]
sys.path[:] = dict.fromkeys(json.loads(paths) + sys.path)
from hhplug.plugins import probe_child
probe_child.main(probe)
"""
# Set in a child, so that a probe that lists backends starts no further probes.
WITHIN = "HHPLUG_WITHIN_A_PROBE"
# Python's and pytest's other variables are not passed to a child: they may name code to run.
PASSED = {
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONUSERBASE",
    "PYTHONUTF8",
}
PYTHON = re.compile(r"(python|pypy|graalpy)[\d.]*([wtdm]|_d|-dbg|-intel64)*(\.exe)?", re.IGNORECASE)
ROOT = Path(__file__).parents[2]  # the folder of the package hhplug

_answers: dict[str, "Answer"] = {}


@dataclass(frozen=True)
class Answer:
    """What a probe found: the name of a device, or why the backend cannot run."""

    device: str | None = None
    unavailable: BackendUnavailable | None = None


def answers(probes: Iterable[str]) -> dict[str, Answer]:
    """The answer of each probe, "module:attribute" or with words after it that it is called with.

    This process runs each probe only once.
    """
    wanted = list(probes)
    new = [probe for probe in dict.fromkeys(wanted) if probe not in _answers]
    obstacle = _obstacle() if new else ""
    if obstacle:
        fix = "a backend that is asked for by its name needs no probe"
        problem = BackendUnavailable("not_probed", f"no probe can run: {obstacle}", fix)
        return {probe: _answers.get(probe, Answer(unavailable=problem)) for probe in wanted}
    children: list[_Child] = []
    deadline = time.monotonic() + TIMEOUT
    try:
        children.extend(map(_Child, new))
        for probe, started in zip(new, children, strict=True):
            _answers[probe] = started.answer(deadline)
    finally:
        for started in children:
            started.kill()
    return {probe: _answers[probe] for probe in wanted}


def _obstacle() -> str:
    """Why this process can start no other Python, or an empty text.

    An application that contains Python would start itself.
    """
    if os.environ.get(WITHIN):
        return "this process is a probe itself"
    if getattr(sys, "frozen", False):
        return "this is a frozen application"
    if not sys.executable:
        return "sys.executable is empty"
    if not PYTHON.fullmatch(Path(sys.executable).name):
        return f"sys.executable is {sys.executable}, which is not Python"
    if not os.access(sys.executable, os.X_OK):
        return f"sys.executable is {sys.executable}, which cannot be run"
    return ""


def _paths() -> list[str]:
    """The entries of sys.path without the current folder, unless the user or hhplug needs it.

    Python puts it there for `python -m` and `python -c`. Where a .pth file names it, the child
    finds it by itself.
    """
    try:
        here = os.path.realpath(".")
    except OSError:  # it was removed
        here = ""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = {os.path.realpath(path) for path in [*filter(os.path.isabs, named), str(ROOT)]}
    paths = [str(Path(path).absolute()) for path in sys.path if isinstance(path, str) and path]
    return [path for path in paths if os.path.realpath(path) != here or here in kept]


class _Child:
    """The child process of one probe, in a process group of its own."""

    def __init__(self, probe: str):
        self._process: subprocess.Popen[bytes] | None = None
        self._files = ExitStack()
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED or not name.startswith(("PYTHON", "PYTEST", "COVERAGE"))
        }
        try:
            self._answer, self._output = map(self._files.enter_context, _unnamed_files())
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", CHILD, json.dumps(_paths()), probe],
                stdin=subprocess.DEVNULL,
                stdout=self._answer,
                stderr=self._output,
                env=environment | {WITHIN: "1"},
                start_new_session=True,
            )
        except OSError as error:
            self._error = str(error)

    def answer(self, deadline: float) -> Answer:
        if self._process is None:
            reason = f"no process could be started for the probe: {self._error}"
            return Answer(unavailable=BackendUnavailable("not_probed", reason))
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return self._failed("probe_timeout", f"the probe gave no answer in {TIMEOUT:g} s")
        # Before it are lines that Python itself may have written when the child started.
        _, answered, answer = _read(self._answer).rpartition(probe_child.BEFORE_ANSWER)
        if not answered:
            return self._failed("probe_crashed", f"the probe {_ended(status)}")
        found = json.loads(answer)
        if "code" in found:
            return Answer(unavailable=BackendUnavailable(**found))
        return Answer(**found)

    def kill(self) -> None:
        """Kill the child with every process of its group."""
        if self._process is not None:
            if hasattr(os, "killpg"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # one stuck in a driver can't be waited for
                self._process.wait(1.0)
        self._files.close()

    def _failed(self, code: str, reason: str) -> Answer:
        detail = _read(self._output).strip()
        return Answer(unavailable=BackendUnavailable(code, reason, detail=detail))


def _unnamed_files() -> Iterator[IO[bytes]]:
    """Two temporary files, in memory where the system has that: no folder may be writable."""
    for _ in range(2):
        if hasattr(os, "memfd_create"):
            yield os.fdopen(os.memfd_create("hhplug-probe"), "w+b")
        else:
            yield tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _ended(status: int) -> str:
    if status < 0:
        known = {s.value: s.name for s in signal.Signals}
        return f"was killed by {known.get(-status, f'signal {-status}')}"
    return f"ended its process with status {status}"
