"""Importing hhplug loads nothing heavy, and every public name is there when it is used."""

import inspect
import subprocess
import sys

import pytest

import hhplug


def test_importing_hhplug_loads_nothing_heavy():
    script = "import sys, hhplug; print({'numpy', 'rich', 'psutil', 'pluggy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("name", hhplug.__all__)
def test_a_public_name_is_found_and_listed(name):
    value = getattr(hhplug, name)
    assert getattr(value, "__name__", name).rpartition(".")[2] == name
    assert name in dir(hhplug)


def test_a_star_imports_the_public_names():
    namespace = {}
    exec("from hhplug import *", namespace)
    assert set(hhplug.__all__) <= set(namespace)


def test_an_unknown_name_is_an_AttributeError():
    with pytest.raises(AttributeError, match="module 'hhplug' has no attribute 'Simulater'"):
        hhplug.Simulater  # noqa: B018


def callables():
    """Yield every public function and class, and the public methods of the classes."""
    for name in hhplug.__all__:
        value = getattr(hhplug, name)
        if callable(value) and not (inspect.isclass(value) and issubclass(value, BaseException)):
            yield value
            yield from (f for n, f in inspect.getmembers(value, callable) if not n.startswith("_"))


def test_help_shows_signatures_that_can_be_read():
    """NumPy's ArrayLike is a union that fills a screen, unless an annotation stays as written."""
    shown = [str(inspect.signature(each)) for each in callables()]
    assert len(shown) > 50
    assert [signature for signature in shown if "numpy._typing" in signature] == []
