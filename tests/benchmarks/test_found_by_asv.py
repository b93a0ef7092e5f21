"""asv finds in `benchmarks` what the recorded results have, and does not import the tools."""

import json
import subprocess
import sys

import pytest

from benchmarks.tools.checkout import TOP
from benchmarks.tools.recorded import RESULTS

# asv finds benchmarks in a process of its own, in an environment that doesn't have asv.
FIND = """
import json, sys
from asv_runner._aux import update_sys_path
from asv_runner.discovery import disc_benchmarks
update_sys_path(sys.argv[1])
found = {one.name: (one.version, one.params) for one in disc_benchmarks(sys.argv[1])}
print(json.dumps([found, list(sys.modules)]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the version and the parameters of each benchmark, and the imported modules."""
    find = [sys.executable, "-c", FIND, str(TOP / "benchmarks")]
    folder = tmp_path_factory.mktemp("elsewhere")
    output = subprocess.run(find, cwd=folder, check=True, capture_output=True, text=True).stdout
    return json.loads(output)


def test_recorded_benchmarks_keep_their_names_parameters_and_versions(found):
    benchmarks, _ = found
    recorded = json.loads((RESULTS / "benchmarks.json").read_text(encoding="utf-8"))
    del recorded["version"]  # of the file's format
    assert recorded.keys() <= benchmarks.keys()
    for name, known in recorded.items():
        version, params = benchmarks[name]
        assert int(version) >= int(known["version"]), name  # a hash if the class has none
        for now, then in zip(params, known["params"], strict=True):
            assert [value for value in now if value in then] == then, name


def test_asv_imports_the_benchmarks_and_none_of_the_tools(found):
    _, modules = found
    assert "benchmarks.step" in modules
    assert not [name for name in modules if name.startswith(("benchmarks.tools", "asv."))]
