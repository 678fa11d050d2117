import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import features
from jaxstyle.errors import UserError


@pytest.mark.parametrize("name", ["vgg19", "vgg19_small", "squeezenet"])
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

    # Keras's summary of VGG-19 without its top; torchvision's SqueezeNet 1.1, less 512,000 weights
    # and 1,000 biases of its classifier.
    assert count("vgg19") == 20_024_384
    assert count("squeezenet") == 1_235_496 - 513_000


def test_nothing_is_computed_beyond_the_deepest_layer():
    network, shapes = features.describe("vgg19_small")
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)

    def convolutions(*layers):
        traced = jax.jit(network.apply, static_argnums=2).trace(shapes, images, layers)
        return str(traced.jaxpr).count("conv_general_dilated")

    assert convolutions("relu1_1") == 1
    assert convolutions("relu3_1", "relu1_1") == 5
    assert convolutions("conv5_1") == 13


def test_layers_come_in_the_order_they_are_asked_for():
    network, shapes = features.describe("vgg19_small")
    layers = ("relu3_1", "relu1_1")
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    assert tuple(network.apply(zeros, jnp.zeros((1, 32, 32, 3)), layers)) == layers


def test_what_is_not_there_is_one_clear_line():
    with pytest.raises(UserError, match=r"no feature network 'vgg'; there are vgg19, vgg19_small"):
        features.describe("vgg")
    network, shapes = features.describe("squeezenet")
    with pytest.raises(UserError, match=r"squeezenet has no layer 'conv4_4'; there are relu1"):
        network.apply(shapes, None, ("conv4_4",))


@pytest.mark.parametrize(("name", "size"), [("vgg19", 8), ("vgg19_small", 8), ("squeezenet", 12)])
def test_images_too_small_for_a_layer_are_refused(name, size):
    network, shapes = features.describe(name)
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    with pytest.raises(UserError, match=f"images of {size}x{size} are too small for layer pool"):
        jax.eval_shape(network.apply, shapes, images)
    shallow = network.layers[:2]
    jax.eval_shape(lambda p, x: network.apply(p, x, shallow), shapes, images)


def test_the_small_vgg_takes_the_mean_colour_of_imagenet_to_zero(media):
    path = media / "weights" / "vgg19_small16x" / "e5_base.npz"
    if not path.exists():
        pytest.skip("these weights are not in the media folder")
    _, parameters = features.load("vgg19_small", path)
    kernel, bias = parameters["input"]["kernel"], parameters["input"]["bias"]
    mean = np.array([0.485, 0.456, 0.406], np.float32) * 2 - 1
    assert np.abs(mean @ kernel + bias).max() < 0.5, "of 255"
    red = np.array([1, -1, -1], np.float32)
    np.testing.assert_allclose(red @ kernel + bias, [-103.939, -116.779, 255 - 123.68], atol=1e-3)
