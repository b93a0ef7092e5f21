"""Tests of a backend's spec and probe, which hhplug uses before it opens the backend."""

import os
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.version import Version

from hhplug.backend import API, Backend
from hhplug.plugins import probes
from hhplug.testing.kit import Kit

HEAVY = """
import sys
from hhplug.plugins import discovery
entry = discovery.entry({name!r})
print(*sys.modules)
"""
HIDDEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


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
        script = HEAVY.format(name=kit.name)
        paths = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": paths},
        )
        assert done.returncode == 0, done.stderr
        loaded = done.stdout.split()
        heavy = {spec.factory.partition(":")[0]} - {"hhplug.reference"}
        heavy |= {Requirement(text).name.replace("-", "_") for text in spec.requires} - {"numpy"}
        assert not heavy & set(loaded)

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
