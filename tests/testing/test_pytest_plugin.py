"""What pytest loads in every project beside hhplug costs nothing and works on any pytest from 6.2.

Tried by hand with pytest 6.2.5, 7.4.4 and 8.0.0; here a module stands for the oldest.
"""

import subprocess
import sys

import pytest

from hhplug import MissingExtra
from hhplug.testing import certify, plugin

PYTEST_6_2 = """
__version__ = "6.2.5"

def register_assert_rewrite(*modules):
    pass

def hookimpl(function=None, hookwrapper=0, optionalhook=0, tryfirst=0, trylast=0):
    return function or (lambda function: function)
"""

SESSION = """
import sys
from hhplug.testing import plugin

class Anything:
    workeroutput = {}
    def __getattr__(self, name):
        return lambda *args, **options: Anything()

plugin.pytest_addoption(Anything())
plugin.pytest_configure(Anything())
plugin.pytest_collection_modifyitems(Anything(), [])
plugin.pytest_testnodedown(Anything())
print(*sorted(name for name in sys.modules if name.startswith(("hhplug", "numpy", "rich"))))
"""

LIGHT = {"hhplug", "hhplug._version", "hhplug.testing", "hhplug.testing.plugin"}


def test_it_uses_only_what_pytest_6_2_has_and_imports_nothing_else_of_hhplug(tmp_path, monkeypatch):
    (tmp_path / "pytest.py").write_text(PYTEST_6_2)
    monkeypatch.syspath_prepend(tmp_path)
    paths = [path for path in sys.path if path]
    script = f"import sys; sys.path[:] = {paths!r}\n{SESSION}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert set(done.stdout.split()) == LIGHT


def test_a_project_beside_hhplug_pays_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\ndef test_mine():\n    assert 'hhplug.testing.plugin' in sys.modules\n"
        "    heavy = {'numpy', 'rich', 'hhplug.errors', 'hhplug.testing.rules'}\n"
        "    assert not heavy & {*sys.modules}\n"
    )
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "hhplug.testing.plugin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("old", [(7, 4, 4), None])  # pytest 6.2 doesn't have the attribute
def test_the_suite_says_which_pytest_it_needs(monkeypatch, old):
    monkeypatch.setattr(pytest, "__version__", "7.4.4")
    monkeypatch.delattr(pytest, "version_tuple")
    if old:
        monkeypatch.setattr(pytest, "version_tuple", old, raising=False)
    message = r"needs pytest 8 or later, 7\.4\.4 is installed: pip install --upgrade 'pytest>=8'"
    with pytest.raises(MissingExtra, match=message):
        certify.certify("reference")


def test_the_suite_accepts_the_minimum_that_hhplug_declares(monkeypatch):
    monkeypatch.setattr(pytest, "version_tuple", (8, 0, 0))
    plugin.require_pytest()
