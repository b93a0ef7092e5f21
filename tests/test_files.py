"""A file is replaced as a whole: at every moment, a complete file has its name."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import numpy as np
import pytest

import hhplug
from hhplug import cli
from hhplug.files import replacing

unix = pytest.mark.skipif(os.name != "posix", reason="the fault is made by Unix's means")

NOBODY = 65534  # number of a user without rights

# Each child saves two results of 4 MB over one path, again and again, until it is killed.
KILLED = """
import itertools, os, random, signal, sys, time
from hhplug import Simulator, Stimulus, load_result
simulator, path, when = Simulator("numpy"), sys.argv[1], random.Random(18)
results = [simulator.run(1.0, stimulus=Stimulus.constant([amplitude] * 10_000))
           for amplitude in (5.0, 10.0)]
results[0].save(path)
for _ in range(30):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for k in itertools.count(1):
            results[k % 2].save(path)
            os.write(write, b"saved")
    os.read(read, 5)
    time.sleep(when.uniform(0.0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = load_result(path)
    which = [5.0, 10.0].index(found.stimulus.gains[0][0])
    assert (found.V == results[which].V).all()
    print(which)
"""

# The second save meets a limit of 100 kB, as it would meet a full disk.
LIMITED = """
import resource, sys
from hhplug import Simulator
result = Simulator("numpy").run(10.0, batch_size=50)
result.save(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    result.save(sys.argv[1])
except OSError as error:
    print(error.errno)
"""


def output_of(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def write(path, content, error=None):
    with replacing(path) as file:
        file.write(content)
        if error:
            raise error


def names_in(folder):
    return [path.name for path in folder.iterdir()]


@unix
def test_a_save_killed_at_any_moment_leaves_a_complete_result(tmp_path):
    found = output_of(KILLED, tmp_path / "run.npz")
    assert len(found) == 30
    assert "1" in found  # each child saves it first


@unix
def test_a_save_onto_a_full_disk_raises_and_leaves_the_old_result(tmp_path):
    assert output_of(LIMITED, tmp_path / "run.npz") == [str(errno.EFBIG)]
    assert hhplug.load_result(tmp_path / "run.npz").V.shape == (1000, 50)
    assert names_in(tmp_path) == ["run.npz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error):
        write(path, b"new", error)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_a_picture_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    picture = tmp_path / "fi.png"
    picture.write_bytes(b"old")

    def fails(_, file, **__):
        file.write(b"half a picture")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fails)
    monkeypatch.setattr("hhplug.results.plotting.check_file", lambda _: None)
    assert cli.main(["run", "--neurons", "3", "--duration", "1", "--plot", str(picture)]) == 2
    assert picture.read_bytes() == b"old"


@unix
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_permissions_that_open_gives(tmp_path, mask):
    before = os.umask(mask)
    try:
        (tmp_path / "opened").write_bytes(b"")
        write(tmp_path / "replaced", b"")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@unix
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


@unix
def test_a_file_that_must_not_be_written_is_not_replaced():
    with TemporaryDirectory() as folder:  # which another user can reach, unlike tmp_path
        path = Path(folder) / "file"
        path.write_bytes(b"old")
        path.chmod(0o444)
        path.parent.chmod(0o777)
        user = os.geteuid()
        if user == 0:  # root may write every file
            os.seteuid(NOBODY)
        try:
            with pytest.raises(PermissionError, match=str(path)):
                write(path, b"new")
        finally:
            os.seteuid(user)
        assert path.read_bytes() == b"old"


@unix
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_stays_and_the_file_that_it_names_is_written(tmp_path, exists):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    link.symlink_to("elsewhere/file")
    if exists:
        target.write_bytes(b"old")
    write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names_in(tmp_path / "elsewhere") == ["file"]


@unix
def test_a_fifo_is_written_directly(tmp_path, plain):
    fifo, copy = tmp_path / "fifo", tmp_path / "copy.npz"
    os.mkfifo(fifo)
    reader = Thread(target=lambda: copy.write_bytes(fifo.read_bytes()))
    reader.start()
    plain.save(fifo)
    reader.join()
    assert fifo.is_fifo()
    np.testing.assert_array_equal(hhplug.load_result(copy).V, plain.V)


@unix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_sent_to_a_file_stays_that_file(tmp_path, name):
    (tmp_path / "link").symlink_to("/dev/stdout")
    script = (
        "import sys; from hhplug.files import replacing\n"
        "with replacing(sys.argv[1]) as file: file.write(b'first ')\n"
        "print('second')"
    )
    with (tmp_path / "output").open("ab") as output:
        subprocess.run([sys.executable, "-c", script, tmp_path / name], stdout=output, check=True)
    assert (tmp_path / "output").read_bytes() == b"first second\n"


@pytest.mark.parametrize("name", ["no/such/folder/file", "."])
def test_the_error_for_a_file_that_cannot_be_made_has_the_given_name(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(OSError, match=r"No such file|Is a directory") as refused:
        write(path, b"")
    assert refused.value.filename == str(path)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("length", [255, 200])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, length):
    write(tmp_path / ("x" * length), b"new")
    assert names_in(tmp_path) == ["x" * length]
