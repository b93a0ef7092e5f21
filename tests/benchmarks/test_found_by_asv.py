"""asv finds in `benchmarks` what the recorded results have, and does not import the tools."""

import json
import os
import subprocess
import sys

from benchmarks.contestants import ALSO
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

OF_SOME_BACKENDS = {  # those on a GPU, and those that compile
    "memory.Device.track_bytes_a_neuron",
    "start.FirstResultEver.track_first_result_ever",
}


def found(folder, also=""):
    """Return the version and the parameters of each benchmark, and the imported modules."""
    find = [sys.executable, "-c", FIND, str(TOP / "benchmarks")]
    environment = os.environ | {ALSO: also}
    output = subprocess.run(
        find, cwd=folder, env=environment, check=True, capture_output=True
    ).stdout
    return json.loads(output)


def test_recorded_benchmarks_keep_their_names_parameters_and_versions(tmp_path):
    benchmarks, _ = found(tmp_path)
    recorded = json.loads((RESULTS / "benchmarks.json").read_text(encoding="utf-8"))
    del recorded["version"]  # of the file's format
    assert recorded.keys() <= benchmarks.keys()
    for name, known in recorded.items():
        version, params = benchmarks[name]
        assert int(version) >= int(known["version"]), name  # a hash if the class has none
        for now, then in zip(params, known["params"], strict=True):
            assert [value for value in now if value in then] == then, name


def test_asv_imports_the_benchmarks_and_none_of_the_tools(tmp_path):
    _, modules = found(tmp_path)
    assert "benchmarks.step" in modules
    assert not [name for name in modules if name.startswith(("benchmarks.tools", "asv."))]


def test_a_backend_that_the_environment_names_is_appended_to_the_backends(tmp_path):
    without, _ = found(tmp_path)
    benchmarks, _ = found(tmp_path, also="mychip,, numba, mychip")
    assert benchmarks.keys() == without.keys()
    for name, (version, params) in benchmarks.items():
        version_without, params_without = without[name]
        assert version == version_without
        assert params[1:] == params_without[1:]
        if params and name not in OF_SOME_BACKENDS:
            backends = [value for value in params_without[0] if "peer-" not in value]
            assert [value for value in params[0] if "peer-" not in value] == [*backends, "'mychip'"]
        else:
            assert params == params_without
