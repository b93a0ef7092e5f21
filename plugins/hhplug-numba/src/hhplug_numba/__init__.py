"""The spec of hhplug's Numba backend; the implementation is in `backend`."""

import os
from collections.abc import Iterable

from hhplug import BackendUnavailable, hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    setting = os.environ.get("NUMBA_DISABLE_JIT", "")
    if setting.strip().lstrip("-").isdecimal() and int(setting):  # Numba ignores any other value
        raise BackendUnavailable(
            "jit_disabled",
            f"NUMBA_DISABLE_JIT={setting} switches off the compiler that hhplug-numba needs",
            "unset NUMBA_DISABLE_JIT",
        )
    return [
        BackendSpec(
            name="numba",
            factory="hhplug_numba.backend:NumbaBackend",
            api="2.0",
            summary="loops that LLVM vectorises, on all cores of the CPU",
            requires=("numba>=0.61",),
            capabilities=Capabilities(
                membranes="any", methods=("rk4", "stiff"), noise=True, fork=True
            ),
            priority=20,
            install_hint="pip install --upgrade ./plugins/hhplug-numba (in a checkout of hhplug)",
        )
    ]
