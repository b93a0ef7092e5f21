"""Parts of a membrane as plain values, which JSON can hold."""

from dataclasses import asdict
from typing import Any

from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter, Part


def plain(part: Part) -> Any:
    """The part as a dict, or as a float."""
    if isinstance(part, Channel):
        gates = {name: _given(gate) for name, gate in part.gates.items()}
        return {"kind": "channel", "gating": part.gating, "g": part.g, "E": part.E, "gates": gates}
    if isinstance(part, CalciumPool):
        return {"kind": "pool", **asdict(part)}
    if isinstance(part, Parameter):
        return {"kind": "parameter", **asdict(part)}
    return float(part)


def _given(gate: Gate) -> dict[str, Any]:
    """The attributes of a gate that differ from the defaults."""
    usual = asdict(Gate())
    return {name: value for name, value in asdict(gate).items() if value != usual[name]}


def part_of(values: Any) -> Part:
    """The part that `plain` described."""
    if isinstance(values, (int, float)):
        return float(values)
    values = dict(values)
    kind = values.pop("kind")
    if kind == "channel":
        values |= {name: Gate(**gate) for name, gate in values.pop("gates").items()}
        return Channel(values.pop("gating"), **values)
    return {"pool": CalciumPool, "parameter": Parameter}[kind](**values)
