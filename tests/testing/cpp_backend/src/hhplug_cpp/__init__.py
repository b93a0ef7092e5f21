"""The spec of hhplug's cpp backend; the implementation is in `backend` and `kernel.cpp`."""

from collections.abc import Iterable

from hhplug import hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="cpp",
            factory="hhplug_cpp.backend:CppBackend",
            api="2.0",
            summary="C++ on one core of any CPU, compiled by g++",
            capabilities=Capabilities(fork=True),
        )
    ]
