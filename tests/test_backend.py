"""A BackendSpec is checked when it is made."""

import re
from typing import Any

import pytest

from hhplug import InvalidInput
from hhplug.backend import API, BackendSpec, Capabilities


def spec(**fields: Any) -> BackendSpec:
    return BackendSpec(**{"name": "toy", "factory": "a.b:C", "api": API, "summary": ""} | fields)


@pytest.mark.parametrize("name", ["", "auto", "Toy", "2d", "-x", "a b", "a.b", "toy\n", "naïve"])
def test_a_spec_refuses_a_bad_name(name: str):
    with pytest.raises(InvalidInput, match=re.escape(f"got {name!r}")):
        spec(name=name)


@pytest.mark.parametrize("field", ["factory", "probe"])
@pytest.mark.parametrize("reference", ["a.b", "a.b:", ":c", "a:b:c", "a b:c", "a:b.c", "a:b()"])
def test_a_spec_refuses_a_bad_reference(field: str, reference: str):
    with pytest.raises(InvalidInput, match=re.escape(f"'module:attribute', got {reference!r}")):
        spec(**{field: reference})


@pytest.mark.parametrize("requirement", ["", ">=2", "numpy>=two", "numpy 2", "numpy=>2"])
def test_a_spec_refuses_a_bad_requirement(requirement: str):
    with pytest.raises(InvalidInput, match=re.escape(f"not a requirement: {requirement!r}")):
        spec(requires=("numpy>=2.0", requirement))


@pytest.mark.parametrize("requires", ["numpy", ("numpy", 1)])
def test_a_spec_refuses_requirements_that_are_no_tuple_of_texts(requires):
    with pytest.raises(InvalidInput, match=r"a tuple of requirements, \('numpy>=2.0',\), got"):
        spec(requires=requires)


@pytest.mark.parametrize("summary", ["two\nlines", "\x1b[31mred", "bell\x07"])
def test_a_spec_refuses_a_summary_that_a_terminal_would_obey(summary):
    with pytest.raises(InvalidInput, match="must be one line of text, got"):
        spec(summary=summary)


def test_a_spec_accepts_unusual_names_and_references():
    odd = spec(name="py-cuda_2", factory="a._b.c2:_D", probe="p:q", requires=("x[y]>=1,!=2",))
    assert odd.name == "py-cuda_2"


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": "40"},
        {"factory": ""},
        {"capabilities": None},
    ],
)
def test_a_spec_that_would_break_the_listing_is_refused(wrong):
    fields = {"name": "toy", "factory": "a:b", "api": API, "summary": ""} | wrong
    with pytest.raises(InvalidInput):
        BackendSpec(**fields)


def test_capabilities_refuse_unknown_membranes():
    assert Capabilities(membranes="any").membranes == "any"
    assert Capabilities().membranes == "squid"
    with pytest.raises(InvalidInput, match="membranes must be 'squid' or 'any', got 'RS'"):
        Capabilities(membranes="RS")


@pytest.mark.parametrize(
    ("dtypes", "wanted"),
    [
        ((), "some of ('float32', 'float64')"),
        (("float16",), "some of ('float32', 'float64')"),
        ("float64", "a tuple, ('float64',)"),
    ],
)
def test_capabilities_refuse_unknown_dtypes(dtypes, wanted):
    with pytest.raises(InvalidInput, match=re.escape(f"dtypes must be {wanted}, got")):
        Capabilities(dtypes=dtypes)


def test_capabilities_refuse_features_from_anything_else():
    wanted = "features must be None, 'samples' or 'sums', got True"
    with pytest.raises(InvalidInput, match=wanted):
        Capabilities(features=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["name", "factory", "api", "summary", "install_hint"])
def test_a_spec_refuses_a_text_that_is_none(field: str):
    with pytest.raises(InvalidInput, match=f"a backend's {field} must be a str, got None"):
        spec(**{field: None})
