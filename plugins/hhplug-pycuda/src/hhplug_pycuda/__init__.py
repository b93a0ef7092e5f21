"""The spec of hhplug's PyCUDA backend; the implementation is in `backend` and `hh.cu`."""

from collections.abc import Iterable

from hhplug import hookimpl
from hhplug.backend import BackendSpec, Capabilities


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="pycuda",
            factory="hhplug_pycuda.backend:PyCudaBackend",
            api="2.0",
            summary="a CUDA C kernel that keeps neurons in registers, on NVIDIA GPUs",
            requires=("pycuda>=2024.1",),
            probe="hhplug_pycuda.probe:probe",
            priority=40,
            capabilities=Capabilities(
                membranes="any",
                methods=("rk4", "stiff"),
                noise=True,
                ordered_spikes=True,
                features="sums",
                device_index=True,
                device_arrays=True,
            ),
            install_hint="pip install './plugins/hhplug-pycuda[cuda]' (builds PyCUDA: needs nvcc)",
            source="hhplug_pycuda.source:source",
        )
    ]
