"""The PyCUDA backend on the CPU: its own sessions and kernel, on the arrays of a HostDevice.

The kernel is compiled as C++ by hh_on_cpu.cpp. PyCUDA itself may be missing.
"""

import ctypes
import subprocess
import sys
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import MagicMock, patch

import numpy as np
from device.host_device import HostDevice

from hhplug.backend import API, Backend, BackendSpec, Capabilities
from hhplug.device import KeptMemory
from hhplug.device import session as device_session
from hhplug.plugins.choice import OpenedBackend
from hhplug.plugins.entry import Entry
from hhplug_pycuda.source import equations

SHIM = Path(__file__).with_name("hh_on_cpu.cpp")
FLAGS = "-std=c++17 -O1 -march=native -ffp-contract=off -shared -fPIC -Wall -Werror"
QUIET = "-Wno-unknown-pragmas -Wno-unused-function -Wno-unused-variable"


def built(source, options):
    """The shared library of a kernel's text, with these options of the compiler."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "kernel.cu").write_text(source, encoding="utf-8")
        library = f"{folder}/hh.so"
        command = ["g++", *FLAGS.split(), *QUIET.split(), f"-I{folder}", *options]
        subprocess.run([*command, str(SHIM), "-o", library], check=True)
        return ctypes.CDLL(library)


class Addressed(np.ndarray):
    @property
    def address(self):
        return self.ctypes.data


class CpuDevice(HostDevice):
    def _rubbish(self, count, dtype):
        return super()._rubbish(count, dtype).view(Addressed)

    def stream(self):
        stream = super().stream()
        stream.handle = stream
        return stream

    @cache  # noqa: B019 (a device lives as long as the tests)
    def function(self, name, arguments, source, **choices):
        compiled = built(source, [f"-D{name}={value:d}" for name, value in choices.items()])

        def launch(_grid, _block, stream, b):
            assert (name, len(b)) == ("hh", int(arguments[0].removesuffix("s")))
            stream.enqueue(partial(compiled.run_population, ctypes.c_char_p(b)))

        return SimpleNamespace(prepared_async_call=launch)


@cache
def backend():
    """The module `hhplug_pycuda.backend`."""
    with suppress(ImportError):
        return import_module("hhplug_pycuda.backend")
    driver = MagicMock()
    with patch.dict(sys.modules, {"pycuda": MagicMock(driver=driver), "pycuda.driver": driver}):
        return import_module("hhplug_pycuda.backend")


class OnHost(Backend):
    device = "PyCUDA's kernel on the CPU"

    def __init__(self):
        self._memory = KeptMemory(CpuDevice())

    def prepare(self, problem, max_steps):
        step = equations(problem.membrane, problem.dtype)
        session = backend().PyCudaSession
        return session(self._memory, problem, max_steps, step.program, step.constants).open()


@cache
def opened():
    """The backend, opened for `simulate`."""
    capabilities = Capabilities(membranes="any", noise=True, features="sums")
    spec = BackendSpec("pycuda", "on_host:OnHost", API, "a toy", capabilities=capabilities)
    return OpenedBackend(Entry("pycuda", "tests", "", spec), spec, OnHost())


@contextmanager
def no_room_for_spikes():
    """Let blocks have no room for spikes, and yield a mock that counts their replays."""
    block = device_session.DeviceBlock
    replay = patch.object(block, "_replay", autospec=True, side_effect=block._replay)
    with patch.multiple(device_session, SPIKES_PER_MS=0.0, LEAST_ROOM=0), replay as replayed:
        yield replayed
