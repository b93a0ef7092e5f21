"""The README's code, commands, links and options work."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert blocks("python")
    namespace = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)


def test_the_readmes_first_two_commands_are_one_line_each():
    install, test = (block.strip() for block in blocks("sh")[:2])
    assert "pip install . ./plugins/hhplug-numpy" in install
    assert install.endswith("hhplug run")
    assert "-r requirements-dev.txt" in test
    assert test.endswith("pytest")
    assert "\n" not in install + test


def test_ci_runs_the_readmes_two_commands_before_it_installs_anything_else():
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    in_order = (
        "try_it=$(readme_command 1)",
        "run_the_tests=$(readme_command 2)",
        'bash -euxc "$try_it"',
        'bash -euxc "$run_the_tests"',
    )
    places = [ci.index(line) for line in in_order]
    assert places == sorted(places)
    assert places[-1] < min(found.start() for found in re.finditer(r"apt-get|pip\W|npm|venv/", ci))


def test_the_readmes_pictures_and_links_exist():
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z][a-z-]+", README))))
def test_its_options_exist(option):
    ours = [*(ROOT / "hhplug" / "cli").glob("*.py"), ROOT / "benchmarks" / "tools" / "gate.py"]
    known = "".join(file.read_text(encoding="utf-8") for file in ours)
    asvs = (ROOT / ".ci" / "run").read_text(encoding="utf-8")  # CI runs asv's commands
    assert f'"{option}"' in known or f"asv machine {option}" in asvs
