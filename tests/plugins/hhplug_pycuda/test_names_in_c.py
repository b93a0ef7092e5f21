"""No state and no parameter has a name that means something else in the kernel's text."""

import re
from pathlib import Path

from test_kernel_on_cpu import choices

import hhplug_pycuda
from hhplug.membranes import squid
from hhplug_pycuda.equations import TAKEN
from hhplug_pycuda.source import equations

FOLDER = Path(hhplug_pycuda.__file__).parent
MACROS = re.compile(r"^#define (\w+)(?![\w(])", re.MULTILINE)  # those without arguments


def test_the_kernels_macros_are_no_names_of_members():
    files = [*FOLDER.glob("*.cu"), *FOLDER.glob("*.cuh")]
    found = {name for file in files for name in MACROS.findall(file.read_text("utf-8"))}
    found |= {choice.removeprefix("-D").partition("=")[0] for choice in choices("float32")}
    assert len(found) > 20
    assert found <= TAKEN


def test_the_argument_of_the_list_of_members_is_no_name_of_a_member():
    lists = re.findall(r"#define \w+\((\w+)\)", equations(squid, "float32").header)
    assert lists
    assert set(lists) <= TAKEN
