"""Tests of a backend's spec and probe, which hhplug uses before it opens the backend."""

import json
import os
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hhplug.backend import API, Backend
from hhplug.plugins import probes
from hhplug.plugins.loading import SLOW
from hhplug.testing.kit import Kit

LIST = """
import json, sys
from hhplug.plugins import discovery
from hhplug.testing.settings import settings
import psutil
def seen():
    this = psutil.Process()
    begun = {"threads": this.num_threads(), "child processes": len(this.children())}
    return settings() | begun
before = seen()
entry = discovery.entry(sys.argv[1])
after = seen()
changed = [what for what, value in before.items() if after[what] != value]
print()
print(json.dumps([entry.seconds, list(sys.modules), changed]))
"""
ATTEMPTS = 5  # measurements of a plugin that is slow to load
HIDDEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def _listed_in_a_new_process(name: str) -> tuple[float, list[str], list[str], str]:
    """What loading the backend's plugin does.

    Returns the seconds that it took, all loaded modules, changed settings, and what was printed.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", LIST, name],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    printed, _, answer = done.stdout.rstrip("\n").rpartition("\n")
    return *json.loads(answer), (printed + done.stderr).strip()


class SpecTests:
    def test_the_spec_is_complete(self, kit: Kit):
        spec = kit.spec
        assert spec.name == kit.name
        assert Version(spec.api).major == Version(API).major
        assert Version(spec.api) <= Version(API)
        assert spec.summary.strip(), "a summary of one line"
        assert "\n" not in spec.summary
        if spec.requires:
            assert spec.install_hint.strip(), "what installs the packages that it requires"

    def test_the_factory_returns_a_backend_that_names_its_device(self, kit: Kit):
        assert isinstance(kit.chosen.backend, Backend)
        assert kit.chosen.backend.device.strip()

    def test_listing_imports_nothing_heavy(self, kit: Kit):
        spec = kit.spec
        _, loaded, *_ = _listed_in_a_new_process(kit.spec.name)
        heavy = {spec.factory.partition(":")[0]} - {"hhplug.reference"}
        heavy |= {Requirement(text).name.replace("-", "_") for text in spec.requires} - {"numpy"}
        assert not heavy & set(loaded)

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_listing_prints_and_changes_nothing(self, kit: Kit):
        *_, changed, printed = _listed_in_a_new_process(kit.spec.name)
        assert not printed, f"loading the plugin prints {printed!r}"
        assert not changed, f"loading the plugin changes {', '.join(changed)}"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_listing_is_quick(self, kit: Kit):
        # The first process fills caches. Of the others the quickest counts, since other programs
        # use the processor too.
        took = []
        for _ in range(1 + ATTEMPTS):
            took.append(_listed_in_a_new_process(kit.spec.name)[0])
            if took[1:] and took[-1] < SLOW:
                break
        assert min(took[1:]) < SLOW, (
            f"loading the plugin takes {min(took[1:]):.2g} s in a warm process, and may take "
            f"{SLOW:g} s, since every listing waits for it; import slow modules in the factory's"
        )

    def test_the_probe_answers_with_and_without_visible_devices(self, kit: Kit, monkeypatch):
        probe = kit.spec.probe or ""
        kit.needs("probe", bool(probe))
        for hidden in (False, True):
            if hidden:
                for name in HIDDEN:
                    monkeypatch.setenv(name, "")
            monkeypatch.setattr(probes, "_answers", {})
            problem = probes.answers([probe])[probe].unavailable
            if problem:
                assert problem.code not in ("probe_crashed", "probe_timeout", "probe_failed")
                assert problem.reason.strip()
                assert problem.fix.strip(), f"what to do about [{problem.code}] {problem.reason}"
