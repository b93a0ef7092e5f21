"""The spec of hhplug's mychip backend; the implementation is in `backend`."""

from collections.abc import Iterable

from hhplug import hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="mychip",
            factory="hhplug_mychip.backend:MychipBackend",
            api="2.0",
            summary="plain NumPy in float64, on one core of any CPU",
            capabilities=Capabilities(dtypes=("float64",)),
        )
    ]
