"""Membranes: how they are described, and a library of published ones.

squid: the squid giant axon (Hodgkin & Huxley 1952), the default of every run.
RS, FS, LTS: cortical neurons, regular, fast and low-threshold spiking (Pospischil et al. 2008).
WB: a fast-spiking interneuron of the hippocampus (Wang & Buzsáki 1996).
CS: a neuron with an A current (Connor & Stevens 1971).

All but squid are made when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hhplug.checks import hint
from hhplug.membranes.squid import squid

if TYPE_CHECKING:
    from hhplug.membranes.connor_stevens import CS
    from hhplug.membranes.pospischil import FS, LTS, RS
    from hhplug.membranes.wang_buzsaki import WB

__all__ = ["CS", "FS", "LTS", "RS", "WB", "squid"]

_MODULES = {
    "CS": "connor_stevens",
    "FS": "pospischil",
    "LTS": "pospischil",
    "RS": "pospischil",
    "WB": "wang_buzsaki",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        known = f"it has {', '.join(__all__)}.{hint(name, __all__)}"
        raise AttributeError(f"module {__name__!r} has no membrane {name!r}; {known}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
