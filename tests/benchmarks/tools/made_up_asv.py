"""A replacement of asv, which notes its arguments and writes results that were made beforehand.

The n-th call copies the folder `measured-n` beside this file to `asv/results`. It exits with 2, as
asv does if a benchmark failed.
"""

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent

calls = HERE / "calls.jsonl"
with calls.open("a") as file:
    file.write(json.dumps([sys.argv[1:], sys.stdin.read().split()]) + "\n")
print("asv at work")
number = len(calls.read_text().splitlines())
shutil.copytree(HERE / f"measured-{number}", HERE / "asv" / "results", dirs_exist_ok=True)
sys.exit(2)
