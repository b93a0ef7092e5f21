"""`hhplug show` prints a membrane, its operations, and a backend's code."""

import pytest

from hhplug import membranes
from hhplug.lowering.lower import lower

OWN = """
from hhplug import membranes
mine = membranes.squid.replace("mine", g_Na=110.0)
"""


def test_a_membrane_is_printed_as_its_equations(hhplug):
    assert hhplug("show", "RS") == (0, f"{membranes.RS}\n", "")


def test_a_membrane_of_ones_own_is_named_by_its_file(hhplug, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    code, output, _ = hhplug("show", f"{tmp_path / 'own.py'}:mine")
    assert code == 0
    assert "110" in output


@pytest.mark.parametrize("target", ["gpu-float32", "cpu-float64"])
def test_the_operations_are_printed_for_a_target(hhplug, target):
    named = () if target == "gpu-float32" else (target,)
    code, output, _ = hhplug("show", "WB", "--lowered", *named)
    assert (code, output) == (0, f"{lower(membranes.WB, target)}\n")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_backends_code_is_printed_without_its_device(hhplug, dtype):
    code, output, errors = hhplug("show", "RS", "--backend", "pycuda", "--dtype", dtype)
    assert (code, errors) == (0, "")
    assert "alpha_m_1" in output
    assert ("fabsf(" in output) == (dtype == "float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RX"], "no membrane 'RX' in the library, which has CS, FS, LTS, RS, WB, squid."),
        (["/nowhere/own.py:mine"], "No such file"),
        (["RS", "--lowered", "gpu"], "unknown target 'gpu'; choose from gpu-float32,"),
        (["RS", "--backend", "reference"], "backend 'reference' shows no code; "),
        (["RS", "--backend", "pycude"], "Did you mean 'pycuda'?"),
        (["RS", "--backend", "pycuda", "--dtype", "float16"], "unknown dtype 'float16'"),
        (["RS", "--backend", "pycuda", "--lowered"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_shown_is_refused(hhplug, arguments, message):
    code, output, errors = hhplug("show", *arguments)
    assert (code, output) == (2, "")
    assert message in errors
