"""The code, commands, links and options of the README and of the site's pages work."""

import re

import pytest
from documents import PAGES, ROOT, WITH_PYTHON, blocks_of, text_of


def test_the_readme_and_the_guide_have_code():
    guide = {page for page in WITH_PYTHON if page.startswith("docs/guide/")}
    assert {"README.md", "docs/index.md", "docs/start/first-simulation.md"} < {*WITH_PYTHON}
    assert len(guide) == 5


@pytest.mark.parametrize("document", WITH_PYTHON)
def test_the_python_of_a_document_runs(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks_of(document, "python"):
        exec(compile(block, document, "exec"), namespace)


def test_the_readmes_first_two_commands_are_one_line_each():
    install, test = (block.strip() for block in blocks_of("README.md", "sh")[:2])
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


def test_the_pictures_and_links_of_the_documents_exist():
    """A link to a page of the gallery leads to what is made of a tutorial."""
    checked = 0
    for document in PAGES:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text_of(document)):
            target = (ROOT / document).parent / re.sub(
                r"gallery/(\w+)\.rst$", r"tutorials/\1.py", link
            )
            is_gallery = link.endswith("gallery/index.rst")
            assert is_gallery or target.exists(), f"{document}: {link}"
            checked += 1
    assert checked > 50


OPTIONS = {option for page in PAGES for option in re.findall(r"--[a-z][a-z-]+", text_of(page))}
OPTIONS -= {"--array", "--gres", "--requeue", "--wrap"}  # of SLURM's sbatch


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_their_options_exist(option):
    ours = [
        file
        for folder in (ROOT / "hhplug" / "cli", ROOT / "benchmarks" / "tools")
        for file in folder.glob("*.py")
    ]
    known = "".join(file.read_text(encoding="utf-8") for file in ours)
    asvs = (ROOT / ".ci" / "run").read_text(encoding="utf-8")  # CI runs asv's commands
    assert f'"{option}"' in known or f"asv machine {option}" in asvs
