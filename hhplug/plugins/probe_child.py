"""The child process of one probe: it calls the probe and writes its answer to standard output."""

import json
import os
import traceback
from importlib import import_module

from hhplug.errors import BackendUnavailable, described

BEFORE_ANSWER = "\n--- the answer of the probe ---\n"


def main(probe: str) -> None:
    """Call the probe, write its answer, and exit without waiting for its threads.

    What the probe prints goes to standard error, also from its own child processes.
    """
    answer = os.dup(1)
    os.dup2(2, 1)
    found = json.dumps(_called(probe))
    os.write(answer, (BEFORE_ANSWER + found).encode())
    os._exit(0)


def _called(probe: str) -> dict[str, str | None]:
    """What the probe found, as the fields of an Answer or of a BackendUnavailable.

    probe: "module:attribute", and perhaps arguments after it.
    """
    function, *arguments = probe.split()
    module, _, attribute = function.partition(":")
    try:
        device = getattr(import_module(module), attribute)(*arguments)
        return {"device": None if device is None else str(device)}
    except BackendUnavailable as problem:
        return {
            "code": problem.code,
            "reason": problem.reason,
            "fix": problem.fix,
            "detail": str(problem.detail),
            "device": str(problem.device),
        }
    except SystemExit:
        raise
    except BaseException as error:
        return {
            "code": "probe_failed",
            "reason": f"the probe raised {described(error)}",
            "detail": traceback.format_exc(),
        }
