"""Build the site into docs/site.

Install docs/requirements.txt before. Sphinx runs the tutorials, and any warning is an error. asv's
pages are made of the results in benchmarks/results. They need git's branch main, and npm for the
scripts that asv takes from content delivery networks, so that the site needs no network;
--without-asv leaves them out.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parent
SITE = DOCS / "site"
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "tests" / "benchmarks")]

from browser import publish  # noqa: E402
from cdn import fetched  # noqa: E402

from benchmarks.tools.recorded import RESULTS  # noqa: E402


def build_pages() -> None:
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    subprocess.run([*sphinx, "-d", str(DOCS / ".doctrees"), str(DOCS), str(SITE)], check=True)


def build_asvs_pages() -> None:
    """Put asv's pages into site/asv, with the scripts that they load beside them."""
    target = SITE / "asv"
    shutil.rmtree(target, ignore_errors=True)
    with TemporaryDirectory() as folder:
        scripts = fetched(Path(folder))
        shutil.copytree(publish(Path(folder), RESULTS), target)
        page = (target / "index.html").read_text(encoding="utf-8")
        for address, file in scripts.items():
            shutil.copy(file, target / file.name)
            page = page.replace(address, file.name)
        (target / "index.html").write_text(page, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--clean", action="store_true", help="run every tutorial anew")
    parser.add_argument("--without-asv", action="store_true", help="leave asv's pages out")
    options = parser.parse_args()
    if options.clean:
        for folder in (SITE, DOCS / "gallery", DOCS / ".doctrees"):
            shutil.rmtree(folder, ignore_errors=True)
    build_pages()
    if not options.without_asv:
        build_asvs_pages()
    print(f"The site is in {SITE}. To see it in a browser:")
    print(f"    {sys.executable} -m http.server --directory {SITE}")


if __name__ == "__main__":
    main()
