import jax
import numpy as np
import pytest

from jaxstyle.benchmark.measured_models import MODELS, first_condition, prepare_models
from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import load_bundle, save_bundle
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters

pytestmark = pytest.mark.slow


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


def test_all_generators_of_the_registry_that_take_images_are_there():
    others = {config["name"] for config in MODELS.values()}
    assert others == {"realtime", "animegan2", "animegan3", "microast", "resnet"}
    assert MODELS["multistyle"] == {"name": "realtime", "size": "small", "styles": 4}


def test_peers_get_the_style_that_jaxstyle_paints(tmp_path):
    several, arbitrary = prepare_models(["multistyle", "microast"], [], tmp_path)
    weights = np.load(several.npz, allow_pickle=False)
    np.testing.assert_array_equal(weights["condition"], [[1, 0, 0, 0]])
    weights = np.load(arbitrary.npz, allow_pickle=False)
    condition = first_condition(load_bundle(arbitrary.bundle))
    for level in (0, 1):
        for name in ("mean", "std", "weight", "bias"):
            stored = weights[f"condition/{level}/{name}"]
            assert stored.shape == (1, 64)
            np.testing.assert_array_equal(stored, condition[level][name])
    assert weights["condition/1/std"].max() > 0.01


def test_a_bundle_that_makes_pictures_from_noise_is_refused(tmp_path):
    generator = build_generator({"name": "dcgan", "width": 2})
    shapes = jax.eval_shape(lambda key: init_parameters(generator, key, 0), jax.random.key(0))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    path = tmp_path / "noise.safetensors"
    save_bundle(path, zeros, {"generator": {"name": "dcgan", "width": 2}})
    with pytest.raises(UserError, match=r"noise\.safetensors makes pictures from noise"):
        prepare_models([], [str(path)], tmp_path)


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
    with pytest.raises(UserError, match=r"'huge'.*tiny, small, base, multistyle, animegan2"):
        prepare_models(["huge"], [], tmp_path)
    # Nor one that stylizes nothing.
    with pytest.raises(UserError, match="'dcgan'"):
        prepare_models(["dcgan"], [], tmp_path)
