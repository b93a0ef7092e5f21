"""Lowered programs as data: the same in every process, kept in files, readable."""

import os
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from hhplug.lowering import cache
from hhplug.lowering.lower import lower, lowered
from hhplug.lowering.program import KINDS
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.description import Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.pospischil import RS
from hhplug.membranes.squid import squid

PRINT_DIGEST = """
from hhplug.lowering.lower import lowered
from hhplug.membranes.squid import squid
print(lowered(squid.replace("fast", E_K=-90.0), "gpu-float32").digest)
"""


def test_a_program_is_the_same_in_every_process():
    runs = [
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    ]
    assert len(set(runs)) == 1


@pytest.mark.parametrize("target", TARGETS)
def test_every_value_is_computed_before_it_is_used(target):
    program = lowered(squid, target)
    known = {*program.states, "I", *program.rows, *program.scalars}
    for op in program.ops:
        assert op.kind in KINDS
        assert all(a in known for a in op.args if isinstance(a, str))
        assert op.out not in known
        known.add(op.out)
    results = [*program.outputs.values(), *program.slopes, program.conductance]
    assert all(a in known for a in results if isinstance(a, str))


# Counted by hand in hh.cu, whose loop adds four: 198 in all, 20 of them special functions.
def test_squid_takes_no_more_operations_than_by_hand():
    program = lowered(squid, "gpu-float32")
    of_conductance = 2  # sums that only the conductance needs
    assert len(program.ops) - of_conductance <= 194
    assert sum(op.kind in ("exp2", "rcp", "log2") for op in program.ops) == 20


def divisions(membrane, target):
    return sum(op.kind in ("rcp", "div") for op in lowered(membrane, target).ops)


# A stage of the squid divides three times, one of RS six times.
def test_divisions_are_merged_only_where_they_bound_the_speed():
    assert divisions(squid, "numpy-float64") == divisions(squid, "cpu-float64") == 12
    assert divisions(squid, "gpu-float64") == 4  # there a division is many operations
    assert 4 < divisions(RS, "cpu-float64") < divisions(RS, "cpu-float32") < 24


def test_the_slower_a_division_is_the_more_are_merged(monkeypatch):
    usual = TARGETS["cpu-float32"]
    found = []
    for slots in (0.0, 16.0, 20.0, 30.0, 1e9):
        monkeypatch.setitem(TARGETS, usual.name, replace(usual, special_slots=slots))
        found.append(divisions(RS, usual.name))
    assert found == sorted(found, reverse=True)
    assert found[0] == 24 > found[1] > found[-1]


def test_values_have_the_names_of_the_equations():
    names = {op.out for op in lowered(squid, "gpu-float32").ops}
    assert {"alpha_m_1", "alpha_beta_h_4", "dV_2", "g_Na_open_3", "n_next"} <= names


def test_a_program_says_what_the_optimizer_did():
    text = str(lowered(squid, "gpu-float32"))
    assert "-1/80" in text
    assert "a series of degree 2" in text


def test_another_process_finds_a_program_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    lower.cache_clear()
    first = lower(squid, "gpu-float32")
    (file,) = tmp_path.iterdir()
    lower.cache_clear()
    monkeypatch.setattr("hhplug.lowering.lower.lowered", None)
    assert lower(squid, "gpu-float32") == first
    assert file.exists()


def with_a_checksum(content):
    return sha256(content).digest() + content


def with_another_number(content):
    third, quarter = (struct.pack(">d", number) for number in (1 / 3, 1 / 4))
    assert third in content
    return content.replace(third, quarter)


@pytest.mark.parametrize(
    "damaged",
    [
        lambda _: b"",
        lambda _: with_a_checksum(b"not a pickle"),
        lambda _: with_a_checksum(pickle.dumps(None)),
        lambda content: content[:-1],
        with_another_number,
    ],
    ids=["empty", "no pickle", "no program", "cut off", "another number"],
)
def test_a_damaged_file_is_replaced(damaged, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    program = cache.kept("key", lambda: lowered(squid, "numpy-float32"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damaged(file.read_bytes()))
    assert cache.kept("key", lambda: program) is program
    assert cache.kept("key", lambda: pytest.fail("the file isn't used")) == program


def test_a_program_is_made_where_no_folder_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "file" / "programs")
    assert cache.kept("key", lambda: lowered(squid, "gpu-float32")).states == squid.states


def test_what_is_divided_by_a_parameter_of_zero_is_infinite_for_a_number_as_for_an_array():
    slow = Gate(inf=0.5, tau="tau_q")
    membrane = Membrane("m", K=Channel("q", g=1.0, E=-80.0, q=slow), tau_q=Parameter(9.0, "ms"))
    usual = membrane.equations.defaults
    for value in (0.0, np.zeros(3)):
        rows = lowered(membrane, "gpu-float32").row_values({**usual, "tau_q": value}, 0.01)
        assert any(np.isinf(row).all() for row in rows.values())
        with np.errstate(divide="ignore"):  # as in every run
            gates = membrane.equations.linear_gates(np.zeros((2, 3)), {**usual, "tau_q": value})
        assert np.isinf(gates["q"]).all()
