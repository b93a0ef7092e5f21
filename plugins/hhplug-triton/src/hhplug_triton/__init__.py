"""The spec of hhplug's Triton backend; the implementation is in `backend` and `kernels`."""

from collections.abc import Iterable

from hhplug import hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="triton",
            factory="hhplug_triton.import_guard:open_backend",
            api="2.0",
            summary="Triton kernels on PyTorch tensors, on GPUs",
            requires=("torch>=2.10", "triton>=3.6"),
            probe="hhplug_triton.probe:probe",
            priority=30,
            capabilities=Capabilities(
                membranes="any",
                methods=("rk4", "stiff"),
                noise=True,
                ordered_spikes=True,
                features="sums",
                device_index=True,
                device_arrays=True,
            ),
            install_hint="pip install --upgrade ./plugins/hhplug-triton (in a checkout of hhplug)",
            source="hhplug_triton.equations:source",
        )
    ]
