"""The compiled kernel is kept in the user's cache if there is one; a made-up PyCUDA shows it."""

import sys
from importlib import import_module
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

import hhplug_pycuda
from hhplug_pycuda import probe


@pytest.fixture
def gpu_module(monkeypatch, tmp_path):
    """The module `gpu` with a PyCUDA that compiles to b"code", and a cache in tmp_path/cache."""
    pycuda = SimpleNamespace(driver=Mock(), compiler=Mock())
    pycuda.compiler.compile.return_value = b"code"
    pycuda.driver.module_from_buffer = lambda code: code
    for name, module in {
        "": pycuda,
        ".driver": pycuda.driver,
        ".compiler": pycuda.compiler,
    }.items():
        monkeypatch.setitem(sys.modules, f"pycuda{name}", module)
    # Where PyCUDA is installed, another test may have imported the module with it.
    monkeypatch.delitem(sys.modules, "hhplug_pycuda.gpu", raising=False)
    monkeypatch.delattr(hhplug_pycuda, "gpu", raising=False)
    monkeypatch.setattr(probe, "compiler", lambda: sys.executable)
    gpu = import_module("hhplug_pycuda.gpu")
    monkeypatch.setattr(gpu, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    yield gpu
    del sys.modules["hhplug_pycuda.gpu"], hhplug_pycuda.gpu


def loaded(gpu_module, source="a kernel"):
    gpu = gpu_module.Gpu.__new__(gpu_module.Gpu)
    gpu._arch = "sm_90"
    return gpu.module(source, REAL64=1)


def compilations():
    return sys.modules["pycuda"].compiler.compile.call_count


def test_the_kernel_is_compiled_once(gpu_module):
    assert [loaded(gpu_module), loaded(gpu_module)] == [b"code", b"code"]
    assert compilations() == 1


def test_another_text_is_another_kernel(gpu_module):
    loaded(gpu_module)
    loaded(gpu_module, "another membrane's kernel")
    assert compilations() == 2


def test_a_kernel_is_compiled_where_no_cache_can_be_written(gpu_module, tmp_path):
    (tmp_path / "cache").write_text("a file, so that nothing can be written below it")
    assert [loaded(gpu_module), loaded(gpu_module)] == [b"code", b"code"]
    assert compilations() == 2
