"""Print the lowest versions that pyproject.toml files declare, as pip's constraints.

usage: python .ci/minimums.py PYPROJECT…
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

for file in map(Path, sys.argv[1:]):
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    for text in (*project["dependencies"], *(text for extra in extras for text in extra)):
        requirement = Requirement(text)
        (lowest,) = (part.version for part in requirement.specifier if part.operator == ">=")
        if not requirement.name.startswith("hhplug"):
            print(f"{requirement.name}=={lowest}  # {file}")
