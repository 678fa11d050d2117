"""AnimeGANv2 against its published shape: a forward pass in NumPy, written from the layer list."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.models import build_discriminator, build_generator

pytestmark = pytest.mark.slow


def count(parameters):
    return sum(leaf.size for leaf in jax.tree.leaves(parameters))


def conv(x, kernel, stride=1):
    k = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], kernel)


def norm(x, weights):
    normalised = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return normalised * weights["scale"] + weights["bias"]


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def pad(x, top, bottom):
    return np.pad(x, ((top, bottom), (top, bottom), (0, 0)), mode="reflect")


def upsample(x):
    """Bilinear, by evaluating the tent at each output pixel centre."""
    for axis in (0, 1):
        size = x.shape[axis]
        at = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, size - 1)
        shape = [-1 if i == axis else 1 for i in range(3)]
        fraction = (at - low).reshape(shape)
        x = np.take(x, low, axis) * (1 - fraction) + np.take(x, high, axis) * fraction
    return x


def conv_norm_leaky(x, weights, down=False):
    kernel = weights["conv"]["kernel"]
    k = kernel.shape[0]
    x = pad(x, 0, 1) if down else pad(x, k // 2, k // 2)
    return leaky(norm(conv(x, kernel, 2 if down else 1), weights["norm"]))


def inverted_residual(x, weights):
    y = conv_norm_leaky(x, weights["expand"])
    kernel = weights["depthwise"]["kernel"][:, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(pad(y, 1, 1), (3, 3), axis=(0, 1))
    y = np.einsum("hwcij,ijc->hwc", windows, kernel) + weights["depthwise"]["bias"]
    y = leaky(norm(y, weights["depthwise_norm"]))
    y = norm(conv(y, weights["project"]["kernel"]), weights["project_norm"])
    return x + y if x.shape == y.shape else y


def reference_generator(x, weights):
    for name, down in [("a0", 0), ("a1", 1), ("a2", 0), ("b0", 1), ("b1", 0), ("c0", 0)]:
        x = conv_norm_leaky(x, weights[name], bool(down))
    for name in ("c1", "c2", "c3", "c4"):
        x = inverted_residual(x, weights[name])
    x = conv_norm_leaky(x, weights["c5"])
    x = conv_norm_leaky(conv_norm_leaky(upsample(x), weights["d0"]), weights["d1"])
    x = conv_norm_leaky(conv_norm_leaky(upsample(x), weights["e0"]), weights["e1"])
    x = conv_norm_leaky(x, weights["e2"])
    return np.tanh(conv(x, weights["out"]["kernel"]))


def test_generator_equals_the_reference_and_has_the_published_size():
    generator = build_generator({"name": "animegan2"})
    x = jax.random.uniform(jax.random.key(0), (2, 32, 48, 3), minval=-1, maxval=1)
    parameters = jax.jit(generator.init)(jax.random.key(1), x)["params"]
    assert count(parameters) == 2_143_552
    keys = iter(jax.random.split(jax.random.key(2), 200))
    parameters = jax.tree.map(
        lambda a: a + 0.1 * jax.random.normal(next(keys), a.shape) if a.ndim == 1 else a, parameters
    )
    result = jax.jit(generator.apply)({"params": parameters}, x)
    weights = jax.tree.map(lambda a: np.asarray(a, np.float64), parameters)
    for image, output in zip(np.asarray(x, np.float64), result, strict=True):
        np.testing.assert_allclose(output, reference_generator(image, weights), atol=2e-4)


def test_generator_features_get_deeper_and_coarser():
    generator = build_generator({"name": "animegan2"})
    x = jnp.zeros((1, 32, 32, 3))
    shapes = jax.eval_shape(
        lambda k: generator.init_with_output(k, x, return_features=True)[0][1], jax.random.key(0)
    )
    assert [s.shape[1] for s in shapes] == [32, 16, 8, 8, 8, 8, 8]
    assert [s.shape[3] for s in shapes] == [3, 64, 128, 256, 256, 256, 256]


def test_discriminator_has_the_published_layers_and_normalises_spectra():
    discriminator = build_discriminator({"name": "animegan2"})
    x = jax.random.normal(jax.random.key(0), (1, 32, 32, 3))
    variables = jax.jit(discriminator.init)(jax.random.key(1), x)
    assert count(variables["params"]) == 1_128_800
    assert discriminator.apply(variables, x).shape == (1, 8, 8, 1)

    # Scaling a kernel changes nothing once the estimate of its norm has settled.
    def settled(variables):
        update = jax.jit(
            lambda v: discriminator.apply(v, x, update_stats=True, mutable=["batch_stats"])[1]
        )
        for _ in range(30):
            variables = {**variables, **update(variables)}
        return discriminator.apply(variables, x)

    flat = flax.traverse_util.flatten_dict(variables["params"])
    scaled = {k: 5 * v if k[-1] == "kernel" else v for k, v in flat.items()}
    scaled = {**variables, "params": flax.traverse_util.unflatten_dict(scaled)}
    np.testing.assert_allclose(settled(variables), settled(scaled), rtol=0.05, atol=1e-3)
