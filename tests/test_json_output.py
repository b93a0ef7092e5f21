"""With --json standard output has the JSON alone, whatever is printed anywhere."""

import json
import os
import subprocess
import sys

import pytest

from hhplug import cli

# Whenever it is called, it prints through each way that there is.
LOUD = """
import atexit, ctypes, subprocess
libc = ctypes.CDLL(None)

def loud(when):
    print("print", when)
    sys.__stdout__.write("stream " + when)
    os.write(1, b"descriptor ")
    libc.puts(b"C library, which holds it back until the process ends")
    subprocess.run(["echo", "a child process"])

atexit.register(loud, "at exit")
loud("at import")

def factory(device):
    from hhplug.reference import ReferenceBackend
    loud("when opened")
    return ReferenceBackend()

@hookimpl
def hhplug_backends():
    loud("in the hook")
    return [BackendSpec(name="toy", factory="toy:factory", api="2.0", summary="a toy")]
"""
COMMANDS = {
    "backends": ["backends"],
    "why": ["backends", "--why", "toy"],
    "run": ["run", "--backend", "toy", "--neurons", "2", "--duration", "1"],
    "bench": ["bench", "--backends", "toy", "--n-runs", "1", "--batch-sizes", "1"],
}


@pytest.mark.skipif(os.name != "posix", reason="uses the C library and echo")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_program_prints_json_alone(plugins, command):
    plugins.install("toy", LOUD)
    done = plugins.python("-m", "hhplug", *COMMANDS[command], "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "toy" in str(found)
    for way in ("print at import", "stream at exit", "descriptor", "C library", "a child process"):
        assert way in done.stderr


def test_a_user_who_calls_main_keeps_the_streams(plugins, capfd):
    plugins.install("toy", "print('printed'); os.write(1, b'written')\n" + LOUD[LOUD.index("@") :])
    source = (plugins.folder / "toy.py").read_text().replace('    loud("in the hook")\n', "")
    (plugins.folder / "toy.py").write_text(source)
    streams = sys.stdout, sys.stderr
    assert cli.main(["backends", "--json"]) == 0
    assert (sys.stdout, sys.stderr) == streams
    output, errors = capfd.readouterr()
    assert json.loads(output)
    assert "printed" in errors
    assert "written" in errors
    print("afterwards", flush=True)
    os.write(1, b"written afterwards")
    assert capfd.readouterr() == ("afterwards\nwritten afterwards", "")


def test_why_gives_the_whole_cause_as_json(plugins, capsys):
    plugins.install("evil_x", "raise RuntimeError('no such luck')", entry_point="evil")
    assert cli.main(["backends", "--why", "evil", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["code"] == "load_failed"
    assert found["detail"].startswith("Traceback")


@pytest.mark.skipif(os.name != "posix", reason="uses the C library and a shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_obstacle(plugins, closed):
    plugins.install("toy", LOUD)
    script = f'exec "$0" -m hhplug backends --json {closed}'
    command = ["sh", "-c", script, sys.executable]
    done = subprocess.run(command, env=plugins.environment, capture_output=True)
    assert done.returncode == 0
    assert closed != "2>&-" or json.loads(done.stdout)
