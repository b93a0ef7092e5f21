"""Ask backends, each in a child process, whether they can run here.

A probe is a function without arguments. It returns the name of the device that would run the
simulation, for example "NVIDIA H100", or None, or it raises BackendUnavailable. If it crashes or
hangs, only its child process does.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hhplug.errors import BackendUnavailable

TIMEOUT = 5.0  # s, for all probes together, which run in parallel

CHILD = "import sys; from hhplug.plugins.probes import child; child(*sys.argv[1:])"

_answers: dict[str, "Answer"] = {}


@dataclass(frozen=True)
class Answer:
    """What a probe found: the name of a device, or why the backend cannot run."""

    device: str | None = None
    unavailable: BackendUnavailable | None = None


def answers(probes: Iterable[str]) -> dict[str, Answer]:
    """The answer of each probe ("module:attribute"). This process runs each probe only once."""
    wanted = list(probes)
    new = [probe for probe in dict.fromkeys(wanted) if probe not in _answers]
    if new:
        with tempfile.TemporaryDirectory() as folder:
            deadline = time.monotonic() + TIMEOUT
            children = [_Child(probe, Path(folder) / str(i)) for i, probe in enumerate(new)]
            try:
                for probe, started in zip(new, children, strict=True):
                    _answers[probe] = started.answer(deadline)
            finally:
                for started in children:
                    started.kill()
    return {probe: _answers[probe] for probe in wanted}


class _Child:
    """The child process of one probe."""

    def __init__(self, probe: str, stem: Path):
        self._answer = stem.with_suffix(".json")
        self._output = stem.with_suffix(".log")
        paths = [path for path in sys.path if isinstance(path, str) and path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CHILD, probe, str(self._answer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )

    def answer(self, deadline: float) -> Answer:
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return self._failed("probe_timeout", f"the probe gave no answer in {TIMEOUT:g} s")
        if not self._answer.exists():
            return self._failed("probe_crashed", f"the probe {_ended(status)}")
        found = json.loads(self._answer.read_text(encoding="utf-8"))
        if "code" in found:
            return Answer(unavailable=BackendUnavailable(**found))
        return Answer(**found)

    def kill(self) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # a child stuck in a driver cannot be waited for
            self._process.wait(1.0)

    def _failed(self, code: str, reason: str) -> Answer:
        log = self._output.read_text(encoding="utf-8", errors="replace")
        return Answer(unavailable=BackendUnavailable(code, reason, detail=log.strip()))


def _ended(status: int) -> str:
    if status < 0:
        known = {s.value: s.name for s in signal.Signals}
        return f"was killed by {known.get(-status, f'signal {-status}')}"
    return f"ended its process with status {status}"


def child(probe: str, answer_file: str) -> None:
    """Call the probe, write its answer, and exit without waiting for its threads.

    The child process runs this function.
    """
    module, _, attribute = probe.partition(":")
    try:
        device = getattr(import_module(module), attribute)()
        found = {"device": None if device is None else str(device)}
    except BackendUnavailable as problem:
        found = {
            "code": problem.code,
            "reason": problem.reason,
            "fix": problem.fix,
            "detail": problem.detail,
        }
    except Exception as error:
        found = {
            "code": "probe_failed",
            "reason": f"the probe raised {type(error).__name__}: {error}",
            "detail": traceback.format_exc(),
        }
    partial = Path(answer_file).with_suffix(".part")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(answer_file)
    os._exit(0)
