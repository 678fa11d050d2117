"""MicroAST against a forward pass in NumPy, written from the published layer list, on the published
names of the tensors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxstyle.convert.layouts import MICROAST_PARTS, to_parameters
from jaxstyle.models import build_generator
from jaxstyle.models.examples import init_parameters
from jaxstyle.models.microast import adain

pytestmark = pytest.mark.slow

ENCODER = {
    "enc1.0": (16, 3, 9, 9),
    "enc1.2": (32, 1, 3, 3),
    "enc1.4": (32, 32, 1, 1),
    "enc1.6": (64, 1, 3, 3),
    "enc1.8": (64, 64, 1, 1),
    "enc1.10.conv1": (64, 64, 3, 3),
    "enc1.10.conv2": (64, 64, 3, 3),
    "enc2.0.conv1": (64, 64, 3, 3),
    "enc2.0.conv2": (64, 64, 3, 3),
}
SHAPES = {
    "content_encoder": ENCODER,
    "style_encoder": ENCODER,
    "modulator": dict.fromkeys(("weight1.0", "bias1.0", "weight2.0", "bias2.0"), (64, 1, 3, 3)),
    "decoder": {
        "dec1.conv1": (64, 64, 3, 3),
        "dec1.conv2": (64, 64, 3, 3),
        "dec2.conv1": (64, 64, 3, 3),
        "dec2.conv2": (64, 64, 3, 3),
        "dec3.1": (32, 2, 3, 3),
        "dec3.3": (32, 32, 1, 1),
        "dec3.6": (16, 2, 3, 3),
        "dec3.8": (16, 16, 1, 1),
        "dec3.10": (3, 16, 9, 9),
    },
}


def random_weights(seed):
    """Tensors as published; outputs of each layer about as large as its inputs."""
    rng = np.random.default_rng(seed)
    weights = {}
    for part, layers in SHAPES.items():
        for name, shape in layers.items():
            fan_in = np.prod(shape[1:])
            weights[f"{part}.{name}.conv_layer.weight"] = rng.normal(0, 1, shape) / fan_in**0.5
            weights[f"{part}.{name}.conv_layer.bias"] = rng.normal(0, 0.3, shape[:1])
    return weights


class Reference:
    """The published forward pass: [3, H, W] in [0, 1] in and out, float64."""

    def __init__(self, weights):
        self.weights = {name: np.asarray(value, np.float64) for name, value in weights.items()}

    def conv(self, name, x, stride=1):
        kernel = self.weights[f"{name}.conv_layer.weight"]
        features, inputs, k, _ = kernel.shape
        groups = x.shape[0] // inputs
        x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
        windows = windows[:, ::stride, ::stride]
        windows = windows.reshape(groups, inputs, *windows.shape[1:])
        kernel = kernel.reshape(groups, features // groups, inputs, k, k)
        y = np.einsum("gchwij,gfcij->gfhw", windows, kernel, optimize=True)
        bias = self.weights[f"{name}.conv_layer.bias"]
        return y.reshape(features, *y.shape[2:]) + bias[:, None, None]

    def encode(self, part, x):
        for layer, stride in ((0, 1), (2, 2), (4, 1), (6, 2), (8, 1)):
            x = np.maximum(self.conv(f"{part}.enc1.{layer}", x, stride), 0)
        for name in ("enc1.10", "enc2.0"):
            y = np.maximum(self.conv(f"{part}.{name}.conv1", x), 0)
            x = x + self.conv(f"{part}.{name}.conv2", y)
            yield x

    def __call__(self, content, style):
        levels = list(self.encode("style_encoder", style))
        x = list(self.encode("content_encoder", content))[1]
        for block, level in (("dec1", 2), ("dec2", 1)):
            features = levels[level - 1]
            own, wanted = statistics(x), statistics(features)
            x = (x - own[0]) / own[1] * wanted[1] + wanted[0]
            weight, bias = (
                self.conv(f"modulator.{name}{level}.0", features).mean((1, 2), keepdims=True)
                for name in ("weight", "bias")
            )
            y = np.maximum(weight * self.conv(f"decoder.{block}.conv1", x) + bias * x, 0)
            x = x + weight * self.conv(f"decoder.{block}.conv2", y) + bias * y
        for layer in (1, 6):
            x = np.maximum(self.conv(f"decoder.dec3.{layer}", upsample(x)), 0)
            x = np.maximum(self.conv(f"decoder.dec3.{layer + 2}", x), 0)
        return self.conv("decoder.dec3.10", x)


def statistics(x):
    mean = x.mean((1, 2), keepdims=True)
    return mean, np.sqrt(x.var((1, 2), keepdims=True, ddof=1) + 1e-5)


def upsample(x):
    """Bilinear x2, by interpolating between pixel centres."""
    for axis in (1, 2):
        size = x.shape[axis]
        at = (np.arange(2 * size) + 0.5) / 2 - 0.5
        x = np.apply_along_axis(lambda v, at=at, n=size: np.interp(at, np.arange(n), v), axis, x)
    return x


GENERATOR = build_generator({"name": "microast"})


@jax.jit
def encode(parameters, styles):
    return GENERATOR.apply({"params": parameters}, styles, method="encode_style")


@jax.jit
def stylize(parameters, x, condition):
    return GENERATOR.apply({"params": parameters}, x, condition)


def parameters_of(weights):
    return to_parameters("microast", weights, {"name": "microast"})


def expected_output(weights, x, style):
    """The reference on NHWC images in [-1, 1]."""
    unit = [np.asarray(image, np.float64).transpose(2, 0, 1) * 0.5 + 0.5 for image in (x, style)]
    return Reference(weights)(*unit).transpose(1, 2, 0) * 2 - 1


def frames(seed):
    return jax.random.uniform(jax.random.key(seed), (2, 24, 36, 3), minval=-1, maxval=1)


def style_images(seed):
    """One with strong contrasts, one dim."""
    styles = jax.random.uniform(jax.random.key(seed), (2, 20, 16, 3), minval=-1, maxval=1)
    return styles * jnp.array([1, 0.1]).reshape(2, 1, 1, 1)


def test_is_the_published_network():
    weights = random_weights(0)
    parameters, x, styles = parameters_of(weights), frames(1), style_images(2)
    condition = encode(parameters, styles)
    output = stylize(parameters, x, condition)
    assert output.dtype == jnp.float32
    assert {(leaf.shape, leaf.dtype.name) for leaf in jax.tree.leaves(condition)} == {
        ((2, 64), "float32")
    }
    for i in range(2):
        expected = expected_output(weights, x[i], styles[i])
        assert np.ptp(expected) > 1  # weights that let something through
        np.testing.assert_allclose(output[i], expected, rtol=1e-4, atol=1e-4)


def test_one_style_serves_a_batch_and_styles_mix_leaf_by_leaf():
    parameters, x = parameters_of(random_weights(3)), frames(4)
    conditions = encode(parameters, style_images(5))
    one, other = (jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], conditions) for i in range(2))
    twice = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), one)
    batch = stylize(parameters, x, one)
    np.testing.assert_allclose(batch, stylize(parameters, x, twice), atol=1e-5)
    half = jax.tree.map(lambda a, b: (a + b) / 2, one, other)
    mixed, at_other = stylize(parameters, x, half), stylize(parameters, x, other)
    between = jnp.abs(mixed - batch).mean() / jnp.abs(at_other - batch).mean()
    assert 0.1 < between < 0.9


def test_published_weights_give_the_published_picture(media):
    weights = {}
    for part in MICROAST_PARTS:
        with np.load(media / "weights" / "microast" / f"{part}.npz") as arrays:
            weights |= {f"{part}.{name}": value for name, value in arrays.items()}
    parameters = parameters_of(weights)
    paintings = sorted((media / "style" / "paintings_impressionist").iterdir())
    styles = [media / "style" / "single_references" / "fst_wave.jpg", paintings[0], paintings[9]]
    photos = sorted((media / "photos" / "kodak").iterdir())[::7]
    for photo, style in zip(photos, styles, strict=True):
        x, s = load(photo, (72, 48)), load(style, (48, 48))
        output = stylize(parameters, x, encode(parameters, s))
        difference = np.abs(np.asarray(output[0]) - expected_output(weights, x[0], s[0])) / 2 * 255
        assert difference.mean() < 1
        assert difference.max() < 3


def load(path, size):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize(size), np.float32)
    return jnp.asarray(pixels[None] / 127.5 - 1)


def test_has_the_published_number_of_parameters():
    tree = jax.eval_shape(lambda key: init_parameters(GENERATOR, key, 16), jax.random.key(0))
    counts = {k: sum(leaf.size for leaf in jax.tree.leaves(part)) for k, part in tree.items()}
    assert sum(counts.values()) == 471_987
    assert counts["content_encoder"] + counts["decoder"] == 311_635


def test_every_parameter_learns():
    parameters, x, styles = parameters_of(random_weights(6)), frames(7), style_images(8)

    @jax.jit
    @jax.grad
    def gradient(parameters):
        variables = {"params": parameters}
        condition = GENERATOR.apply(variables, styles, method="encode_style")
        return jnp.square(GENERATOR.apply(variables, x, condition)).mean()

    still = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(parameters))
        if not jnp.abs(leaf).max() > 1e-6
    }
    # What is added to a whole channel just before AdaIN, which takes it away.
    assert still == {
        "content_encoder/residual1/conv1/bias",
        "decoder/residual0/conv1/bias",
    }


def test_bfloat16_is_near_and_features_get_deeper_and_coarser():
    parameters, x = parameters_of(random_weights(9)), frames(10)
    condition = encode(parameters, style_images(11))
    output = stylize(parameters, x, condition)
    rounded = build_generator({"name": "microast", "dtype": "bfloat16"})
    near, features = jax.jit(rounded.apply, static_argnames="return_features")(
        {"params": parameters}, x, condition, return_features=True
    )
    assert near.dtype == jnp.float32
    assert jnp.abs(near - output).mean() < 0.05 * jnp.abs(output).mean()
    assert [f.shape for f in features] == [
        (2, 24, 36, 3),
        (2, 12, 18, 32),
        (2, 6, 9, 64),
        (2, 6, 9, 64),
    ]


def test_adain_leaves_the_statistics_of_the_style():
    x = 3 * jax.random.normal(jax.random.key(0), (2, 6, 7, 5)) + 1
    mean = jnp.linspace(-2, 2, 5)[None]
    std = jnp.linspace(0.5, 3, 5)[None]
    y = np.asarray(adain(x, mean, std))
    np.testing.assert_allclose(y.mean((1, 2)), np.tile(mean, (2, 1)), atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2), ddof=1), np.tile(std, (2, 1)), rtol=1e-4)
