"""Plain versions and requirements are read as `packaging` reads them, which reads the others."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hhplug.versions import canonical_name, is_later, least_version, mistake_in, numbers

VERSIONS = ("0", "1", "1.0", "1.0.0", "1.9", "1.10", "1.10.0.1", "2024.1", "2.0rc1", "2.0+cpu")


@pytest.mark.parametrize("one", VERSIONS)
@pytest.mark.parametrize("other", VERSIONS)
def test_versions_are_compared_as_packaging_compares_them(one, other):
    assert is_later(one, other) == (Version(one) > Version(other))
    if numbers(one) is not None and numbers(other) is not None:
        assert (numbers(one) >= numbers(other)) == (Version(one) >= Version(other))


def test_what_is_no_version_is_earlier_than_any():
    assert is_later("0.1", "nonsense")
    assert not is_later("nonsense", "0.1")


@pytest.mark.parametrize("text", ["numpy>=2.0", "a.b-c_d>=2024.1", "x>=0"])
def test_a_plain_requirement_is_read_as_packaging_reads_it(text):
    name, version = least_version(text)
    requirement = Requirement(text)
    assert (name, f">={version}") == (requirement.name, str(requirement.specifier))
    assert mistake_in(text) == ""


@pytest.mark.parametrize(
    "text",
    ["numpy", "numpy>2", "numpy>=2.0rc1", "numpy>=2,<3", "numpy[x]>=2", "a>=1; python_version>'3'"],
)
def test_any_other_requirement_is_left_to_packaging(text):
    assert least_version(text) is None
    assert mistake_in(text) == ""


@pytest.mark.parametrize("text", ["numpy>=", "-numpy>=2", "numpy>=2.", "numpy 2", "näme>=1", ""])
def test_what_is_no_requirement_has_a_mistake(text):
    assert mistake_in(text)


@pytest.mark.parametrize("name", ["hhplug-numpy", "HHplug_Numpy", "a.-_b", "A1"])
def test_names_have_one_spelling(name):
    assert canonical_name(name) == canonicalize_name(name)


def test_a_first_run_imports_neither_packaging_nor_the_optimizer_nor_psutil():
    script = (
        "import sys, hhplug; hhplug.Simulator('numpy').run(0.1)\n"
        "slow = {'packaging', 'psutil', 'subprocess', 'logging', 'hhplug.lowering.optimizer'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script]
    for _ in range(2):  # the first may have to lower the membrane
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"
