"""A plugin whose backend has two devices: the reference, under the names Chip 0 and Chip 1."""

from collections.abc import Callable

import pytest
from plugin_factory import Plugins

SOURCE = """
from hhplug.reference import ReferenceBackend

class Chip(ReferenceBackend):
    def __init__(self, device=None):
        super().__init__()
        self.index = device or 0
        if self.index not in range({count}):
            raise BackendUnavailable({code!r}, f"there is no chip {{self.index}}", "use device=0")
        self.device = {kinds!r}[self.index]
"""


@pytest.fixture
def offer_chips(plugins: Plugins) -> Callable[..., None]:
    """Install the plugin; kinds are the names of its devices."""

    def offer(
        name: str = "chips",
        kinds: tuple[str, ...] = ("Chip", "Chip"),
        code: str = "no_such_device",
        **spec: object,
    ) -> None:
        source = SOURCE.format(count=len(kinds), code=code, kinds=kinds)
        plugins.offer(name, source, device_index=True, factory=f"{name}:Chip", **spec)

    return offer
