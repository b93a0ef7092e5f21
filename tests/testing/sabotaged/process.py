"""Faults that change the process, or leave something behind in it."""

import atexit
import ctypes
import gc
import json
import mmap
import os
import random
import subprocess
import sys
import tempfile
import threading
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from sabotaged.changes import nudged
from sabotaged.faultless import Faultless


class OutputPrinted(Faultless):
    """It prints past Python, as a C library does."""

    def read(self, session, steps, out):
        os.write(1, b"computing a block\n")
        super().read(session, steps, out)


class RandomNumbersDrawn(Faultless):
    """It draws from the generators that belong to the user's program."""

    def read(self, session, steps, out):
        np.random.random()  # noqa: NPY002 (it is the fault)
        random.random()
        super().read(session, steps, out)


class EnvironmentChanged(Faultless):
    _runs = 0

    def prepare(self, problem, max_steps):
        self._runs += 1
        os.environ["OMP_NUM_THREADS"] = str(self._runs)
        return super().prepare(problem, max_steps)


class WarningsSilenced(Faultless):
    _runs = 0

    def prepare(self, problem, max_steps):
        self._runs += 1
        warnings.filterwarnings("ignore", message=f"run {self._runs}")
        return super().prepare(problem, max_steps)


class DenormalsSwitchedOff(Faultless):
    """Denormal numbers are zero from the second run on, on processors of the x86-64 family."""

    _runs = 0

    def prepare(self, problem, max_steps):
        self._runs += 1
        if self._runs > 1:
            _set_mxcsr(0x9FC0)  # flush to zero, and denormals are zeros
        return super().prepare(problem, max_steps)


def _set_mxcsr(value):
    """Load the register that controls floating-point arithmetic: ldmxcsr, then return."""
    code = b"\x48\x83\xec\x08\xc7\x04\x24" + value.to_bytes(4, "little")
    code += b"\x0f\xae\x14\x24\x48\x83\xc4\x08\xc3"
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CFUNCTYPE(None)(address)()


class DenormalsSwitchedOffByEachRun(Faultless):
    """Denormal numbers are zero from the first run on, so that no later one changes anything."""

    def prepare(self, problem, max_steps):
        _set_mxcsr(0x9FC0)
        return super().prepare(problem, max_steps)


class GarbageCollectionSwitchedOff(Faultless):
    def prepare(self, problem, max_steps):
        gc.disable()
        return super().prepare(problem, max_steps)


class TemporaryFileOfEachRun(Faultless):
    def prepare(self, problem, max_steps):
        os.close(tempfile.mkstemp(".cpp", "block-")[0])
        return super().prepare(problem, max_steps)


class FunctionForTheEndOfEachRun(Faultless):
    def prepare(self, problem, max_steps):
        atexit.register(lambda: None)
        return super().prepare(problem, max_steps)


class FileBesideThePackage(Faultless):
    def prepare(self, problem, max_steps):
        file = Path(__file__).with_name(f"compiled-{os.getpid()}.so")
        file.touch()
        atexit.register(file.unlink, missing_ok=True)
        return super().prepare(problem, max_steps)


class OutputOfCAtTheEnd(Faultless):
    """The C library keeps what is printed until the process ends."""

    def prepare(self, problem, max_steps):
        ctypes.CDLL(None).printf(b"computed a run\n")
        return super().prepare(problem, max_steps)


class ProcessThatNeverEnds(Faultless):
    """A thread that isn't a daemon waits for ever, but in new processes alone."""

    def prepare(self, problem, max_steps):
        if "pytest" not in sys.modules:
            threading.Thread(target=threading.Event().wait).start()
        return super().prepare(problem, max_steps)


class EveryProblemKept(Faultless):
    def __init__(self, device=None):
        super().__init__(device)
        self._problems = []

    def understood(self, problem):
        self._problems.append(problem)
        return problem


class EverySampleLeaked(Faultless):
    """Samples are copied to memory of the C library that is never freed, unseen by Python."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        allocate = ctypes.CDLL(None).malloc
        allocate.argtypes, allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
        for samples in out.samples.values():
            ctypes.memmove(allocate(samples.nbytes), samples.ctypes.data, samples.nbytes)


class EveryFileKept(Faultless):
    def __init__(self, device=None):
        super().__init__(device)
        self._files = []

    def prepare(self, problem, max_steps):
        self._files.append(os.open(os.devnull, os.O_RDONLY))
        return super().prepare(problem, max_steps)

    def __del__(self):
        for file in self._files:
            os.close(file)


class EveryChildKept(Faultless):
    def __init__(self, device=None):
        super().__init__(device)
        self._children = []

    def prepare(self, problem, max_steps):
        self._children.append(subprocess.Popen(["sleep", "60"]))
        return super().prepare(problem, max_steps)

    def __del__(self):
        for child in self._children:
            child.kill()
            child.wait()


class FunctionOfJsonReplaced(Faultless):
    _runs = 0

    def prepare(self, problem, max_steps):
        json.dumps = partial(json.JSONEncoder().encode)
        return super().prepare(problem, max_steps)


class CacheThatMustBeWritable(Faultless):
    """Compiled code goes to the user's cache folder, or nowhere."""

    def prepare(self, problem, max_steps):
        folder = user_cache_path("sabotaged")
        folder.mkdir(parents=True, exist_ok=True)
        folder.rmdir()
        return super().prepare(problem, max_steps)


class VariantOfTheProcess(Faultless):
    """Each process measures which variant is the quickest, and one of them rounds otherwise."""

    def state(self, session):
        return super().state(session) if "pytest" in sys.modules else nudged(session.now)
