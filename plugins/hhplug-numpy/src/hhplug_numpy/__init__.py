"""The spec of hhplug's NumPy backend; the implementation is in `backend` and `kernels`."""

from collections.abc import Iterable

from hhplug import hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="numpy",
            factory="hhplug_numpy.backend:NumpyBackend",
            api="2.0",
            summary="in-place NumPy on cache-sized blocks, one core of any CPU",
            requires=("numpy>=2.0",),
            capabilities=Capabilities(
                membranes="any", methods=("rk4", "stiff"), noise=True, fork=True
            ),
            priority=10,
            install_hint="pip install 'numpy>=2.0'",
        )
    ]
