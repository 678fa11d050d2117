import jax
import numpy as np
import pytest

from jaxstyle.benchmark.models import prepare_models
from jaxstyle.bundle import load_bundle, save_bundle
from jaxstyle.errors import UserError


def test_random_weights_hold_no_zeros_and_are_the_same_each_time(tmp_path):
    def parameters():
        (model,) = prepare_models(["tiny"], [], tmp_path)
        return load_bundle(model.bundle).parameters

    first = parameters()
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(first))
    jax.tree.map(np.testing.assert_array_equal, first, parameters())


def test_other_generators_go_by_their_own_names(tmp_path):
    (model,) = prepare_models(["animegan2"], [], tmp_path)
    assert model.generator == {"name": "animegan2"}
    weights = np.load(model.npz, allow_pickle=False)
    assert sum(weights[name].size for name in weights.files) == 2_143_552


def test_a_trained_bundle_is_taken_as_it_is(tmp_path):
    (tiny,) = prepare_models(["tiny"], [], tmp_path)
    bundle = load_bundle(tiny.bundle)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, bundle.parameters)
    save_bundle(tmp_path / "trained.safetensors", doubled, bundle.metadata)
    path = str(tmp_path / "trained.safetensors")
    (model,) = prepare_models([], [path], tmp_path)
    assert model.name == path
    weights = np.load(model.npz, allow_pickle=False)
    np.testing.assert_array_equal(weights["stem/kernel"], doubled["stem"]["kernel"])


def test_an_unknown_model_is_told_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"'huge'.*tiny, small, base, animegan2"):
        prepare_models(["huge"], [], tmp_path)
