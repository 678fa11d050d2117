import jax
import jax.numpy as jnp
import pytest

from jaxstyle import features
from jaxstyle.errors import UserError


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "pca_kd_vgg", "squeezenet"])
def test_shapes_are_described_without_weights(name):
    network, shapes = features.describe(name)
    images = jax.ShapeDtypeStruct((2, 64, 48, 3), jnp.float32)
    maps = jax.eval_shape(network.apply, shapes, images)
    assert set(maps) == set(network.layers)
    for features_of_layer in maps.values():
        assert features_of_layer.dtype == jnp.float32
        assert features_of_layer.shape[0] == 2
    sizes = [maps[layer].shape[1] for layer in network.layers]
    assert sizes == sorted(sizes, reverse=True)


def test_numbers_of_parameters_are_the_published_ones():
    def count(name):
        _, shapes = features.describe(name)
        del shapes["input"]
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    # Keras's summaries of the VGGs without their tops; torchvision's SqueezeNet 1.1, less 512,000
    # weights and 1,000 biases of its classifier.
    assert count("vgg16") == 14_714_688
    assert count("vgg19") == 20_024_384
    assert count("squeezenet") == 1_235_496 - 513_000


def test_nothing_is_computed_beyond_the_deepest_layer():
    network, shapes = features.describe("pca_kd_vgg")
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)

    def convolutions(*layers):
        traced = jax.jit(network.apply, static_argnums=2).trace(shapes, images, layers)
        return str(traced.jaxpr).count("conv_general_dilated")

    assert convolutions("relu1_1") == 1
    assert convolutions("relu3_1", "relu1_1") == 5
    assert convolutions("relu4_1") == 9


@pytest.mark.slow
def test_layers_come_in_the_order_they_are_asked_for():
    network, shapes = features.describe("pca_kd_vgg")
    layers = ("relu3_1", "relu1_1")
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    assert tuple(network.apply(zeros, jnp.zeros((1, 32, 32, 3)), layers)) == layers


def test_what_is_not_there_is_one_clear_line():
    with pytest.raises(
        UserError, match=r"no feature network 'vgg'; there are vgg19, vgg16, pca_kd_vgg"
    ):
        features.describe("vgg")
    network, shapes = features.describe("squeezenet")
    with pytest.raises(UserError, match=r"squeezenet has no layer 'conv4_4'; there are relu1"):
        network.apply(shapes, None, ("conv4_4",))


@pytest.mark.parametrize(("name", "size"), [("vgg19", 8), ("pca_kd_vgg", 4), ("squeezenet", 12)])
def test_images_too_small_for_a_layer_are_refused(name, size):
    network, shapes = features.describe(name)
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    with pytest.raises(UserError, match=f"images of {size}x{size} are too small for layer pool"):
        jax.eval_shape(network.apply, shapes, images)
    shallow = network.layers[:2]
    jax.eval_shape(lambda p, x: network.apply(p, x, shallow), shapes, images)


def test_the_distilled_vgg_has_the_layers_and_channels_that_its_authors_chose():
    network, shapes = features.describe("pca_kd_vgg")
    images = jax.ShapeDtypeStruct((2, 64, 48, 3), jnp.float32)
    maps = jax.eval_shape(network.apply, shapes, images)
    assert {layer: values.shape for layer, values in maps.items()} == {
        "relu1_1": (2, 64, 48, 10),
        "relu2_1": (2, 32, 24, 20),
        "relu3_1": (2, 16, 12, 58),
        "relu4_1": (2, 8, 6, 64),
    }
    assert network.layers == tuple(maps)


def test_what_is_between_the_layers_of_the_distilled_vgg_is_no_layer():
    network, _ = features.describe("pca_kd_vgg")
    with pytest.raises(UserError, match="has no layer 'pool1'; there are relu1_1, relu2_1"):
        network.check_layers(("pool1",))


def test_a_network_that_is_gone_says_what_to_use():
    message = r"vgg19_small is gone; take pca_kd_vgg, .*--config\.features\.network=pca_kd_vgg"
    with pytest.raises(UserError, match=message) as caught:
        features.describe("vgg19_small")
    assert "\n" not in str(caught.value)
