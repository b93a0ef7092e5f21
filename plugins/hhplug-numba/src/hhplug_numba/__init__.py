"""The spec of hhplug's Numba backend; the implementation is in `backend`."""

from collections.abc import Iterable

from hhplug import hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="numba",
            factory="hhplug_numba.backend:NumbaBackend",
            api="2.0",
            summary="loops that LLVM vectorises, on all cores of the CPU",
            requires=("numba>=0.61",),
            capabilities=Capabilities(fork=True),
            priority=20,
            install_hint="pip install --upgrade ./plugins/hhplug-numba (in a checkout of hhplug)",
        )
    ]
