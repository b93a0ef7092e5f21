"""What goes to a package index: the wheel and the sdist of the core and of each plugin."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import hhplug
from hhplug.plugins.discovery import FIRST_PARTY
from hhplug.plugins.scaffold import TEMPLATE

ROOT = Path(__file__).parent.parent
FOLDERS = {"hhplug": ROOT, "hhplug-mychip": TEMPLATE} | {
    name: ROOT / "plugins" / name for name in FIRST_PARTY.values()
}
PLUGINS = sorted(set(FOLDERS) - {"hhplug"})


def project(name):
    return tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def built(folder, target, into):
    """Build a wheel or an sdist and return its files, path → bytes, without the sdist's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", into],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = into.iterdir()
    if target == "wheel":
        with zipfile.ZipFile(file) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(file) as sdist:
        return {
            member.name.partition("/")[2]: sdist.extractfile(member).read()
            for member in sdist.getmembers()
            if member.isfile()
        }


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def files(request, tmp_path_factory):
    """Return the name of a distribution, and the files of its wheel and its sdist."""
    pytest.importorskip("hatchling", reason="requirements-dev.txt has hatchling")
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    return name, *(built(FOLDERS[name], kind, folder / kind) for kind in ("wheel", "sdist"))


def test_the_wheel_is_the_package_with_its_licence_and_types(files):
    name, wheel, _ = files
    module = name.replace("-", "_")
    top = {path.partition("/")[0] for path in wheel}
    info = f"{module}-{project(name).get('version', hhplug.__version__)}.dist-info"
    assert top == {module, info}
    assert f"{module}/py.typed" in wheel
    licence = wheel[f"{info}/licenses/LICENSE"]
    assert licence == (FOLDERS[name] / "LICENSE").read_bytes()
    metadata = message_from_bytes(wheel[f"{info}/METADATA"])
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    source = next(FOLDERS[name].rglob(f"{module}/py.typed")).parent
    written = {path for path in wheel if path.startswith(f"{module}/")}
    ours = {
        path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert written == {path.relative_to(source.parent).as_posix() for path in ours}


def test_the_sdist_has_the_licence_and_builds_the_same_wheel(files, tmp_path):
    name, wheel, sdist = files
    assert sdist["LICENSE"] == (FOLDERS[name] / "LICENSE").read_bytes()
    unpacked = tmp_path / "unpacked"
    for path, content in sdist.items():
        (unpacked / path).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / path).write_bytes(content)
    assert built(unpacked, "wheel", tmp_path / "again") == wheel


@pytest.mark.parametrize("files", ["hhplug"], indirect=True)
def test_the_cores_sdist_ships_no_tests_because_they_need_the_repository(files):
    _, _, sdist = files
    top = {path.partition("/")[0] for path in sdist}
    assert top - {".gitignore", "PKG-INFO"} == {
        "CHANGELOG.md", "LICENSE", "README.md", "hhplug", "pyproject.toml",
    }  # fmt: skip


@pytest.mark.parametrize("name", FIRST_PARTY.values())
def test_the_licence_of_a_plugin_is_a_copy_of_the_cores(name):
    assert (FOLDERS[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_no_proposal_installs_a_name_that_anybody_could_take():
    """hhplug's names aren't on an index yet: a command installs them from a folder."""
    sources = [*(ROOT / "hhplug").rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    commands = re.findall(r"pip install .*", text.replace("(in a checkout of hhplug)", ""))
    assert len(commands) > 10
    assert [command for command in commands if re.search(r"[\s'\"]hhplug", command)] == []


def next_minor(version):
    major, minor, *_ = Version(version).release
    return f"{major}.{minor + 1}"


def admits_this_minor_alone(requirement, version):
    specifier = Requirement(requirement).specifier
    return version in specifier and next_minor(version) not in specifier


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_requires_the_core_of_this_minor_version(name):
    (core,) = (r for r in project(name)["dependencies"] if Requirement(r).name == "hhplug")
    assert admits_this_minor_alone(core, hhplug.__version__)


def test_the_extra_cpu_is_the_plugins_for_the_cpu():
    extras = project("hhplug")["optional-dependencies"]
    assert sorted(extras["cpu"]) == sorted(extras["numpy"] + extras["numba"])


def test_the_version_of_the_citation_is_the_cores():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {hhplug.__version__}\n" in citation


def pins(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if "==" in line}


def test_what_the_site_and_the_tests_need_has_the_same_versions():
    """CI installs both into one environment."""
    by_name = {}
    for line in pins("requirements-dev.txt") | pins("docs/requirements.txt"):
        name, _, version = line.partition("==")
        by_name.setdefault(name, set()).add(version)
    assert len(pins("requirements-dev.txt") & pins("docs/requirements.txt")) > 5
    assert all(len(versions) == 1 for versions in by_name.values())


@pytest.mark.parametrize("backend", FIRST_PARTY)
def test_an_extra_of_the_core_is_the_plugin_of_this_minor_version(backend):
    (plugin,) = project("hhplug")["optional-dependencies"][backend]
    name = FIRST_PARTY[backend]
    assert Requirement(plugin).name == name
    assert admits_this_minor_alone(plugin, project(name)["version"])
    assert Requirement(plugin).extras <= set(project(name).get("optional-dependencies", {}))
