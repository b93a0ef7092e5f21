"""The simulator that libraries of simulation-based inference call: parameters in, features out."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hhplug import FeatureSimulator, InvalidInput, Simulator, Stimulus

NAMES = ("g_K", "g_Na")
DRAWS = np.array([[36.0, 120.0], [30.0, 100.0], [40.0, 150.0]])  # mS/cm²
STEP = Stimulus.constant(12.0)
NOISY = STEP + Stimulus.ornstein_uhlenbeck(0.0, 3.0, 2.0, seed=9)
FEATURES = ("isi_mean", "V_max", "spike_count")


def simulator(stimulus=STEP, **changes):
    given = {"features": FEATURES, "stimulus": stimulus, "dt": 0.05, "window": (5.0, 40.0)}
    sim = Simulator("numpy", parameters={"C_m": 1.1}, dtype="float64")
    return FeatureSimulator(sim, NAMES, 40.0, **{**given, **changes})


def test_each_draw_has_the_features_of_its_own_parameters():
    found = simulator()(DRAWS)
    assert found.shape == (3, 3)
    for (g_K, g_Na), features in zip(DRAWS, found, strict=True):
        sim = Simulator("numpy", parameters={"C_m": 1.1, "g_K": g_K, "g_Na": g_Na}, dtype="float64")
        run = sim.run(40.0, 0.05, stimulus=STEP, features=FEATURES, window=(5.0, 40.0))
        assert_array_equal(features, [run.features[name][0] for name in FEATURES])
    assert_array_equal(simulator()(DRAWS[1]), found[1])
    assert simulator()(np.empty((0, 2))).shape == (0, 3)


def test_every_call_has_new_noise_which_follows_from_the_seed_and_the_parameters():
    sim = simulator(NOISY)
    first, second = sim(DRAWS), sim(DRAWS)
    assert (first[:, 1] != second[:, 1]).all()
    assert_array_equal(simulator(NOISY)(DRAWS), first)
    assert (simulator(NOISY, seed=1)(DRAWS)[:, 1] != first[:, 1]).all()
    # Two processes that are given other draws have other noise, also where the draws begin alike.
    assert (simulator(NOISY)(DRAWS[:2])[:, 1] != first[:2, 1]).all()
    assert_array_equal(pickle.loads(pickle.dumps(simulator(NOISY)))(DRAWS), first)


def test_a_tensor_gives_a_tensor_of_its_type():
    torch = pytest.importorskip("torch")
    found = simulator()(torch.tensor(DRAWS, dtype=torch.float32))
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float32
    assert_array_equal(found.numpy(), simulator()(DRAWS).astype(np.float32))
    short = simulator()(torch.tensor(DRAWS, dtype=torch.bfloat16))
    assert short.dtype == torch.bfloat16


def test_a_tensor_of_integers_gives_floats_since_a_feature_may_be_nan():
    torch = pytest.importorskip("torch")
    silent = simulator(stimulus=None)
    found = silent(torch.tensor(DRAWS.astype(int)))
    assert found.dtype == torch.float32
    assert_array_equal(found.numpy(), silent(DRAWS).astype(np.float32))
    assert np.isnan(found.numpy()).any()


def test_wrong_names_and_shapes_are_refused():
    with pytest.raises(InvalidInput, match="unknown parameter 'g_na'"):
        FeatureSimulator(Simulator("numpy"), ("g_na",), 1.0, features=FEATURES)
    with pytest.raises(InvalidInput, match="features must name at least one"):
        simulator(features=())
    with pytest.raises(InvalidInput, match=r"parameters must be \(draws, 2\)"):
        simulator()(DRAWS[:, :1])
    for values in ([["a", "b"]], [[36.0, 120.0], [36.0]], DRAWS + 0j, None):
        with pytest.raises(InvalidInput, match="parameters must"):
            simulator()(values)
    for names in ((), ("g_K", "g_K")):
        with pytest.raises(InvalidInput, match="names must name at least one parameter, each once"):
            FeatureSimulator(Simulator("numpy"), names, 1.0, features=FEATURES)
    with pytest.raises(InvalidInput, match="stimulus must be a Stimulus"):
        simulator(stimulus=np.zeros(800))
