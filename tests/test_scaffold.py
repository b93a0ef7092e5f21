"""`hhplug new-backend` writes a plugin that works."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from unittest.mock import MagicMock

import numpy as np
import pytest
from packaging.requirements import Requirement
from plugin_factory import check_that_the_others_run, listed

from hhplug import InvalidInput, Simulator, Stimulus, cli
from hhplug.backend import API
from hhplug.plugins import discovery, scaffold
from hhplug.plugins.scaffold import TEMPLATE, new_backend

MOST_LINES = 70  # of a complete backend

FILES = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/hhplug_{module}/__init__.py",
    "src/hhplug_{module}/backend.py",
    "src/hhplug_{module}/py.typed",
    "tests/test_conformance.py",
}


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "module", "class_name"),
    [
        ("abacus", "abacus", "AbacusBackend"),
        ("pytorch", "pytorch", "PytorchBackend"),
        ("my-chip_2", "my_chip_2", "MyChip2Backend"),
        ("mychip2", "mychip2", "Mychip2Backend"),
    ],
)
def test_the_files_and_their_contents_are_named_for_the_backend(tmp_path, name, module, class_name):
    folder = new_backend(name, tmp_path)
    assert folder == tmp_path / f"hhplug-{name}"
    assert files(folder) == {path.format(module=module) for path in FILES}
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"hhplug-{name}"
    assert project["entry-points"]["hhplug"] == {name: f"hhplug_{module}"}
    record = (folder / "src" / f"hhplug_{module}" / "__init__.py").read_text()
    assert f'"{name}"' in record
    assert f'"hhplug_{module}.backend:{class_name}"' in record


@pytest.mark.parametrize("name", ["abacus", "two-words"])
def test_the_name_of_the_template_does_not_remain(tmp_path, name):
    folder = new_backend(name, tmp_path)
    for path in folder.rglob("*"):
        assert "mychip" not in path.name.lower()
        assert not path.is_file() or "mychip" not in path.read_text().lower()


def test_under_its_own_name_the_template_is_copied_as_it_is(tmp_path):
    folder = new_backend("mychip", tmp_path)
    for path in files(folder):
        assert (folder / path).read_bytes() == (TEMPLATE / path).read_bytes()


def test_the_template_is_a_backend_for_the_current_contract_in_a_few_lines():
    record = (TEMPLATE / "src/hhplug_mychip/__init__.py").read_text()
    assert re.findall('api="(.*)"', record) == [API]
    lines = (TEMPLATE / "src/hhplug_mychip/backend.py").read_text().splitlines()
    assert len(lines) <= MOST_LINES


def workflow(folder):
    yaml = pytest.importorskip("yaml")  # PyYAML, which asv needs
    return yaml.safe_load((folder / ".github/workflows/ci.yml").read_text())


def test_the_workflow_tests_every_python_and_system_with_hhplug_from_where_a_variable_says(
    tmp_path,
):
    ci = workflow(new_backend("abacus", tmp_path))
    job = ci["jobs"]["test"]
    assert job["runs-on"] == "${{ matrix.os }}"
    assert job["strategy"]["matrix"] == {
        "os": ["ubuntu-latest", "macos-latest", "windows-latest"],
        "python": ["3.11", "3.12", "3.13"],
    }
    *_, install, test = (step.get("run") for step in job["steps"])
    assert install == """pip install "$HHPLUG" '.[test]'"""
    assert test == "pytest"
    assert ci["env"] == {"HHPLUG": "hhplug[testing]"}


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("origin", "end"),
    [  # examples of PEP 610
        (None, ""),
        ({"url": "file:///home/user/project", "dir_info": {}}, ""),
        ({"url": "https://example.com/a.zip", "archive_info": {"hash": "sha256=2dc6b5a"}}, ""),
        (
            {"url": "file:///home/user/hhplug", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            "",
        ),
        (
            {
                "url": "https://example.com/mychip/hhplug.git",
                "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT},
            },
            f" @ git+https://example.com/mychip/hhplug.git@{COMMIT}",
        ),
    ],
)
def test_the_workflow_installs_hhplug_from_the_repository_that_it_came_from(
    tmp_path, monkeypatch, origin, end
):
    metadata = tmp_path / "hhplug-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: hhplug\nVersion: 0.1.0\n")
    if origin:
        (metadata / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(tmp_path)
    ci = workflow(new_backend("abacus", tmp_path))
    requirement = ci["env"]["HHPLUG"]
    assert requirement == f"hhplug[testing]{end}"
    assert (Requirement(requirement).url or "") == end.removeprefix(" @ ")


def test_the_workflow_of_a_hhplug_that_is_not_installed_takes_it_from_an_index(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(scaffold, "distribution", MagicMock(side_effect=PackageNotFoundError))
    assert workflow(new_backend("abacus", tmp_path))["env"] == {"HHPLUG": "hhplug[testing]"}


def test_the_author_replaces_one_placeholder_which_the_readme_names(tmp_path):
    folder = new_backend("abacus", tmp_path)
    holders = {p.name for p in folder.rglob("*") if p.is_file() and "YOUR-NAME" in p.read_text()}
    assert holders == {"LICENSE", "README.md", "pyproject.toml"}
    (sentence,) = re.findall(r"The licence is .*", (folder / "README.md").read_text())
    assert {"BSD-3-Clause", "YOUR-NAME", "`LICENSE`", "`pyproject.toml`"} < set(
        re.findall(r"[\w.`-]+\w`?", sentence)
    )
    ours = (TEMPLATE.parents[2] / "LICENSE").read_text().splitlines()
    theirs = (folder / "LICENSE").read_text().splitlines()
    assert [b for a, b in zip(ours, theirs, strict=True) if a != b] == ["Copyright (c) YOUR-NAME"]


def test_no_address_of_a_generated_plugin_can_be_somebody_elses_page(tmp_path):
    folder = new_backend("abacus", tmp_path)
    urls = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["urls"]
    assert set(urls) == {"Source", "Issues"}  # well-known labels of PyPI
    for url in urls.values():  # RFC 2606 reserves the domain
        assert url.startswith("https://example.org/YOUR-NAME/hhplug-abacus")


def test_the_bytecode_of_an_installed_template_is_not_copied(tmp_path, monkeypatch):
    template = tmp_path / "template"
    cache = template / "src" / "hhplug_mychip" / "__pycache__"
    cache.mkdir(parents=True)
    (cache / "backend.cpython-311.pyc").write_bytes(b"\xff\xfe")
    (template / "README.md").write_text("mychip")
    monkeypatch.setattr("hhplug.plugins.scaffold.TEMPLATE", template)
    assert files(new_backend("abacus", tmp_path)) == {"README.md"}


def test_the_plugin_is_found_and_computes_what_the_reference_computes(plugins):
    plugins.install_folder(new_backend("two-words", plugins.folder))
    assert listed("two-words").source == "hhplug-two-words 0.1.0"
    check_that_the_others_run("two-words")
    arguments = {
        "T": 15.0,
        "stimulus": Stimulus.step(np.linspace(5.0, 30.0, 7), 1.0, 14.0),
        "record_all": True,
        "record_every": 3,
        "record_neurons": [5, 0, 6],
    }
    ours, expected = (Simulator(name).run(**arguments) for name in ("two-words", "reference"))
    assert len(expected.spikes) > 7
    for name in "Vmhn":
        assert np.abs(ours[name] - expected[name]).max() < 1e-8  # mV, the kit's bound
    np.testing.assert_array_equal(ours.spikes.neuron, expected.spikes.neuron)
    np.testing.assert_allclose(ours.spikes.time, expected.spikes.time, rtol=0.0, atol=1e-9)


def test_the_generated_plugin_is_certified_unchanged(plugins):
    """It runs in a new process, with the short horizon; .ci/packages runs the long."""
    folder = new_backend("abacus", plugins.folder)
    plugins.install_folder(folder)
    done = subprocess.run(
        [sys.executable, "-m", "hhplug", "test-backend", "abacus", "--horizon", "short"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, plugins.paths))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error budget of abacus" in done.stdout
    assert "BROKEN" not in done.stdout


@pytest.mark.parametrize("name", ["", "Chip", "2d", "a b", "../up", "a.b", "auto", "chip\n"])
def test_a_name_that_no_backend_may_have_is_refused(tmp_path, name):
    with pytest.raises(InvalidInput, match=re.escape(f"got {name!r}")):
        new_backend(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["chip-", "chip_"])
def test_a_name_that_no_distribution_may_have_is_refused(tmp_path, name):
    with pytest.raises(InvalidInput, match=f"cannot end in '{name[-1]}', got '{name}'"):
        new_backend(name, tmp_path)


def test_the_name_of_an_installed_backend_is_refused_even_if_it_is_broken(plugins):
    plugins.offer("toy", version="2.5")
    plugins.install("evil_x", "raise RuntimeError", entry_point="evil")
    for name, owner in (("toy", "toy 2.5"), ("evil", "evil_x 1.0"), ("reference", "hhplug ")):
        with pytest.raises(InvalidInput, match=f"'{name}' is taken by {owner}.*; choose another"):
            new_backend(name, plugins.folder)


def test_a_name_that_differs_by_its_dashes_alone_is_refused(plugins):
    plugins.offer("my_toy")
    with pytest.raises(InvalidInput, match="the name 'my_toy' is taken"):
        new_backend("my-toy", plugins.folder)


@pytest.mark.parametrize("name", discovery.FIRST_PARTY)
def test_the_name_of_a_first_party_backend_is_refused_installed_or_not(plugins, monkeypatch, name):
    monkeypatch.setattr(discovery, "installed", list)
    with pytest.raises(InvalidInput, match=f"'{name}' is taken by hhplug-{name}; choose another"):
        new_backend(name, plugins.folder)


def test_no_folder_is_overwritten_and_no_parent_folder_is_created(tmp_path):
    (tmp_path / "hhplug-abacus").mkdir()
    with pytest.raises(InvalidInput, match=r"hhplug-abacus exists already; remove it, or choose"):
        new_backend("abacus", tmp_path)
    with pytest.raises(InvalidInput, match=r"no folder .*gone to write hhplug-abacus into"):
        new_backend("abacus", tmp_path / "gone")


def test_the_command_says_what_to_do_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new-backend", "abacus"]) == 0
    assert capsys.readouterr().out == (
        "wrote hhplug-abacus, a plugin that works. Next:\n"
        "    pip install -e 'hhplug-abacus[test]'\n"
        "    hhplug test-backend abacus\n"
        "and put your chip's code into hhplug-abacus/src/hhplug_abacus/backend.py\n"
    )
    (tmp_path / "plugins").mkdir()
    assert cli.main(["new-backend", "abacus", "--dest", "plugins"]) == 0
    assert (tmp_path / "plugins" / "hhplug-abacus").is_dir()


def test_the_command_exits_with_2_for_what_it_cannot_write(tmp_path, capsys):
    assert cli.main(["new-backend", "3dchip", "--dest", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "hhplug: a backend's name must begin with a letter, be of a-z, 0-9, - and _, "
        "and not be 'auto', got '3dchip'\n"
    )
