"""Several devices of a backend are chosen by `device`, and those that can't be are refused."""

import pickle

import numpy as np
import pytest
from command_line import hhplug as hhplug
from numpy.testing import assert_array_equal
from plugin_factory import Plugins
from two_devices import offer_chips as offer_chips

from hhplug import (
    BackendUnavailable,
    ContractViolation,
    InvalidInput,
    Problem,
    Simulator,
    simulate,
)


def test_all_devices_and_some_of_them_are_opened(offer_chips):
    offer_chips(kinds=("Chip",) * 3)
    for device, shown, indices in [
        ("all", "3 × Chip", [0, 1, 2]),
        ([2, 0], "2 × Chip", [2, 0]),
        (np.array([1, 1]), "2 × Chip", [1, 1]),
    ]:
        simulator = Simulator("chips", device=device)
        assert simulator.device == shown
        backends = simulator._opened.backend._backends
        assert [(name, backend.index) for name, backend in backends] == [
            (f"device {index} (Chip)", index) for index in indices
        ]
        result = simulator.run(0.1, batch_size=3)
        assert result.device == shown
    assert Simulator("chips", device=[1]).device == "Chip"
    assert Simulator("chips", device=1)._opened.backend.index == 1


def test_all_devices_may_be_one(offer_chips):
    offer_chips(kinds=("Chip",))
    assert Simulator("chips", device="all").device == "Chip"


def test_auto_takes_a_backend_that_has_devices(offer_chips, plugins: Plugins):
    plugins.offer("top", priority=1000)
    offer_chips(priority=999)
    simulator = Simulator(device="all")
    assert (simulator.backend, simulator.device) == ("chips", "2 × Chip")
    assert simulate(Problem(0.1, 0.05), device="all").device == "2 × Chip"


def test_devices_of_different_kinds_are_refused(offer_chips):
    offer_chips(kinds=("Chip", "Chop", "Chip"))
    said = r"1 is Chop, .*use device=\[0, 2\]$"
    with pytest.raises(InvalidInput, match=said):
        Simulator("chips", device="all")
    assert Simulator("chips", device=[0, 2]).device == "2 × Chip"


def test_a_device_that_cannot_be_used_is_not_left_out_silently(offer_chips):
    offer_chips(code="out_of_memory")
    with pytest.raises(BackendUnavailable, match=r"\[out_of_memory\] there is no chip 2"):
        Simulator("chips", device="all")
    assert Simulator("chips", device=[0, 1]).device == "2 × Chip"


def test_a_backend_that_accepts_any_index_breaks_the_contract(plugins: Plugins):
    plugins.offer("toy", device_index=True)
    with pytest.raises(ContractViolation, match="the backend 'toy' accepts device=255; "):
        Simulator("toy", device="all")


@pytest.mark.parametrize("device", ["all", [0, 1]])
def test_a_backend_without_devices_refuses_several(device):
    with pytest.raises(InvalidInput, match="'numpy' has no devices to choose from, got device="):
        Simulator("numpy", device=device)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("every", "device must be an index, a list of them such as [0, 1], or 'all', got 'every'"),
        ([], "device must be an index, a list of them such as [0, 1], or 'all', got []"),
        ([0, -1], "device must be a whole number, 0 or more, got -1"),
        (0.5, "device must be a whole number, 0 or more, got 0.5"),
    ],
)
def test_what_is_no_device_is_refused(device, said):
    with pytest.raises(InvalidInput) as refusal:
        Simulator("numpy", device=device)
    assert str(refusal.value) == said


def test_a_simulator_on_several_devices_is_pickled_shown_and_given_other_parameters(offer_chips):
    offer_chips()
    simulator = Simulator("chips", device=[1, 0])
    assert repr(simulator).endswith("# on 2 × Chip")
    again = pickle.loads(pickle.dumps(simulator))
    assert [backend.index for _, backend in again._opened.backend._backends] == [1, 0]
    other = again.with_parameters({"g_Na": np.linspace(110.0, 130.0, 7)})
    assert other._opened.backend is again._opened.backend
    assert other.device == "2 × Chip"
    expected = Simulator("reference", parameters=other.parameters).run(1.0, 0.05)
    assert_array_equal(other.run(1.0, 0.05).V, expected.V)


@pytest.mark.parametrize(
    ("text", "shown"), [("all", "2 × Chip"), ("1,0", "2 × Chip"), ("1", "Chip")]
)
def test_the_command_line_takes_devices(hhplug, offer_chips, text, shown):
    offer_chips()
    code, output, errors = hhplug(
        "run", "--neurons", "3", "--duration", "1", "--backend", "chips", "--device", text
    )  # fmt: skip
    assert (code, errors) == (0, "")
    assert f"chips float64 on {shown}" in output


def test_the_command_line_refuses_what_is_no_device(hhplug):
    code, _, errors = hhplug("run", "--device", "both")
    assert code == 2
    assert "expected an index such as 0, several such as 0,1, or all, got 'both'" in errors
